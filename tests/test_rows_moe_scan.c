/* A few measured rows of experts, collectives, scans, updates and convolutions
 * against the shipped entries: errors may not grow beyond what was reached.  Rows
 * drawn at random, devices in turn, from the tables of ai-dynamo/aiconfigurator,
 * systems/data at 095f58a. */
#include "rows_test.h"

static const struct measured_row measured[] = {
    {"a100-sxm-80gb", "trtllm-1.0.0", "moe", "moe_torch_flow",
     "tokens=160 hidden=6144 inter=16384 topk=2 experts=8 matrices=3 tp=1 ep=1 "
     "routing=power_law_1.2 dtype=bf16",
     3826},
    {"b200-sxm-180gb", "sglang-0.5.14", "moe", "sglang_flashinfer_trtllm_moe",
     "tokens=3072 hidden=2880 inter=2880 topk=4 experts=32 matrices=3 tp=2 "
     "ep=1 routing=power_law_1.2 dtype=w4a8_mxfp4_mxfp8",
     201.4},
    {"h100-sxm-80gb", "trtllm-1.3.0rc20", "moe", "moe_torch_flow_cutlass",
     "tokens=4096 hidden=6144 inter=2560 topk=8 experts=160 matrices=3 tp=4 "
     "ep=1 routing=power_law_1.2 dtype=bf16",
     2764},
    {"l40s", "vllm-0.24.0", "moe", "vllm_unquantizedfusedmoe_triton_tritonexperts",
     "tokens=64 hidden=4096 inter=14336 topk=2 experts=8 matrices=3 tp=32 ep=1 "
     "routing=power_law_1.2 dtype=bf16",
     44.41},
    {"rtx-pro-6000-server", "sglang-0.5.14", "moe", "sglang_flashinfer_cutlass_moe",
     "tokens=320 hidden=4096 inter=1536 topk=8 experts=128 matrices=3 tp=4 "
     "ep=1 routing=balanced dtype=nvfp4",
     349.7},
    {"a100-sxm-80gb", "sglang-0.5.10", "moe", "sglang_fused_moe_triton",
     "tokens=32 hidden=7168 inter=2048 topk=8 experts=384 matrices=3 tp=1 ep=1 "
     "routing=power_law_1.2 dtype=bf16",
     7631},
    {"b200-sxm-180gb", "vllm-0.24.0", "moe",
     "vllm_unquantizedfusedmoe_flashinfer_trtllm_trtllmbf16experts",
     "tokens=512 hidden=6144 inter=2048 topk=8 experts=256 matrices=3 tp=1 "
     "ep=1 routing=power_law_1.2 dtype=bf16",
     3609},
    {"h100-sxm-80gb", "vllm-0.24.0", "moe",
     "vllm_compressedtensorswna16marlinmoe_marlin_marlinexperts",
     "tokens=48 hidden=7168 inter=2048 topk=8 experts=384 matrices=3 tp=32 "
     "ep=1 routing=balanced dtype=w4a16",
     237},
    {"l40s", "sglang-0.5.14", "moe", "sglang_fused_moe_triton",
     "tokens=6144 hidden=2880 inter=2880 topk=4 experts=32 matrices=3 tp=2 "
     "ep=1 routing=balanced dtype=w4a16_mxfp4",
     4292},
    {"rtx-pro-6000-server", "trtllm-1.3.0rc20", "moe", "moe_torch_flow_cutlass",
     "tokens=160 hidden=4096 inter=1536 topk=8 experts=128 matrices=3 tp=2 "
     "ep=1 routing=power_law_1.2 dtype=bf16",
     1656},
    {"a100-sxm-80gb", "vllm-0.14.0", "moe", "vllm_fused_moe",
     "tokens=96 hidden=4096 inter=1536 topk=8 experts=128 matrices=3 tp=1 ep=1 "
     "routing=power_law_1.2 dtype=bf16",
     2750},
    {"b200-sxm-180gb", "sglang-0.5.14", "moe", "sglang_flashinfer_trtllm_moe",
     "tokens=1536 hidden=7168 inter=2048 topk=8 experts=384 matrices=3 tp=1 "
     "ep=1 routing=balanced dtype=w4a16",
     4904},
    {"h100-sxm-80gb", "vllm-0.24.0", "moe",
     "vllm_compressedtensorsw4a4mxfp4moe_marlin_marlinexperts_situ_as_silu",
     "tokens=8192 hidden=3584 inter=3072 topk=16 experts=896 matrices=3 tp=4 "
     "ep=1 routing=power_law_1.2 dtype=w4a16_mxfp4",
     1.238e+04},
    {"l40s", "trtllm-1.3.0rc20", "moe", "moe_torch_flow_cutlass",
     "tokens=160 hidden=6144 inter=16384 topk=2 experts=8 matrices=3 tp=2 ep=1 "
     "routing=balanced dtype=fp8",
     1839},
    {"rtx-pro-6000-server", "sglang-0.5.14", "moe", "sglang_flashinfer_cutlass_moe",
     "tokens=256 hidden=2688 inter=1856 topk=6 experts=128 matrices=2 tp=2 "
     "ep=1 routing=power_law_1.2 dtype=bf16",
     909},
    {"a100-sxm-80gb", "sglang-0.5.10", "moe", "sglang_fused_moe_triton",
     "tokens=4 hidden=4096 inter=14336 topk=2 experts=8 matrices=3 tp=32 ep=1 "
     "routing=balanced dtype=bf16",
     80.87},
    {"b200-sxm-180gb", "vllm-0.24.0", "moe",
     "vllm_compressedtensorsw4a4nvfp4moe_flashinfer_trtllm_trtllmnvfp4expertsmonolithic",
     "tokens=160 hidden=6144 inter=2048 topk=8 experts=256 matrices=3 tp=8 "
     "ep=1 routing=power_law_1.2 dtype=nvfp4",
     134.4},
    {"h100-sxm-80gb", "trtllm-1.3.0rc20", "moe", "moe_torch_flow_cutlass",
     "tokens=64 hidden=5120 inter=8192 topk=1 experts=16 matrices=3 tp=1 ep=1 "
     "routing=power_law_1.2 dtype=bf16",
     6749},
    {"l40s", "sglang-0.5.14", "moe", "sglang_fused_moe_triton",
     "tokens=384 hidden=2880 inter=2880 topk=4 experts=32 matrices=3 tp=2 ep=1 "
     "routing=power_law_1.2 dtype=w4a16_mxfp4",
     1729},
    {"rtx-pro-6000-server", "sglang-0.5.14", "moe", "sglang_marlin_moe",
     "tokens=192 hidden=7168 inter=2048 topk=8 experts=384 matrices=3 tp=16 "
     "ep=1 routing=power_law_1.2 dtype=w4a16",
     402.3},
    {"a100-sxm-80gb", "nccl-2.27.3", "all_reduce", "nccl", "gpus=2 bytes=262144", 15.26},
    {"b200-sxm-180gb", "nccl-2.29.2", "all_reduce", "nccl", "gpus=8 bytes=32768", 27.33},
    {"h100-sxm-80gb", "nccl-2.29.2", "all_reduce", "nccl", "gpus=4 bytes=8388608", 62.1},
    {"l40s", "nccl-2.27.3", "all_reduce", "nccl", "gpus=2 bytes=1048576", 74.76},
    {"a100-sxm-80gb", "nccl-2.27.3", "all_gather", "nccl", "gpus=8 bytes=134217728", 659},
    {"b200-sxm-180gb", "nccl-2.29.2", "all_gather", "nccl", "gpus=2 bytes=32768", 9.8},
    {"h100-sxm-80gb", "nccl-2.29.2", "all_gather", "nccl", "gpus=2 bytes=65536", 6.37},
    {"a100-sxm-80gb", "nccl-2.27.3", "reduce_scatter", "nccl", "gpus=8 bytes=67108864",
     351},
    {"b200-sxm-180gb", "nccl-2.29.2", "reduce_scatter", "nccl", "gpus=8 bytes=67108864",
     140.9},
    {"h100-sxm-80gb", "nccl-2.29.2", "reduce_scatter", "nccl", "gpus=8 bytes=512", 10.24},
    {"a100-sxm-80gb", "nccl-2.27.3", "alltoall", "nccl", "gpus=2 bytes=2048", 10.83},
    {"b200-sxm-180gb", "nccl-2.29.2", "alltoall", "nccl", "gpus=8 bytes=131072", 14.97},
    {"h100-sxm-80gb", "nccl-2.29.2", "alltoall", "nccl", "gpus=2 bytes=16777216", 53.05},
    {"b200-sxm-180gb", "sglang-0.5.14", "gdn_scan", "chunk_gated_delta_rule",
     "batch=64 seq_len=1024 k_heads=4 k_dim=128 v_heads=12 v_dim=128 "
     "dtype=bf16 state_dtype=fp32",
     1304},
    {"h100-sxm-80gb", "sglang-0.5.14", "gdn_scan", "chunk_gated_delta_rule",
     "batch=16 seq_len=1 k_heads=8 k_dim=128 v_heads=8 v_dim=128 dtype=bf16 "
     "state_dtype=fp32",
     30.89},
    {"l40s", "vllm-0.24.0", "gdn_scan", "chunk_gated_delta_rule_triton",
     "batch=32 seq_len=8192 k_heads=2 k_dim=128 v_heads=8 v_dim=128 dtype=bf16 "
     "state_dtype=fp32",
     1.9e+04},
    {"rtx-pro-6000-server", "sglang-0.5.14", "gdn_scan", "chunk_gated_delta_rule",
     "batch=32 seq_len=1024 k_heads=8 k_dim=128 v_heads=8 v_dim=128 dtype=bf16 "
     "state_dtype=fp32",
     1018},
    {"b200-sxm-180gb", "sglang-0.5.14", "gdn_scan", "chunk_gated_delta_rule",
     "batch=8 seq_len=8 k_heads=4 k_dim=128 v_heads=8 v_dim=128 dtype=bf16 "
     "state_dtype=fp32",
     30.07},
    {"b200-sxm-180gb", "vllm-0.1.dev19262", "kda_scan", "flashkda_fwd",
     "batch=1 seq_len=64 k_heads=48 k_dim=128 v_heads=48 v_dim=128 dtype=bf16 "
     "state_dtype=fp32",
     24.81},
    {"h100-sxm-80gb", "sglang-0.5.16", "kda_scan", "chunk_kda",
     "batch=2 seq_len=32 k_heads=48 k_dim=128 v_heads=48 v_dim=128 dtype=bf16 "
     "state_dtype=fp32",
     47.26},
    {"l40s", "vllm-0.1.dev19262", "kda_scan", "chunk_kda_with_fused_gate",
     "batch=2 seq_len=8 k_heads=96 k_dim=128 v_heads=96 v_dim=128 dtype=bf16 "
     "state_dtype=fp32",
     49.56},
    {"rtx-pro-6000-server", "sglang-0.5.16", "kda_scan", "chunk_kda",
     "batch=2 seq_len=1024 k_heads=96 k_dim=128 v_heads=96 v_dim=128 "
     "dtype=bf16 state_dtype=fp32",
     1396},
    {"b200-sxm-180gb", "vllm-0.1.dev19262", "kda_scan", "flashkda_fwd",
     "batch=32 seq_len=2048 k_heads=96 k_dim=128 v_heads=96 v_dim=128 "
     "dtype=bf16 state_dtype=fp32",
     4854},
    {"b200-sxm-180gb", "trtllm-1.3.0rc15", "ssd_scan", "mamba_chunk_scan_combined",
     "batch=2 seq_len=32768 heads=256 head_dim=64 state=128 groups=8 chunk=128 "
     "dtype=bf16",
     1.132e+04},
    {"b200-sxm-180gb", "trtllm-1.3.0rc15", "ssd_scan", "mamba_chunk_scan_combined",
     "batch=4 seq_len=64 heads=256 head_dim=64 state=128 groups=8 chunk=128 "
     "dtype=bf16",
     139},
    {"b200-sxm-180gb", "trtllm-1.3.0rc15", "ssd_scan", "mamba_chunk_scan_combined",
     "batch=8 seq_len=1 heads=64 head_dim=64 state=128 groups=8 chunk=128 "
     "dtype=bf16",
     78.18},
    {"a100-sxm-80gb", "sglang-0.5.10", "gdn_update", "fused_recurrent_gated_delta_rule",
     "batch=128 seq_len=1 k_heads=16 k_dim=128 v_heads=48 v_dim=128 dtype=bf16 "
     "state_dtype=bf16 state_out_dtype=fp32",
     384.6},
    {"b200-sxm-180gb", "sglang-0.5.14", "gdn_update",
     "fused_recurrent_gated_delta_rule_packed_decode",
     "batch=128 seq_len=1 k_heads=4 k_dim=128 v_heads=12 v_dim=128 dtype=bf16 "
     "state_dtype=fp32",
     38.48},
    {"h100-sxm-80gb", "vllm-0.24.0", "gdn_update",
     "fused_recurrent_gated_delta_rule_packed_decode",
     "batch=1024 seq_len=1 k_heads=4 k_dim=128 v_heads=12 v_dim=128 dtype=bf16 "
     "state_dtype=fp32",
     543.1},
    {"l40s", "vllm-0.24.0", "gdn_update",
     "fused_recurrent_gated_delta_rule_packed_decode",
     "batch=1024 seq_len=1 k_heads=2 k_dim=128 v_heads=6 v_dim=128 dtype=bf16 "
     "state_dtype=fp32",
     1204},
    {"rtx-pro-6000-server", "vllm-0.24.0", "gdn_update",
     "fused_recurrent_gated_delta_rule_packed_decode",
     "batch=16 seq_len=1 k_heads=16 k_dim=128 v_heads=16 v_dim=128 dtype=bf16 "
     "state_dtype=fp32",
     9.261},
    {"b200-sxm-180gb", "sglang-0.5.16", "kda_update", "fused_kda_decode_mtp_dspark",
     "batch=8 seq_len=2 k_heads=96 k_dim=128 v_heads=96 v_dim=128 dtype=bf16 "
     "state_dtype=fp32",
     56.59},
    {"h100-sxm-80gb", "vllm-0.1.dev19262", "kda_update", "fused_kda_decode",
     "batch=64 seq_len=1 k_heads=96 k_dim=128 v_heads=96 v_dim=128 dtype=bf16 "
     "state_dtype=fp32",
     309.8},
    {"l40s", "sglang-0.5.16", "kda_update", "fused_sigmoid_gating_delta_rule_update",
     "batch=1 seq_len=4 k_heads=48 k_dim=128 v_heads=48 v_dim=128 dtype=bf16 "
     "state_dtype=fp32",
     10.8},
    {"rtx-pro-6000-server", "vllm-0.1.dev19262", "kda_update", "fused_recurrent_kda",
     "batch=64 seq_len=2 k_heads=48 k_dim=128 v_heads=48 v_dim=128 dtype=bf16 "
     "state_dtype=fp32",
     420.8},
    {"b200-sxm-180gb", "sglang-0.5.16", "kda_update", "fused_kda_decode_mtp_dspark",
     "batch=16 seq_len=8 k_heads=48 k_dim=128 v_heads=48 v_dim=128 dtype=bf16 "
     "state_dtype=fp32",
     104.5},
    {"a100-sxm-80gb", "sglang-0.5.10", "conv1d", "causal_conv1d_fn",
     "batch=4 seq_len=4096 channels=2048 width=4 dtype=bf16", 110.8},
    {"b200-sxm-180gb", "sglang-0.5.14", "conv1d", "causal_conv1d_fn",
     "batch=2 seq_len=4096 channels=1536 width=4 dtype=bf16", 19.12},
    {"h100-sxm-80gb", "trtllm-1.3.0rc10", "conv1d", "causal_conv1d_fn",
     "batch=1 seq_len=8192 channels=1536 width=4 dtype=bf16", 27.14},
    {"l40s", "trtllm-1.3.0rc20", "conv1d", "causal_conv1d_fn",
     "batch=32 seq_len=1024 channels=1536 width=4 dtype=bf16", 192.4},
    {"rtx-pro-6000-server", "vllm-0.24.0", "conv1d", "causal_conv1d_fn",
     "batch=8 seq_len=4 channels=10240 width=4 dtype=bf16", 2.701},
    {"l40s", "sglang-0.5.14", "conv1d_update", "causal_conv1d_update",
     "batch=1024 seq_len=1 channels=4096 width=4 dtype=bf16", 25.79},
    {"b200-sxm-180gb", "trtllm-1.3.0rc10", "conv1d_update", "causal_conv1d_update",
     "batch=64 seq_len=1 channels=1536 width=4 dtype=bf16", 5.837},
    {"h100-sxm-80gb", "trtllm-1.3.0rc20", "conv1d_update", "causal_conv1d_update",
     "batch=2 seq_len=1 channels=6144 width=4 dtype=bf16", 4.354},
    {"l40s", "vllm-0.24.0", "conv1d_update", "causal_conv1d_update",
     "batch=256 seq_len=1 channels=768 width=4 dtype=bf16", 2.423},
    {"rtx-pro-6000-server", "trtllm-1.3.0rc20", "conv1d_update", "causal_conv1d_update",
     "batch=16 seq_len=1 channels=10240 width=4 dtype=bf16", 3.965},
};

Test(rows_moe_scan, errors_stay_where_they_are)
{
    enum { N = sizeof measured / sizeof *measured };
    struct rows_result r = rows_judge(measured, N);

    cr_expect_lt(r.median, 0.05, "median error %.3f", r.median);
    cr_expect_lt(r.p90, 0.25, "90th percentile %.3f", r.p90);
    cr_expect_geq(r.inside, 0.85, "%.2f of the rows inside their interval", r.inside);
}
