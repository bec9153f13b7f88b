#!/bin/sh
# Bad input: every folder tests/bad/<kind>/<case>, format in tests/README.md.
# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"

for args in "$top_srcdir"/tests/bad/*/*/args; do
    [ -f "$args" ] || continue
    case_dir=${args%/args}
    name=${case_dir#"$top_srcdir"/tests/bad/}
    work=$tmp/$(basename "$case_dir")
    cp -R "$case_dir" "$work"
    chmod -R u+w "$work"
    status=1
    [ -f "$case_dir/status" ] && status=$(cat "$case_dir/status")
    (
        cd "$work" || exit 99
        [ ! -f make.sh ] || sh ./make.sh || exit 99
        eval "rooflint $(cat args)"
    ) >"$tmp/out" 2>"$tmp/err" </dev/null
    got=$?
    # a message that lists what is known is cut where the expected one ends in …
    head=$(sed -n 's/…$//p' "$case_dir/error" 2>/dev/null)
    case $(cat "$tmp/err") in
    "${head:-none}"*) cp "$case_dir/error" "$tmp/err" ;;
    esac
    if [ -n "${UPDATE_GOLDEN-}" ]; then
        cp "$tmp/err" "$case_dir/error"
    fi
    if [ "$got" != "$status" ]; then
        not_ok "$name: exit status $got instead of $status" "$tmp/err"
    else
        same "$name" "$case_dir/error" "$tmp/err"
    fi
    rm -rf "$work"
done
done_testing
