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
    offers orin rooflint predict --hw or
    offers h100-sxm-80gb,rtx-4090 rooflint predict --hw h100-sxm-80gb,rtx-40
    offers h200-sxm-141gb rooflint predict --hw = h200
    offers show rooflint hw s
    offers h200-sxm-141gb rooflint hw show h200
    offers mamba2-1.3b rooflint model show mamba2
    offers gemm rooflint op ge
    offers plot rooflint help pl
    offers fish rooflint --completion f
    touch "$tmp/rows.csv"
    offers "$tmp/rows.csv" rooflint validate "$tmp/ro"
    offers "$tmp/rows.csv" rooflint plot latency --measured "$tmp/ro"
fi

# fish completes a line by itself
if command -v fish >/dev/null; then
    mkdir -p "$tmp/home"
    while read -r expected line; do
        HOME=$tmp/home fish -c 'source $argv[1]; complete -C "$argv[2]"' "$tmp/fish" "$line" \
            2>"$tmp/err" | cut -f1 >"$tmp/out"
        if grep -qxe "$expected" "$tmp/out"; then
            ok "fish: '$line' completes to $expected"
        else
            not_ok "fish: '$line' completes to $expected" "$tmp/out" "$tmp/err"
        fi
    done <<'END'
predict rooflint pre
--output-tokens rooflint predict --out
h200-sxm-141gb rooflint predict --hw h200
h100-sxm-80gb,rtx-4090 rooflint predict --hw h100-sxm-80gb,rtx-40
mamba2-1.3b rooflint predict -m mamba2
latency rooflint plot la
page rooflint plot latency --width p
show rooflint hw s
h200-sxm-141gb rooflint hw show h200
END
fi

# zsh completes in a terminal of its own: what it lists or inserts
if command -v zsh >/dev/null; then
    mkdir -p "$tmp/functions"
    cp "$tmp/zsh" "$tmp/functions/_rooflint"
    cat >"$tmp/drive.zsh" <<'END'
zmodload zsh/zpty || exit 77
zpty z zsh -f -i
zpty -w z "PS1=; fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -D; LISTMAX=10000"
zpty -w z 'stty -echo cols 200; zstyle ":completion:*" list-prompt ""; print READY'
zpty -r z answer '*READY*READY*' || exit 77
zpty -n -w z "$2"$'\t'
for i in {1..50}; do
    sleep 0.1
    zpty -rt z part && out+=$part
    [[ $out == *$3* ]] && exit 0
done
print -r -- "$out"
exit 1
END
    while read -r expected line; do
        zsh -f "$tmp/drive.zsh" "$tmp/functions" "$line" "$expected" >"$tmp/out" 2>&1
        case $? in
        0) ok "zsh: '$line' completes to $expected" ;;
        77) skip "zsh: '$line'" "no pseudo terminal" ;;
        *) not_ok "zsh: '$line' completes to $expected" "$tmp/out" ;;
        esac
    done <<'END'
predict rooflint pre
h200-sxm-141gb rooflint predict --hw h200-s
latency rooflint plot la
page rooflint plot latency --width p
END
fi

if rooflint --completion tcsh >"$tmp/out" 2>"$tmp/err"; then
    not_ok "an unknown shell is an error"
else
    same "an unknown shell prints nothing" /dev/null "$tmp/out"
fi
done_testing
