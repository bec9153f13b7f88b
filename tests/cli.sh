#!/bin/sh
# Command lines from tables: tests/cli/*.tests, format in tests/README.md.
# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"

# check_one CONDITION: nothing when it holds, else what was expected
check_one() {
    case $1 in
    'golden: '*)
        if [ -n "${UPDATE_GOLDEN-}" ]; then
            cp "$tmp/out" "$top_srcdir/tests/golden/${1#golden: }"
        fi
        diff -u "$top_srcdir/tests/golden/${1#golden: }" "$tmp/out" >"$tmp/diff" 2>&1 ||
            cat "$tmp/diff"
        ;;
    'empty: out') [ ! -s "$tmp/out" ] || echo "expected nothing on stdout" ;;
    'empty: err') [ ! -s "$tmp/err" ] || echo "expected nothing on stderr" ;;
    'out: '*) grep -qE -e "${1#out: }" "$tmp/out" || echo "expected on stdout: ${1#out: }" ;;
    'err: '*) grep -qE -e "${1#err: }" "$tmp/err" || echo "expected on stderr: ${1#err: }" ;;
    'not: '*)
        if cat "$tmp/out" "$tmp/err" | grep -qE -e "${1#not: }"; then
            echo "expected nowhere: ${1#not: }"
        fi
        ;;
    *) echo "unknown condition: $1" ;;
    esac
}

# run_line FILE:LINE TEXT
run_line() {
    command=${2%% | *}
    rest=${2#* | }
    want=${rest%% | *}
    (
        cd "$tmp/work" || exit 99
        eval "$command"
    ) >"$tmp/out" 2>"$tmp/err" </dev/null
    got=$?
    : >"$tmp/why"
    [ "$got" = "$want" ] || echo "expected exit status $want, got $got" >>"$tmp/why"
    while [ "$rest" != "${rest#* | }" ]; do
        rest=${rest#* | }
        check_one "${rest%% | *}" >>"$tmp/why"
    done
    if [ -s "$tmp/why" ]; then
        not_ok "$1: $command" "$tmp/why" "$tmp/out" "$tmp/err"
    else
        ok "$1: $command"
    fi
}

for table in "$top_srcdir"/tests/cli/*.tests; do
    rm -rf "$tmp/work"
    mkdir "$tmp/work"
    number=0
    while IFS= read -r line; do
        number=$((number + 1))
        case $line in
        '' | '#'*) continue ;;
        *' | '*) run_line "${table##*/}:$number" "$line" ;;
        *) not_ok "${table##*/}:$number: expected 'command | status | condition...'" ;;
        esac
    done <"$table"
done
done_testing
