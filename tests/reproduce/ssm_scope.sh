#!/bin/sh
# SSM-Scope (arXiv 2507.12442, ISPASS 2026): its claims, predicted against
# published, side by side.  Published figures: the paper's abstract and project
# page, and the raw data of sapmitra/SSM-Scope@574a2c2 (figure in brackets).
#
#     tests/reproduce/ssm_scope.sh [ROOFLINT]
#
# Nothing here passes or fails; docs/reproduce.md shows and reads the tables.
set -eu
rooflint=${1:-rooflint}
hf="--runtime hf-eager"
ms="--runtime mamba-ssm-eager --dtype fp16"

# One figure of a prediction: field NAME of the CSV, scaled.
get() { # NAME SCALE FORMAT args…
    name=$1 scale=$2 format=$3
    shift 3
    $rooflint predict "$@" --format csv | awk -F, -v n="$name" -v s="$scale" -v f="$format" '
        NR == 1 { for (i = 1; i <= NF; i++) if ($i == n) c = i }
        NR == 2 { printf f, $c / s }'
}

row() { # LABEL PUBLISHED PREDICTED UNIT
    awk -v l="$1" -v p="$2" -v q="$3" -v u="$4" 'BEGIN {
        printf "| %s | %s %s | %s %s | %+.0f %% |\n", l, p, u, q, u, 100 * (q / p - 1) }'
}
table() { printf '\n## %s\n\n| | published | predicted | error |\n|---|---|---|---|\n' "$1"; }

table "Time to first token, RTX 4090, batch 1 (Figs 1, 3)"
for r in "1024 0.0138" "24576 0.409" "32768 1.304"; do
    set -- $r
    row "Qwen2.5-0.5B, $1" "$2" "$(get ttft_s 1 %.4g --hw 4090 --model qwen2.5-0.5b --ctx "$1" $hf)" s
done
row "Mamba2-780m, 1024" 0.0260 "$(get ttft_s 1 %.4g --hw 4090 --model mamba2-780m --ctx 1024 $ms)" s
for r in "24576 0.567" "32768 0.757"; do
    set -- $r
    row "the rows of Fig 6b as labelled Mamba2-780m, $1" "$2" "$(get ttft_s 1 %.4g --hw 4090 --model mamba2-780m --ctx "$1" $ms)" s
done
for r in "2048 0.0465" "4096 0.0905" "8192 0.187" "24576 0.567" "32768 0.757"; do
    set -- $r
    row "the rows of Fig 6b as Mamba2-1.3B, $1" "$2" "$(get ttft_s 1 %.4g --hw 4090 --model mamba2-1.3b --ctx "$1" $ms)" s
done
row "Mamba2-780m, 32768 (Fig 1)" 0.491 "$(get ttft_s 1 %.4g --hw 4090 --model mamba2-780m --ctx 32768 $ms)" s
row "Qwen2.5-1.5B, 57344" 8.24 "$(get ttft_s 1 %.4g --hw 4090 --model qwen2.5-1.5b --ctx 57344 $hf)" s
row "Mamba2-1.3B, 57344" 1.35 "$(get ttft_s 1 %.4g --hw 4090 --model mamba2-1.3b --ctx 57344 $ms)" s
row "Falcon-H1-1.5B, 57344" 2.95 "$(get ttft_s 1 %.4g --hw 4090 --model falcon-h1-1.5b --ctx 57344 $hf)" s

# Rows of the runs schema; the model and the length before the figures.
rows() { # FILE
    $rooflint validate "$1" --rows | awk -F, '
        NR > 1 && NF == 14 { printf "| %s, %s, %s, %s | %.4g s | %.4g s | %+.0f %% |\n", $1, $2, $6,
                             $9, $10, $11, 100 * ($11 / $10 - 1) }'
}
table "Long prompts and hybrids, kernel time and time to first token (profile_data, Figs 1, 3, 6b)"
rows "$(dirname "$0")/../data/runs_long.csv"

table "Time per token, flat in the context (Fig 1)"
for r in "1024 0.0125" "8192 0.0124" "24576 0.0123" "32768 0.0418"; do
    set -- $r
    row "Qwen2.5-0.5B, $1" "$2" "$(get tpot_s 1 %.4g --hw 4090 --model qwen2.5-0.5b --ctx "$1" --output-tokens 256 $hf)" s
done
for r in "1024 0.0138" "32768 0.0137"; do
    set -- $r
    row "Mamba2-780m, $1" "$2" "$(get tpot_s 1 %.4g --hw 4090 --model mamba2-780m --ctx "$1" --output-tokens 256 $ms)" s
done

table "Peak memory allocated at 57,344 tokens, RTX 4090 (Fig 5a): the abstract's -64 %"
row "Qwen2.5-0.5B" 19866 "$(get memory.total 1048576 %.0f --hw 4090 --model qwen2.5-0.5b --ctx 57344 --output-tokens 1 $hf)" MiB
row "Mamba2-780m" 7166 "$(get memory.total 1048576 %.0f --hw 4090 --model mamba2-780m --ctx 57344 --output-tokens 1 $ms)" MiB
row "Llama-3.2-1B" 18410 "$(get memory.total 1048576 %.0f --hw 4090 --model llama-3.2-1b --ctx 57344 --output-tokens 1 $hf)" MiB
# A bare forward() of Falcon-H1 keeps no cache, and the artifact called no other.
row "Falcon-H1-0.5B, no cache" 8288 "$($rooflint predict --hw 4090 --model falcon-h1-0.5b --ctx 57344 --output-tokens 1 $hf --format csv |
    awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) c[$i] = i } NR == 2 {
        printf "%.0f", ($c["memory.total"] - $c["memory.kv_cache"] - $c["memory.state"]) / 1048576 }')" MiB

printf '\n## Longest prompt on 24 GB, and what decides it\n\n'
printf 'Published: the longest swept length that ran (a lower bound).\n\n'
printf '| model | published | all logits | last logits | logits of the peak at the published length |\n|---|---|---|---|---|\n'
while read -r model ran rt; do
    opt="--runtime $rt"
    [ "$rt" = hf-eager ] || opt="$ms"
    all=$(get max_ctx 1 %.0f --hw 4090 --model "$model" --ctx 1k --output-tokens 1 --logits all $opt)
    last=$(get max_ctx 1 %.0f --hw 4090 --model "$model" --ctx 1k --output-tokens 1 --logits last $opt)
    lg=$(get memory.logits 1 %.0f --hw 4090 --model "$model" --ctx "$ran" --output-tokens 1 --logits all $opt)
    tot=$(get memory.total 1 %.0f --hw 4090 --model "$model" --ctx "$ran" --output-tokens 1 --logits all $opt)
    awk -v m="$model" -v r="$ran" -v a="$all" -v l="$last" -v g="$lg" -v t="$tot" 'BEGIN {
        printf "| %s | %d | %d | %d | %.0f %% |\n", m, r, a, l, 100 * g / t }'
done <<'ROWS'
qwen2.5-0.5b 57344 hf-eager
qwen2.5-1.5b 57344 hf-eager
llama-3.2-1b 65536 hf-eager
zamba2-1.2b 49152 hf-eager
falcon-h1-0.5b 163840 hf-eager
mamba-790m 220000 mamba-ssm-eager
mamba2-780m 220000 mamba-ssm-eager
mamba-1.4b 200000 mamba-ssm-eager
ROWS

table "Energy of one prefill, RTX 4090 (Fig 6a)"
row "Qwen2.5-0.5B, 1024" 7.06 "$(get energy_j.prefill 1 %.4g --hw 4090 --model qwen2.5-0.5b --ctx 1024 $hf)" J
row "Qwen2.5-0.5B, 24576" 167 "$(get energy_j.prefill 1 %.4g --hw 4090 --model qwen2.5-0.5b --ctx 24576 $hf)" J
row "Qwen2.5-0.5B, 57344" 1492 "$(get energy_j.prefill 1 %.4g --hw 4090 --model qwen2.5-0.5b --ctx 57344 $hf)" J
row "Mamba2-780m, 57344" 370 "$(get energy_j.prefill 1 %.4g --hw 4090 --model mamba2-780m --ctx 57344 $ms)" J

printf '\n## SSM share of GPU time on the Orin Nano (Fig 7, GPU time only): published 53-63 %%\n\n'
printf 'The fused block: convolution, scan, gated norm and the projections but the first.\n\n'
printf '| model | tokens | the block | scan and convolution alone |\n|---|---|---|---|\n'
for m in mamba-130m mamba2-130m; do
    for c in 1k 2k 4k 8k 16k 32k; do
        $rooflint predict --hw orin-nano --model $m --ctx $c $ms --breakdown --format json |
            awk -v m=$m -v c=$c '
            { gsub(/[",]/, "") }
            $1 == "label:" { label = $2 } $1 == "phase:" { phase = $2 }
            $1 == "class:" { class = $2 }
            $1 == "time_s:" && phase == "prefill" {
                all += $2
                core = class == "scan" || class == "conv"
                if (core) scan += $2
                if (core || label ~ /^(x_proj|dt_proj|out_proj|norm_gated)$/) block += $2
            }
            END { printf "| %s | %s | %.0f %% | %.0f %% |\n", m, c, 100 * block / all,
                      100 * scan / all }'
    done
done

printf '\n## Crossovers (the inversion as a command)\n\n```\n'
$rooflint compare --hw 4090 --models qwen2.5-0.5b,mamba2-780m \
    --runtime hf-eager,mamba-ssm-eager --ctx 512:220k
printf '```\n'
