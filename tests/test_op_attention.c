/* Attention, latent attention and the sparse indexer. */
#include "op_test.h"

#include <stdio.h>

static const double none = 0.0;

Test(op_attention, by_hand)
{
    /* 4 queries see 1 + 2 + 3 + 4 = 10 keys */
    struct rl_work w = work_of("attention_prefill",
                               "batch=1 q_len=4 kv_len=4 heads=2 kv_heads=1 head_dim=8 "
                               "window=0 dtype=bf16 kv_dtype=bf16");

    cr_expect_eq(w.flop, 640.0);        /* 2·2 heads·10 pairs·(8 + 8) */
    cr_expect_eq(w.sfu, 20.0);          /* 2·10 */
    cr_expect_eq(w.vector_flop, 80.0);  /* 4 each */
    cr_expect_eq(w.act_bytes, 256.0);   /* Q and O: 4·2·(8 + 8)·2 */
    cr_expect_eq(w.cache_bytes, 128.0); /* K and V of one head: 4·(8 + 8)·2 */
    cr_expect_eq(w.weight_bytes, 0.0);
    cr_expect_eq(w.parallel, 2.0);
}

Test(op_attention, pairs_of_masks)
{
    cr_expect_eq(rl_attention_pairs(2, 5, none, none, 1), 9.0);  /* 4 + 5 */
    cr_expect_eq(rl_attention_pairs(2, 5, 3, none, 1), 6.0);     /* 3 + 3 */
    cr_expect_eq(rl_attention_pairs(5, 5, 3, none, 1), 12.0);    /* 1 + 2 + 3 + 3 + 3 */
    cr_expect_eq(rl_attention_pairs(2, 5, none, none, 0), 10.0); /* cross */
    cr_expect_eq(rl_attention_pairs(6, 6, none, 4, 1), 13.0);    /* 1+2+3+4, 1+2 */
    cr_expect_eq(rl_attention_pairs(3, 6, none, 4, 1), 7.0);     /* 4, 1 + 2 */
}

#define SMALL "batch=1 heads=1 kv_heads=1 head_dim=1 dtype=bf16 "
/* K and V of one head of width 1 in 16 bits: 4 bytes per key. */
Test(op_attention, keys_read)
{
    cr_expect_eq(
        work_of("attention_prefill", SMALL "q_len=2 kv_len=9 window=3").cache_bytes,
        4.0 * 4); /* the last two queries see keys 6 … 9 */
    cr_expect_eq(
        work_of("attention_prefill", SMALL "q_len=9 kv_len=9 window=3").cache_bytes,
        4.0 * 9);
    cr_expect_eq(
        work_of("attention_decode", SMALL "q_len=1 kv_len=9 window=3").cache_bytes,
        4.0 * 3);
    cr_expect_eq(
        work_of("attention_decode", SMALL "q_len=1 kv_len=2 window=3").cache_bytes,
        4.0 * 2);
    /* window of 3 and one meta token */
    cr_expect_eq(
        work_of("attention_decode", SMALL "q_len=1 kv_len=9 window=3 sink=1").cache_bytes,
        4.0 * 4);
    /* chunks of 4: keys 5 and 6 are the last query's own chunk */
    cr_expect_eq(
        work_of("attention_decode", SMALL "q_len=1 kv_len=6 chunk=4").cache_bytes,
        4.0 * 2);
    cr_expect_eq(
        work_of("attention_prefill", SMALL "q_len=3 kv_len=6 chunk=4").cache_bytes,
        4.0 * 6);
    /* fp8 cache: half; V of another width: (1 + 3)·2 */
    cr_expect_eq(
        work_of("attention_decode", SMALL "q_len=1 kv_len=9 kv_dtype=fp8").cache_bytes,
        2.0 * 9);
    cr_expect_eq(
        work_of("attention_decode", SMALL "q_len=1 kv_len=9 v_dim=3").cache_bytes,
        8.0 * 9);
}

/* A prompt cut into chunks costs what it costs in one piece. */
Test(op_attention, chunked_prefill_sums_up)
{
    static const double window[] = {0, 1, 7, 64, 1000}, local[] = {0, 1, 8, 100};

    srand(1);
    for (int trial = 0; trial < 200; trial++) {
        double w = window[rand() % 5], c = w > 0 ? 0 : local[rand() % 4];
        double depth = rand() % 300, len = 1 + rand() % 500, sum = 0;
        double whole = rl_attention_pairs(len, depth + len, w, c, 1);
        for (double done = 0, step; done < len; done += step) {
            step = fmin(1 + rand() % 128, len - done);
            sum += rl_attention_pairs(step, depth + done + step, w, c, 1);
        }
        cr_expect_eq(sum, whole, "depth %g len %g window %g chunk %g", depth, len, w, c);
    }
}

/* T decode steps cost what the prefill of T tokens on the same cache costs, and
 * FLOP are linear in the cache. */
Test(op_attention, decode_steps_sum_up)
{
    const struct rl_op_type *op = rl_op_find("attention_decode");
    double p[RL_MAXPARAMS], sum = 0;
    struct rl_work w;

    cr_assert_eq(rl_op_parse(op,
                             "batch=3 q_len=1 kv_len=1000 heads=8 kv_heads=2 head_dim=64 "
                             "dtype=bf16",
                             p, NULL),
                 0);
    for (int t = 1; t <= 50; t++) {
        p[RL_ATT_KV_LEN] = 1000 + t;
        memset(&w, 0, sizeof w);
        op->work(p, &w);
        cr_expect_eq(w.flop, 3 * 8 * 4 * 64.0 * (1000 + t));
        sum += w.flop;
    }
    cr_expect_eq(sum, work_of("attention_prefill",
                              "batch=3 q_len=50 kv_len=1050 heads=8 kv_heads=2 "
                              "head_dim=64 dtype=bf16")
                          .flop);
}

Test(op_attention, a_wide_window_is_full_attention)
{
    for (int len = 1; len < 40; len++)
        for (int q = 1; q <= len; q += 3) {
            double full = rl_attention_pairs(q, len, none, none, 1);
            cr_expect_eq(rl_attention_pairs(q, len, len, none, 1), full);
            cr_expect_eq(rl_attention_pairs(q, len, len + 5, none, 1), full);
            cr_expect_eq(rl_attention_pairs(q, len, none, len, 1), full);
            cr_expect_leq(rl_attention_pairs(q, len, len / 2 + 1, none, 1), full);
        }
}

/* Grouped queries change the cache traffic only, and with as many KV heads as
 * query heads they are multi-head attention. */
Test(op_attention, groups)
{
#define SHAPE "batch=2 q_len=1 kv_len=100 heads=8 head_dim=64 dtype=bf16 "
    struct rl_work mha = work_of("attention_decode", SHAPE "kv_heads=8");
    struct rl_work gqa = work_of("attention_decode", SHAPE "kv_heads=2");

    cr_expect_eq(mha.flop, gqa.flop);
    cr_expect_eq(mha.cache_bytes, 4 * gqa.cache_bytes);
    cr_expect_eq(mha.cache_bytes, 2 * 100 * 8 * 128 * 2.0);
}

/* Llama-2-7B, mean over a prompt of 2048 tokens: 32 layers · 4·32·128·1024.5
 * is 0.54 GFLOP per token. */
Test(op_attention, llama_7b_prompt)
{
    double flop = 32 * work_of("attention_prefill",
                               "batch=1 q_len=2048 kv_len=2048 heads=32 kv_heads=32 "
                               "head_dim=128 dtype=fp16")
                           .flop;

    cr_expect_eq(flop / 2048, 537133056.0);
}

#define LATENT                                                                           \
    "batch=1 heads=128 kv_lora_rank=512 rope_dim=64 nope_dim=128 v_dim=128 dtype=bf16 "
Test(op_mla, by_hand)
{
    struct rl_work w = work_of("mla_decode", LATENT "q_len=1 kv_len=10");

    cr_expect_eq(w.flop, 2785280.0);      /* 2·128·10·(512 + 64 + 512) */
    cr_expect_eq(w.cache_bytes, 11520.0); /* 10·576·2: one latent for all heads */
    cr_expect_eq(w.act_bytes, 278528.0);  /* 128·(576 + 512)·2 */
    cr_expect_eq(w.parallel, 2.0);        /* 128 rows in tiles of 64 */
    cr_expect_eq(
        work_of("mla_decode", LATENT "q_len=1 kv_len=10 kv_dtype=fp8").cache_bytes,
        5760.0);

    w = work_of("mla_prefill", LATENT "q_len=4 kv_len=4");
    cr_expect_eq(w.flop, 819200.0);      /* 2·128·10 pairs·(192 + 128) */
    cr_expect_eq(w.act_bytes, 589824.0); /* 4·128·(192 + 128)·2 + 4·128·256·2 */
    cr_expect_eq(w.cache_bytes, 512.0);  /* the shared rope part: 4·64·2 */
}

/* The absorbed form costs 1088/320 = 3.4 times the FLOP of the other. */
Test(op_mla, absorbed_against_decompressed)
{
    struct rl_work d = work_of("mla_prefill", LATENT "q_len=100 kv_len=100");
    struct rl_work a = work_of("mla_prefill", LATENT "q_len=100 kv_len=100 absorbed=1");

    cr_expect_eq(a.flop / d.flop, 3.4);
    cr_expect_eq(a.sfu, d.sfu);
}

/* DSA: each query sees at most topk keys. */
Test(op_mla, sparse)
{
    struct rl_work w =
        work_of("mla_prefill", LATENT "q_len=4 kv_len=4 topk=3 absorbed=1");

    cr_expect_eq(w.sfu, 128.0 * 9); /* 1 + 2 + 3 + 3 */
    w = work_of("mla_decode", LATENT "q_len=1 kv_len=100000 topk=2048");
    cr_expect_eq(w.flop, 2 * 128 * 2048 * 1088.0);
    cr_expect_eq(w.cache_bytes, 2048 * 576 * 2.0);
    w = work_of("mla_decode", LATENT "q_len=1 kv_len=100 topk=2048");
    cr_expect_eq(w.cache_bytes, 100 * 576 * 2.0);
    expect_refused("mla_decode", LATENT "q_len=2 kv_len=1", "q_len=2 is above kv_len=1");
    expect_refused("mla_decode", LATENT "q_len=1 kv_len=1 absorbed=3", "'absorbed'");
}

Test(op_dsa_indexer, by_hand)
{
    struct rl_work w = work_of(
        "dsa_indexer", "batch=1 q_len=1 kv_len=10 heads=64 head_dim=128 dtype=fp8");

    cr_expect_eq(w.flop, 163840.0);      /* 2·64·10·128 */
    cr_expect_eq(w.vector_flop, 1920.0); /* 3·64·10 */
    cr_expect_eq(w.cache_bytes, 1320.0); /* 10·(128 + 4) */
    cr_expect_eq(w.act_bytes, 8528.0);   /* 64·(128 + 4) and 10 scores, out and in */
}
