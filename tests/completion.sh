#!/bin/sh
# Completion scripts: they parse, and bash's offers what the tables hold.
# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"
PATH=$top_builddir:$PATH
export PATH

for shell in bash zsh fish; do
    rooflint --completion $shell >"$tmp/$shell"
    if ! command -v $shell >/dev/null; then
        skip "$shell completion parses" "no $shell"
    elif $shell -n "$tmp/$shell" 2>"$tmp/err"; then
        ok "$shell completion parses"
    else
        not_ok "$shell completion parses" "$tmp/err"
    fi
    for c in $(rooflint --commands); do
        grep -qw -e "$c" "$tmp/$shell" || not_ok "$shell completion knows $c"
    done
done

# offers EXPECTED WORD...: completing the last word offers EXPECTED among others
offers() {
    expected=$1
    shift
    if bash -c '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _rooflint
        printf "%s\n" "${COMPREPLY[@]}"' - "$tmp/bash" "$@" 2>"$tmp/err" |
        grep -qxe "$expected"; then
        ok "'$*' completes to $expected"
    else
        not_ok "'$*' completes to $expected" "$tmp/err"
    fi
}

if command -v bash >/dev/null; then
    offers predict rooflint pre
    offers --output-tokens rooflint predict --out
    offers jetson-agx-orin-64gb rooflint predict --hw jet
    offers mamba2-1.3b rooflint predict -m mamba2
    offers vllm rooflint predict --runtime v
    offers latency rooflint plot la
    offers --phase rooflint plot latency --ph
    offers nvfp4 rooflint predict --dtype nv
    offers all rooflint predict --logits a
fi

if rooflint --completion tcsh >"$tmp/out" 2>"$tmp/err"; then
    not_ok "an unknown shell is an error"
else
    same "an unknown shell prints nothing" /dev/null "$tmp/out"
fi
done_testing
