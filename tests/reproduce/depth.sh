#!/bin/sh
# Nemotron-Flash (arXiv 2511.18890): at batch 1 the time of a token follows the
# depth, about 0.1 ms a layer on an H100 beyond bytes over bandwidth.  Predicted
# for PyTorch eager and for CUDA graphs: what the graph takes away is the host.
#
#     tests/reproduce/depth.sh [ROOFLINT]
set -eu
rooflint=${1:-rooflint}
printf '| model | layers | runtime | TPOT ms | bytes / bandwidth ms | beyond, ms a layer |\n|---|---|---|---|---|---|\n'
for rt in hf-eager pytorch-cudagraph vllm; do
    for m in qwen2.5-0.5b qwen2.5-1.5b llama-3.2-1b llama-3.1-8b falcon-h1-0.5b falcon-h1-1.5b; do
        layers=$(sed -n 's/.*"num_hidden_layers": *\([0-9]*\).*/\1/p' "${top_srcdir:-.}/models/$m.json" | head -1)
        $rooflint predict --hw h100 --model $m --ctx 1k --runtime $rt --format csv |
            awk -F, -v m=$m -v l="$layers" -v rt=$rt '
            NR == 1 { for (i = 1; i <= NF; i++) col[$i] = i; next }
            { t = $col["tpot_s"]; s = $col["speed_of_light.tpot_s"]
              printf "| %s | %d | %s | %.2f | %.2f | %.3f |\n", m, l, rt, 1e3 * t, 1e3 * s,
                  1e3 * (t - s) / l }'
    done
done
