/* Scans and their one-token updates. */
#include "op_test.h"

#include <stdio.h>

Test(op_mamba1, by_hand)
{
    /* 2 tokens · 4 channels; state 16 */
    struct rl_work w = work_of("selective_scan", "batch=1 seq_len=2 channels=4 state=16 "
                                                 "dt_rank=1 dtype=bf16 state_dtype=fp32");

    cr_expect_eq(w.flop, 0.0);
    cr_expect_eq(w.vector_flop, 808.0);  /* 8·(6·16 + 5) */
    cr_expect_eq(w.sfu, 152.0);          /* 8·(16 + 3) */
    cr_expect_eq(w.act_bytes, 208.0);    /* 2·(5·4 + 2·16)·2 */
    cr_expect_eq(w.cache_bytes, 256.0);  /* final state 4·16·4 */
    cr_expect_eq(w.weight_bytes, 288.0); /* 4·(16 + 2)·4 */
    cr_expect_eq(w.parallel, 4.0);
    cr_expect_eq(w.serial, 1.0);

    w = work_of("selective_state_update",
                "batch=3 seq_len=1 channels=4 state=16 dt_rank=1 "
                "dtype=bf16 state_dtype=bf16");
    cr_expect_eq(w.vector_flop, 3 * 404.0);
    cr_expect_eq(w.cache_bytes, 3 * 256.0); /* read and written: 2·4·16·2 */
    cr_expect_eq(w.act_bytes, 3 * 96.0);    /* (4·4 + 2·16)·2 */
    cr_expect_eq(w.weight_bytes, 288.0);    /* once for the batch */
}

#define MAMBA2 "batch=1 heads=64 head_dim=64 state=128 groups=1 chunk=256 dtype=bf16 "

/* mamba2-1.3b: 64·(4·64·128 + 256·64) + 2·128·256 = 3,211,264 FLOP per token and
 * layer, 0.154 GFLOP over 48 layers. */
Test(op_ssd, mamba2_1_3b)
{
    struct rl_work w = work_of("ssd_scan", MAMBA2 "seq_len=256");

    cr_expect_eq(w.flop / 256, 3211264.0);
    expect_near(48 * w.flop / 256, 0.154e9, 1e-3);
    cr_expect_eq(w.act_bytes, 256 * 17024.0); /* (2·4096 + 2·128 + 64)·2 a token */
    cr_expect_eq(w.cache_bytes, 2097152.0);   /* 64·64·128·4 */
    cr_expect_eq(w.serial, 1.0);
    cr_expect_eq(w.sfu, 64 * (256 * 128 + 4 * 256.0)); /* half the square, 4 a token */

    w = work_of("ssd_update", MAMBA2 "seq_len=1");
    cr_expect_eq(w.vector_flop, 2621440.0);     /* 5·64·64·128 */
    cr_expect_eq(w.cache_bytes, 2 * 2097152.0); /* fp32, in and out */
    w = work_of("ssd_update", MAMBA2 "seq_len=1 state_dtype=bf16");
    cr_expect_eq(w.cache_bytes, 2097152.0);
}

/* Whole chunks: n times the tokens is n times the work.  A short one costs less
 * than a whole one and more than its share of it without the square. */
Test(op_ssd, linear_in_whole_chunks)
{
    struct rl_work one = work_of("ssd_scan", MAMBA2 "seq_len=256");
    struct rl_work eight = work_of("ssd_scan", MAMBA2 "seq_len=2048");
    struct rl_work half = work_of("ssd_scan", MAMBA2 "seq_len=128");

    cr_expect_eq(eight.flop, 8 * one.flop);
    cr_expect_eq(eight.act_bytes, 8 * one.act_bytes);
    cr_expect_eq(eight.l2_bytes, 8 * one.l2_bytes);
    cr_expect_eq(eight.cache_bytes, one.cache_bytes);
    cr_expect_eq(eight.serial, 8.0);
    cr_expect_lt(half.flop, one.flop / 2);
    cr_expect_gt(half.flop, one.flop / 4);
}

#define GDN "batch=1 k_heads=16 k_dim=128 v_heads=32 v_dim=128 dtype=bf16 "

/* Qwen3-Next: 6·128·128 + 2·64·(2.625·128 + 2·128) = 174,080 FLOP per token and
 * value head, 5.57 MFLOP per token and layer. */
Test(op_gdn, qwen3_next)
{
    struct rl_work w = work_of("gdn_scan", GDN "seq_len=64 state_dtype=fp32");

    cr_expect_eq(w.flop, 64 * 5570560.0);
    cr_expect_eq(w.act_bytes, 64 * 24832.0); /* 2·16·128·2 + 32·(2·128·2 + 8) */
    cr_expect_eq(w.cache_bytes, 2 * 2097152.0);
    cr_expect_eq(work_of("gdn_scan", GDN "seq_len=640").flop, 10 * w.flop);
    cr_expect_eq(work_of("gdn_scan", GDN "seq_len=640").serial, 10.0);
    cr_expect_eq(work_of("gdn_scan", GDN "seq_len=64 state_dtype=none").cache_bytes, 0.0);
}

Test(op_gdn, update)
{
    struct rl_work w = work_of("gdn_update", GDN "seq_len=1 state_dtype=fp32");

    cr_expect_eq(w.vector_flop, 3670016.0);     /* 7·128·128·32 */
    cr_expect_eq(w.cache_bytes, 2 * 2097152.0); /* 32·128·128·4, in and out */
    /* reads 16 bits, writes 32: 524288·(2 + 4) */
    w = work_of("gdn_update", GDN "seq_len=1 state_dtype=bf16 state_out_dtype=fp32");
    cr_expect_eq(w.cache_bytes, 3145728.0);
    /* four speculative tokens: one read, four writes */
    w = work_of("gdn_update", GDN "seq_len=4 state_dtype=fp32");
    cr_expect_eq(w.cache_bytes, 5 * 2097152.0);
    cr_expect_eq(w.serial, 3.0); /* each after the first waits for the one before */
}

/* The products of the gated delta rule, and more vector work. */
Test(op_kda, gates_per_channel)
{
    struct rl_work g = work_of("gdn_scan", GDN "seq_len=64");
    struct rl_work k = work_of("kda_scan", GDN "seq_len=64");
    double gates = 64 * 32 * 128.0, pairs = gates * 8;

    cr_expect_eq(k.flop, g.flop);
    cr_expect_eq(k.vector_flop - g.vector_flop, 6 * pairs + 4 * gates);
    cr_expect_eq(k.sfu - g.sfu, pairs + 4 * gates);
    cr_expect_eq(k.act_bytes - g.act_bytes, 2 * gates);
    cr_expect_eq(work_of("kda_update", GDN "seq_len=1").cache_bytes,
                 work_of("gdn_update", GDN "seq_len=1").cache_bytes);
}

#define LIN "batch=1 heads=2 k_dim=4 v_dim=4 dtype=bf16 "
Test(op_linear, by_hand)
{
    /* 4 tokens: 2·(4·16·4 + (4 + 4)·4²) */
    cr_expect_eq(work_of("lightning_scan", LIN "seq_len=4").flop, 768.0);
    cr_expect_eq(work_of("rwkv6_scan", LIN "seq_len=4").flop, 768.0);
    cr_expect_eq(work_of("mlstm_scan", LIN "seq_len=4").flop, 768.0);
    /* 2·(8·16·4 + 8·8·4²) */
    cr_expect_eq(work_of("rwkv7_scan", LIN "seq_len=4").flop, 3072.0);
    cr_expect_eq(work_of("lightning_update", LIN "seq_len=1").vector_flop,
                 160.0);                                                       /* 5·32 */
    cr_expect_eq(work_of("rwkv7_update", LIN "seq_len=1").vector_flop, 288.0); /* 9·32 */
    cr_expect_eq(work_of("mlstm_update", LIN "seq_len=1").vector_flop, 192.0); /* 6·32 */
    cr_expect_eq(work_of("lightning_update", LIN "seq_len=1").cache_bytes,
                 256.0); /* 2·32·4 */
    /* with the normaliser: 2·2·4·(4 + 1)·4 */
    cr_expect_eq(work_of("mlstm_update", LIN "seq_len=1").cache_bytes, 320.0);
    cr_expect_eq(work_of("rwkv7_scan", LIN "seq_len=64").serial, 4.0); /* chunks of 16 */
}

Test(op_rglru, by_hand)
{
    struct rl_work w = work_of("rglru_scan", "batch=2 seq_len=3 channels=5 dtype=bf16");

    cr_expect_eq(w.vector_flop, 360.0); /* 12·30 */
    cr_expect_eq(w.sfu, 210.0);         /* 7·30 */
    cr_expect_eq(w.act_bytes, 240.0);   /* 4·30·2 */
    cr_expect_eq(w.cache_bytes, 40.0);  /* 2·5·4 */
    cr_expect_eq(w.serial, 1.0);
    w = work_of("rglru_update", "batch=2 seq_len=1 channels=5 dtype=bf16");
    cr_expect_eq(w.cache_bytes, 80.0);
}

/* A scan of whole chunks is linear in its length in every count that grows. */
Test(op_scan, linear_in_length)
{
    static const struct {
        const char *op, *shape;
    } row[] = {
        {"ssd_scan", MAMBA2},    {"gdn_scan", GDN},   {"kda_scan", GDN},
        {"lightning_scan", LIN}, {"rwkv6_scan", LIN}, {"rwkv7_scan", LIN},
        {"mlstm_scan", LIN},
    };

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char a[200], b[200];
        snprintf(a, sizeof a, "%s seq_len=512", row[i].shape);
        snprintf(b, sizeof b, "%s seq_len=1536", row[i].shape);
        struct rl_work one = work_of(row[i].op, a), three = work_of(row[i].op, b);
        cr_expect_eq(three.flop, 3 * one.flop, "%s", row[i].op);
        cr_expect_eq(three.vector_flop, 3 * one.vector_flop, "%s", row[i].op);
        cr_expect_eq(three.sfu, 3 * one.sfu, "%s", row[i].op);
        cr_expect_eq(three.act_bytes, 3 * one.act_bytes, "%s", row[i].op);
        cr_expect_eq(three.l2_bytes, 3 * one.l2_bytes, "%s", row[i].op);
        cr_expect_eq(three.serial, 3 * one.serial, "%s", row[i].op);
        cr_expect_eq(three.cache_bytes, one.cache_bytes, "%s", row[i].op);
    }
}
