#!/bin/sh
# The examples of README.md and docs/*.md do what the page shows.
#
# In a fenced block marked `console`, each line "$ COMMAND" is run and the
# lines up to the next command are its output.  Numbers may move when kernels
# are calibrated anew, words may not.  UPDATE_GOLDEN=1 writes the real output
# into the page.
# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"
PATH=$top_builddir:$PATH
export PATH

masked() { # numbers, their units' prefixes, padding, and what the numbers order
    sed -E 's/[0-9][0-9.]*(e[+-][0-9]+)?/0/g; s/0 +([numkKMGTP]i?)?(s|B|J|W|FLOP)/0 \2/g; s/ +/ /g; s/-+/-/g; s/^( *(by operator|bound by)) .*/\1/' "$1"
}

rewrite() { # page on stdin, with real output on stdout
    in_block=
    while IFS= read -r line; do
        case $line in
        '```console') in_block=1 ;;
        '```') in_block= ;;
        esac
        case $in_block$line in
        '1```console' | '```') printf '%s\n' "$line" ;;
        '1$ '*)
            printf '%s\n' "$line"
            (cd "$tmp/work" && eval "${line#\$ }") 2>&1 </dev/null
            ;;
        1*) ;;
        *) printf '%s\n' "$line" ;;
        esac
    done
}

cd "$top_srcdir" || exit 99
for page in README.md docs/*.md; do
    grep -q '^```console' "$page" || continue
    rm -rf "$tmp/work"
    mkdir "$tmp/work"
    rewrite <"$page" >"$tmp/page"
    [ -z "${UPDATE_GOLDEN-}" ] || cp "$tmp/page" "$page"
    masked "$page" >"$tmp/want"
    masked "$tmp/page" >"$tmp/got"
    same "$page shows what its commands print" "$tmp/want" "$tmp/got"
done
for page in docs/*.md; do
    name=$(basename "$page")
    [ "$name" = README.md ] || grep -qF "($name)" docs/README.md || not_ok "docs/README.md lists $name"
done

# a link inside the tree leads somewhere
grep -noE '\]\([^)#:]+' README.md CONTRIBUTING.md docs/*.md tests/README.md | while IFS=: read -r page line link; do
    target=$(dirname "$page")/${link#](}
    [ -e "$target" ] || echo "$page:$line: no ${link#](}"
done >"$tmp/links"
same "links lead somewhere" /dev/null "$tmp/links"
done_testing
