/* Reading, refusing and printing operator parameters. */
#include "op_test.h"

#include <stdio.h>

#define ATT                                                                              \
    "batch=1 q_len=1 kv_len=64 heads=8 kv_heads=2 head_dim=64 window=0 dtype=bf16 "

Test(op_parse, values_in_any_order_and_blanks)
{
    const struct rl_op_type *op = rl_op_find("gemm");
    double p[RL_MAXPARAMS];

    cr_assert_eq(rl_op_parse(op, "  dtype=fp8\tk=3  n=2 m=1 ", p, NULL), 0);
    cr_expect_eq(p[RL_GEMM_M], 1.0);
    cr_expect_eq(p[RL_GEMM_N], 2.0);
    cr_expect_eq(p[RL_GEMM_K], 3.0);
    cr_expect_eq(p[RL_GEMM_DTYPE], (double)RL_DT_FP8);
}

Test(op_parse, fallbacks)
{
    double p[RL_MAXPARAMS];

    cr_assert_eq(rl_op_parse(rl_op_find("attention_decode"), ATT, p, NULL), 0);
    cr_expect_eq(p[RL_ATT_KV_DTYPE], (double)RL_DT_BF16, "as dtype");
    cr_expect_eq(p[RL_ATT_CAUSAL], 1.0);
    cr_assert_eq(rl_op_parse(rl_op_find("gdn_update"),
                             "batch=1 seq_len=1 k_heads=1 k_dim=8 v_heads=2 v_dim=8 "
                             "dtype=bf16 state_dtype=bf16",
                             p, NULL),
                 0);
    cr_expect_eq(p[RL_GDN_STATE_OUT_DTYPE], (double)RL_DT_BF16, "as state_dtype");
}

Test(op_parse, routing)
{
#define MOE "tokens=1 hidden=64 inter=64 topk=2 experts=8 dtype=bf16"
    const struct rl_op_type *op = rl_op_find("moe");
    double p[RL_MAXPARAMS];

    cr_assert_eq(rl_op_parse(op, MOE, p, NULL), 0);
    cr_expect_eq(p[RL_MOE_ROUTING], RL_ROUTING_UNIFORM);
    cr_assert_eq(rl_op_parse(op, MOE " routing=balanced", p, NULL), 0);
    cr_expect_eq(p[RL_MOE_ROUTING], 0.0);
    cr_assert_eq(rl_op_parse(op, MOE " routing=power_law_1.2", p, NULL), 0);
    cr_expect_eq(p[RL_MOE_ROUTING], 1.2);
    expect_refused("moe", MOE " routing=skewed", "'routing'");
    expect_refused("moe", MOE " routing=power_law_", "'routing'");
    expect_refused("moe", MOE " routing=power_law_-1", "'routing'");
    expect_refused("moe", MOE " routing=power_law_99", "'routing'");
    expect_refused("moe", MOE " routing=1.2", "'routing'");
}

Test(op_parse, refuses_and_names_the_parameter)
{
    expect_refused("gemm", "m=1 n=2 k=3", "'dtype': missing");
    expect_refused("gemm", "", "'m': missing");
    expect_refused("gemm", "m=1 n=2 k=3 dtype=bf16 m=1", "'m': given twice");
    expect_refused("gemm", "m=x n=2 k=3 dtype=bf16", "'m': expected a whole number");
    expect_refused("gemm", "m= n=2 k=3 dtype=bf16", "'m': expected a whole number");
    expect_refused("gemm", "m=1.5 n=2 k=3 dtype=bf16", "'m': expected a whole number");
    expect_refused("gemm", "m=1x n=2 k=3 dtype=bf16", "'m': expected a whole number");
    expect_refused("gemm", "m=0x10 n=2 k=3 dtype=bf16", "'m': expected a whole number");
    expect_refused("gemm", "m=nan n=2 k=3 dtype=bf16", "'m': expected a whole number");
    expect_refused("gemm", "m=inf n=2 k=3 dtype=bf16", "'m': expected a whole number");
    expect_refused("gemm", "m=0 n=2 k=3 dtype=bf16", "'m': 0 is below 1");
    expect_refused("gemm", "m=1 n=-2 k=3 dtype=bf16", "'n': -2 is below 1");
    expect_refused("gemm", "m=1 n=2 k=1e16 dtype=bf16", "'k': 1e+16 is above 2^53");
    expect_refused("gemm", "m=1 n=2 k=1e999 dtype=bf16", "'k'");
    expect_refused("gemm", "m=1 n=2 k=3 dtype=none", "'dtype': 'none'");
    expect_refused("gemm", "m 1", "expected name=value, got 'm'");
    expect_refused("gemm", "=1", "expected name=value");
}

Test(op_parse, suggests_the_nearest_name)
{
    expect_refused("attention_decode", ATT "kv_dtyp=fp8", "nearest: kv_dtype");
    expect_refused("gemm", "m=1 n=2 k=3 dtype=bf17", "nearest: bf16");
}

Test(op_parse, contradictions)
{
    expect_refused("attention_decode",
                   "batch=1 q_len=1 kv_len=64 heads=8 kv_heads=3 head_dim=64 dtype=bf16",
                   "heads=8 is no multiple of kv_heads=3");
    expect_refused("attention_prefill",
                   "batch=1 q_len=65 kv_len=64 heads=8 kv_heads=8 head_dim=64 dtype=bf16",
                   "q_len=65 is above kv_len=64");
    expect_refused("attention_decode", ATT "causal=2", "'causal': expected 0 or 1");
    expect_refused("attention_decode", ATT "sink=4", "sink needs a window");
    expect_refused("attention_decode", ATT "chunk=4 causal=0", "chunk");
    expect_refused(
        "attention_prefill",
        "batch=1 q_len=1 kv_len=64 heads=8 kv_heads=8 head_dim=64 dtype=q4_k_m",
        "weight format");
    expect_refused("ssd_scan",
                   "batch=1 seq_len=1 heads=6 head_dim=64 state=64 groups=4 chunk=64 "
                   "dtype=bf16",
                   "heads=6 is no multiple of groups=4");
    expect_refused("gdn_scan",
                   "batch=1 seq_len=1 k_heads=4 k_dim=8 v_heads=6 v_dim=8 dtype=bf16",
                   "v_heads=6 is no multiple of k_heads=4");
    expect_refused("gdn_scan",
                   "batch=1 seq_len=1 k_heads=4 k_dim=8 v_heads=8 v_dim=8 dtype=bf16 "
                   "state_dtype=none state_out_dtype=fp32",
                   "state_dtype=none");
    expect_refused("moe", "tokens=1 hidden=64 inter=64 topk=9 experts=8 dtype=bf16",
                   "topk=9 is above experts=8");
    expect_refused("moe", MOE " matrices=4", "'matrices'");
    expect_refused("moe", MOE " ep=9", "ep=9 is above experts=8");
    expect_refused("elementwise", "rows=1 width=1 dtype=bf16 reads=0 writes=0",
                   "reads and writes");
}

Test(op_parse, prints_what_it_reads)
{
    static const struct {
        const char *op, *text, *printed;
    } row[] = {
        {"gemm", "k=4096 m=1 dtype=bf16 n=11008", "m=1 n=11008 k=4096 dtype=bf16"},
        {"attention_decode", ATT "kv_dtype=fp8 causal=0",
         "batch=1 q_len=1 kv_len=64 heads=8 kv_heads=2 head_dim=64 dtype=bf16 "
         "kv_dtype=fp8 causal=0"},
        {"moe", MOE " routing=power_law_1.2",
         "tokens=1 hidden=64 inter=64 topk=2 experts=8 routing=power_law_1.2 "
         "dtype=bf16"},
        {"moe", MOE " routing=balanced",
         "tokens=1 hidden=64 inter=64 topk=2 experts=8 routing=balanced dtype=bf16"},
        {"all_reduce", "gpus=8 bytes=9007199254740992", "gpus=8 bytes=9007199254740992"},
    };

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        const struct rl_op_type *op = rl_op_find(row[i].op);
        double p[RL_MAXPARAMS], again[RL_MAXPARAMS];
        char buf[256];

        cr_assert_eq(rl_op_parse(op, row[i].text, p, NULL), 0);
        cr_expect_str_eq(rl_op_format(op, p, buf, sizeof buf), row[i].printed);
        cr_assert_eq(rl_op_parse(op, buf, again, NULL), 0);
        cr_expect_arr_eq(p, again, sizeof p);
    }
}

Test(op_parse, short_buffers_stay_terminated)
{
    const struct rl_op_type *op = rl_op_find("gemm");
    double p[RL_MAXPARAMS];
    char buf[64];

    cr_assert_eq(rl_op_parse(op, "m=1 n=2 k=3 dtype=bf16", p, NULL), 0);
    for (size_t size = 1; size < sizeof buf; size++) {
        memset(buf, 'x', sizeof buf);
        rl_op_format(op, p, buf, size);
        cr_expect_lt(strlen(buf), size);
        cr_expect_eq(strncmp(buf, "m=1 n=2 k=3 dtype=bf16", strlen(buf)), 0);
    }
}

Test(op_parse, every_type_is_whole)
{
    for (int i = 0; rl_op_types[i]; i++) {
        const struct rl_op_type *op = rl_op_types[i];

        cr_expect_eq(rl_op_find(op->name), op, "%s", op->name);
        cr_expect(op->ref && strlen(op->ref) > 10, "%s", op->name);
        cr_expect_not_null(op->work, "%s", op->name);
        cr_expect_neq(op->shape_params, 0U, "%s", op->name);
        cr_expect_gt(op->log_sd, 0.0, "%s has no spread", op->name);
        for (int k = 0; op->param[k].name; k++)
            cr_expect_eq(rl_op_param(op, op->param[k].name), k);
    }
    cr_expect_null(rl_op_find("gem"));
    cr_expect_eq(rl_op_param(rl_op_find("gemm"), "x"), -1);
}
