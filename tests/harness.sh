#!/bin/sh
# The harness itself can fail: each way a test may go wrong is shown to it.
# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"
unset ROOFLINT_VALGRIND UPDATE_GOLDEN

# A stand-in for a Criterion program: what $1 says, then TAP and a status.
program() {
    cat >"$tmp/program" <<END
#!/bin/sh
for a; do case \$a in --tap=*) tap=\${a#--tap=} ;; esac; done
san=\${ASAN_OPTIONS#*log_path=}
san=\${san%%:*}
$1
END
    chmod +x "$tmp/program"
    sh "$top_srcdir/build-aux/test-criterion" "$tmp/program" >"$tmp/out" 2>&1
    status=$?
}

# expect NAME CONDITION...
expect() {
    name=$1
    shift
    if "$@"; then ok "$name"; else not_ok "$name" "$tmp/out"; fi
}

program 'printf "1..1\nok - fine\n" >"$tap"'
expect "a good test passes" [ "$status $(grep -c '^not ok' "$tmp/out")" = "0 0" ]
program 'printf "1..1\nnot ok - bad\n" >"$tap"; exit 1'
expect "a failed assertion fails" grep -q '^not ok - bad' "$tmp/out"
program 'printf "1..1\nok - fine\n" >"$tap"; echo "leak of 8 bytes" >"$san.123"'
expect "a sanitizer's report fails" grep -q '^not ok.*sanitizer' "$tmp/out"
expect "and is shown" grep -q '^# leak of 8 bytes' "$tmp/out"
program 'exit 3'
expect "a program without results fails" grep -q '^Bail out!' "$tmp/out"
program 'printf "1..1\nok - fine\n" >"$tap"; exit 3'
expect "a crash behind the last test fails" [ "$status" = 3 ]

# The shell harnesses, on a small tree of their own.
fake=$tmp/tree
mkdir -p "$fake/tests/cli" "$fake/tests/golden" "$fake/src" "$fake/predict" \
    "$fake/tests/bad/csv/wrong-message"
cp "$top_srcdir"/tests/*.sh "$top_srcdir/tests/layers.txt" "$fake/tests"
run_in_tree() {
    top_srcdir=$fake sh "$fake/tests/$1" >"$tmp/out" 2>&1
}

# row N must be the only kind of result: "ok" or "not ok"
cat >"$fake/tests/cli/fake.tests" <<'END'
rooflint --version | 0 | out: ^rooflint
rooflint --version | 1
rooflint --version | 0 | out: no such text
rooflint --version | 0 | err: rooflint
rooflint --version | 0 | not: rooflint
rooflint --version | 0 | empty: out
rooflint --version | 0 | golden: absent.txt
rooflint --version | 0 | typo: rooflint
no separator
END
run_in_tree cli.sh
grep -oE '^(not )?ok' "$tmp/out" | tr '\n' ' ' >"$tmp/got"
expect "a row of a command table fails on each condition" [ "$(cat "$tmp/got")" = \
    "ok not ok not ok not ok not ok not ok not ok not ok not ok " ]

echo "no-such-command" >"$fake/tests/bad/csv/wrong-message/args"
echo 2 >"$fake/tests/bad/csv/wrong-message/status"
echo "rooflint: something else" >"$fake/tests/bad/csv/wrong-message/error"
run_in_tree bad.sh
expect "bad input with another message fails" grep -q '^not ok' "$tmp/out"

# caught RULE FILE TEXT: layers.sh reports a file of this text under that rule
caught() {
    printf '%s\n' "$3" >"$fake/$2"
    run_in_tree layers.sh
    expect "layers: $3" awk -v rule="$1" -v file="$2" '
        /^(not )?ok/ { on = /^not ok/ && index($0, rule) }
        on && /^# / && index($0, file) { found = 1 }
        END { exit !found }' "$tmp/out"
    rm "$fake/$2"
}
printf '%s\n' '/* */' >"$fake/predict/predict.h"
caught "no file includes a higher layer" src/table.c '#include "predict.h"'
caught "listed in tests/layers.txt" src/unheard_of.c 'int x;'
caught "listed in a local.mk" src/table.c 'int y;'
caught "the library prints nothing" src/table.c '    printf("hello");'
caught "the library prints nothing" src/table.c '    fputs("hello", stderr);'
caught "predict/ reads no files" predict/time.c '    FILE *f = fopen("x", "r");'
caught "predict/ reads no files" predict/time.c '    char *s = getenv("HOME");'
done_testing
