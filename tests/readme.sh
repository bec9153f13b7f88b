#!/bin/sh
# The examples of README.md and docs/*.md do what the page shows.
#
# In a fenced block marked `console`, each line "$ COMMAND" is run and the
# lines up to the next command are its output, to the digit: a page shows no
# number that the program does not print.  `make refresh` writes the real output
# into the pages (UPDATE_GOLDEN=1).
# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"
PATH=$top_builddir:$PATH
export PATH

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
    same "$page shows what its commands print (make refresh writes it)" "$page" "$tmp/page"
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
