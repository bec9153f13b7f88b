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

# a model that no device of this size holds: its whole stack, and by how much it is too large
rooflint plot memory --hw orin-nano --model llama-3.1-70b --ctx 512:64k:x2 --data full.csv --out full.svg
holds full.svg llama-3.1-70b 'KV cache' 'capacity 7.43 GiB' 100 \
    "does not fit: $(awk -F, 'NR == 2 { printf "%.3g", $11 / 2^30 }' full.csv) GiB at 512"

# a model against itself: one colour, and the ratio as a number
if rooflint plot crossover --hw 4090 --model llama-3.2-1b,llama-3.2-1b --ctx 1k:64k:x2 \
    --batches 1:16:x2 --data equal.csv --out equal.svg >out 2>&1 && [ ! -s out ]; then
    holds equal.svg 'time to first token: llama-3.2-1b / llama-3.2-1b = 1'
else
    not_ok "crossover of a model with itself" out
fi
awk -F, -v OFS=, 'NR > 1 && NF > 1 { $6 = 100 } 1' equal.csv >hundred.csv
if rooflint plot crossover --from hundred.csv --out hundred.svg >out 2>&1 && [ ! -s out ]; then
    holds hundred.svg 'time to first token: llama-3.2-1b / llama-3.2-1b = 100'
else
    not_ok "crossover of one ratio" out
fi

# structure FILE: what the picture is made of: its size, its texts, and how many
# shapes there are of each colour, dash and kind of point
structure() {
    sed -n 's/^ width=/size /p' "$1"
    grep -oE '<(text|tspan)[^>]*>[^<]+' "$1" | sed 's/<[^>]*>/text /'
    grep -oE "stroke='rgb\([^)]*\)'( stroke-dasharray='[^']*')?" "$1" | sort | uniq -c
    grep -oE "fill ?= ?'(rgb\([^)]*\)|#[0-9A-Fa-f]*)'" "$1" | sort | uniq -c
    grep -oE "<use xlink:href='#gpPt[0-9]+'[^/]*color='[^']*'" "$1" |
        sed -E "s/ transform='[^']*'//" | sort | uniq -c
}

# every script of the folder has a picture above, and one of kept numbers whose
# structure is known
version=$(gnuplot --version | cut -d' ' -f2)
for script in "$top_srcdir"/plots/*.gp; do
    name=$(basename "$script" .gp)
    if [ -s "$name.svg" ]; then ok "$name is tested"; else not_ok "$name is tested"; fi
    if ! rooflint plot "$name" --from "$top_srcdir/tests/data/plots/$name.csv" \
        --out kept.svg 2>err; then
        not_ok "$name of kept numbers" err
    elif [ "$version" != 5.4 ]; then # other versions part shapes otherwise
        skip "structure of $name.svg" "gnuplot $version, not 5.4"
    else
        structure kept.svg >kept.txt
        golden "plot-$name.svg.txt" kept.txt
    fi
done

# shellcheck disable=SC2086
for ending in pdf png tex tikz; do
    if rooflint plot latency $two --ctx 1k,2k --grey --width page --title 'a_b 5 %' \
        --out "x.$ending" >out 2>&1 && [ ! -s out ] && [ -s "x.$ending" ]; then
        ok "latency.$ending"
    else
        not_ok "latency.$ending" out
    fi
done
# in TeX a bare % would hide the rest of its line, a bare _ be an error
awk -F, -v OFS=, 'NR > 1 { sub("llama", "a_b", $2) } 1' \
    "$top_srcdir/tests/data/plots/concurrency.csv" >under.csv
for plot in latency:"$top_srcdir/tests/data/plots/latency.csv" concurrency:under.csv; do
    rooflint plot "${plot%%:*}" --from "${plot#*:}" --title 'a_b 5 %' --out bare.tex
    sed -n 's/.*strut{}\(.*\)}}.*/\1/p' bare.tex >texts
    if grep -q 'a\\_b' texts && ! grep -q '[^\][_%]' texts; then
        ok "${plot%%:*}.tex escapes its texts"
    else
        not_ok "${plot%%:*}.tex escapes its texts" texts
    fi
done
if grep -q 'fontsize{7.2}' bare.tex; then ok "a .tex has its size of text"; else not_ok "a .tex has its size of text"; fi
# a boxed label in cairolatex calls \widthof, which stops LaTeX
for name in latency memory crossover; do
    rooflint plot "$name" --from "$top_srcdir/tests/data/plots/$name.csv" --out boxed.tex
    if grep -q gplfronttext boxed.tex && ! grep -q 'widthof' boxed.tex; then
        ok "$name.tex is LaTeX"
    else
        not_ok "$name.tex is LaTeX" boxed.tex
    fi
done
# shellcheck disable=SC2086
rooflint plot latency $two --ctx 1k:8k:x2 >term 2>&1
if grep -q 'context (tokens)' term; then ok "on a terminal"; else not_ok "on a terminal" term; fi
for name in memory breakdown; do # letters draw no areas, so lines with a key
    # shellcheck disable=SC2086
    rooflint plot $name $two --ctx 1k:8k:x2 >term 2>&1
    if grep -q 'weights\|gemm' term; then ok "$name on a terminal"; else not_ok "$name on a terminal" term; fi
done
# a window where gnuplot has none comes to the terminal, as pixels or letters
case " $(gnuplot -e 'print GPVAL_TERMINALS' 2>&1) " in
*' sixelgd '*) want=$(printf '\033P') ;;
*) want='context (tokens)' ;;
esac
# shellcheck disable=SC2086
rooflint plot latency $two --ctx 1k:8k:x2 --show sixel >term 2>&1
if grep -aqF "$want" term; then ok "--show sixel"; else not_ok "--show sixel" term; fi

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
# refused FILE TEXT: the numbers of FILE are no picture, and the message says TEXT
refused() {
    rm -f odd.svg
    if rooflint plot latency --from "$1" --out odd.svg 2>out; then
        not_ok "$1 is refused"
    elif grep -q "$1:.*$2" out && [ ! -e odd.svg ]; then
        ok "$1 is refused: $2"
    else
        not_ok "$1 is refused: $2" out
    fi
}
head -n 1 kept.csv >none.csv
refused none.csv 'no rows'
sed -E '2,$s/,[0-9.e+-]+,[0-9.e+-]+,[0-9.e+-]+$/,inf,-inf,nan/' kept.csv >infinite.csv
refused infinite.csv "nothing to draw: column 'value' has no finite number"
: >empty.csv
refused empty.csv 'expected a header row'
awk 'BEGIN{print "panel,series,kind,type,ctx,value,lo,hi"
    for (i = 0; i < 10000; i++) print "ttft,s" i ",ssm,line,1024,1,1,1"}' >many.csv
rooflint plot latency --from many.csv --out odd.svg 2>out
if grep -q "at most 24 different values of 'series'" out && [ ! -e odd.svg ]; then
    ok "10,000 series"
else
    not_ok "10,000 series" out
fi
{ sed -n 1,3p kept.csv && sed -n '4s/,[0-9.e+-]*$/,inf/p' kept.csv; } >some.csv
if rooflint plot latency --from some.csv --out some.svg 2>out && [ -s some.svg ]; then
    ok "some infinite cells"
else
    not_ok "some infinite cells" out
fi
if rooflint plot pareto --hw 4090 --model gpt2 --out one.svg 2>out && [ -s one.svg ]; then
    ok "one point"
else
    not_ok "one point" out
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
