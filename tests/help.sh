#!/bin/sh
# Help of every command, the man page, and what is common to all commands.
# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"

rooflint --help >"$tmp/all"
for c in $(rooflint --commands); do
    if rooflint "$c" -h >"$tmp/h" 2>"$tmp/err" && [ ! -s "$tmp/err" ] &&
        grep -q "^usage: rooflint $c " "$tmp/h" && grep -q "^  $c " "$tmp/all"; then
        ok "$c -h"
    else
        not_ok "$c -h" "$tmp/h" "$tmp/err"
    fi
    rooflint "$c" --help >"$tmp/h2"
    same "$c --help is -h" "$tmp/h" "$tmp/h2"
    if [ "$(LC_ALL=C.UTF-8 wc -L <"$tmp/h")" -le 80 ]; then
        ok "$c -h is at most 80 columns wide"
    else
        not_ok "$c -h is at most 80 columns wide" "$tmp/h"
    fi
    rooflint "$c" --no-such-option >"$tmp/out" 2>"$tmp/err"
    if [ $? = 2 ] && grep -q "unknown option '--no-such-option'" "$tmp/err" &&
        [ ! -s "$tmp/out" ]; then
        ok "$c refuses an unknown option"
    else
        not_ok "$c refuses an unknown option" "$tmp/err"
    fi
done

rooflint --man >"$tmp/rooflint.1"
if command -v mandoc >/dev/null; then
    mandoc -Tlint -Wwarning "$tmp/rooflint.1" >"$tmp/lint" 2>&1
    : >"$tmp/empty"
    same "mandoc finds nothing in the man page" "$tmp/empty" "$tmp/lint"
else
    skip "man page lint" "no mandoc"
fi
for c in $(rooflint --commands); do
    if grep -q "^\.Ss rooflint $c\$" "$tmp/rooflint.1"; then
        ok "man page tells of $c"
    else
        not_ok "man page tells of $c"
    fi
done
done_testing
