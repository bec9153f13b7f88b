#!/bin/sh
# SKIP / TKLQT (arXiv 2504.11750): at which batch the prefill of an encoder turns
# from launch-bound to GPU-bound in PyTorch eager: near 8 on A100 and H100 PCIe,
# near 32 on GH200, whose CPU launches slower and whose GPU is faster.  Turned means:
# the kernels take longer than the host needs to enqueue them.
#
#     tests/reproduce/skip_tklqt.sh [ROOFLINT]
set -eu
rooflint=${1:-rooflint}
printf '| device | published | first batch at which kernels outlast the launches |\n|---|---|---|\n'
for r in "a100-sxm-80gb 8" "h100-pcie-80gb 8" "gh200-96gb 32"; do
    set -- $r
    $rooflint sweep --hw "$1" --model bert-base-uncased --ctx 512 --batch 1:128:x2 \
        --runtime hf-eager --dtype fp16 | awk -F, -v d="$1" -v p="$2" '
        NR == 1 { for (i = 1; i <= NF; i++) col[$i] = i; next }
        !b && $col["bound.prefill"] != "launch" { b = $col["batch"] }
        END { printf "| %s | %s | %s |\n", d, p, b ? b : "above 128" }'
done
printf '\n| device | batch | host enqueues | kernels |\n|---|---|---|---|\n'
for d in a100-sxm-80gb h100-pcie-80gb gh200-96gb; do
    for b in 1 8 32; do
        $rooflint predict --hw $d --model bert-base-uncased --ctx 512 --batch $b \
            --runtime hf-eager --dtype fp16 | awk -v d=$d -v b=$b '/time goes to/ {
            sub(/.*kernels /, ""); k = $0; sub(/, host.*/, "", k)
            h = $0; sub(/.*launches in /, "", h); sub(/;.*/, "", h)
            printf "| %s | %s | %s | %s |\n", d, b, h, k }'
    done
done
