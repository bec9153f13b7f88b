#!/bin/sh
# Pictures: every plot is drawn, and what a picture of it must hold is there.
# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"

if ! command -v gnuplot >/dev/null; then
    skip "pictures" "no gnuplot"
    done_testing
    exit 0
fi
cd "${tmp:?}" || exit 99
two='--hw 4090 --model llama-3.2-1b,mamba2-1.3b'

# draws NAME OPTIONS…: an SVG, whole, of the width of a column, with a curve in it
draws() {
    name=$1
    shift
    if rooflint plot "$name" "$@" --out "$name.svg" >out 2>&1 && [ ! -s out ] &&
        grep -q '<svg' "$name.svg" && tail -n 3 "$name.svg" | grep -q '</svg>' &&
        grep -q 'width="321"' "$name.svg" && grep -q '<path\|<polygon\|<use' "$name.svg"; then
        ok "$name.svg"
    else
        not_ok "$name.svg" out
    fi
}

# holds FILE TEXT…: each as a text of the picture
holds() {
    file=$1
    shift
    for text in "$@"; do
        if grep -q ">$text<\|> *$text *<" "$file"; then
            ok "$file says $text"
        else
            not_ok "$file says $text"
        fi
    done
}

# shellcheck disable=SC2086
{
    draws latency $two --ctx 1k:32k:x2 --measured "$top_srcdir/docs/gallery/latency.csv"
    draws memory $two --ctx 1k:64k:x2
    draws breakdown $two --ctx 1k:64k:x4
    draws roofline $two --ctx 1k
    draws crossover $two --ctx 1k:64k:x2 --batches 1:16:x2
    draws concurrency $two --ctx 1k:16k:x4
    draws pareto --hw 'rtx*' --model llama-3.2-1b
    draws ceilings --hw 4090
    draws validation --measured "$top_srcdir/docs/gallery/latency.csv"
}
holds latency.svg llama-3.2-1b mamba2-1.3b 1k 32k 'context (tokens)' \
    'time to first token (s)' 'time per output token (ms)'
holds memory.svg 'peak memory (GiB)' 'KV cache' capacity
holds breakdown.svg gemm attention scan

# every script of the folder has a picture above
for script in "$top_srcdir"/plots/*.gp; do
    name=$(basename "$script" .gp)
    if [ -s "$name.svg" ]; then ok "$name is tested"; else not_ok "$name is tested"; fi
done

# shellcheck disable=SC2086
for ending in pdf png tex; do
    if rooflint plot latency $two --ctx 1k,2k --grey --width page --title 'a_b 5 %' \
        --out "x.$ending" >out 2>&1 && [ ! -s out ] && [ -s "x.$ending" ]; then
        ok "latency.$ending"
    else
        not_ok "latency.$ending" out
    fi
done
# shellcheck disable=SC2086
rooflint plot latency $two --ctx 1k:8k:x2 >term 2>&1
if grep -q 'context (tokens)' term; then ok "on a terminal"; else not_ok "on a terminal" term; fi

# numbers kept are numbers drawn
# shellcheck disable=SC2086
rooflint plot latency $two --ctx 1k,2k --data kept.csv --out first.svg
rooflint plot latency --from kept.csv --out second.svg
same "--from draws what --data kept" first.svg second.svg

# nothing half-written
printf 'foo,bar\n1,2\n' >odd.csv
rooflint plot latency --from odd.csv --out odd.svg 2>out
if grep -q "expected a column 'panel'" out && [ ! -e odd.svg ]; then
    ok "a file without the columns"
else
    not_ok "a file without the columns" out
fi
rooflint plot latency --hw 4090 --model all --ctx 1k --out many.svg 2>out
if grep -q 'choose some' out && [ ! -e many.svg ]; then
    ok "more series than a picture shows"
else
    not_ok "more series than a picture shows" out
fi
find . -name ".rooflint-*" >left
if [ -s left ]; then not_ok "no folders left behind" left; else ok "no folders left behind"; fi
done_testing
