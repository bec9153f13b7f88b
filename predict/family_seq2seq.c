/* Encoder-decoders: Whisper, Moonshine (speech) and T5.  Read in transformers
 * models/{whisper,moonshine,t5}.
 *
 * The context of a query is the encoder's length; the prefill runs the encoder
 * once and the decoder on its start token, and cross attention's keys and
 * values are made there.  Encoder weights are resident but no decode step
 * reads them.  T5's relative position bias is a table, its add in the scores.
 */
#include "build.h"

#include <string.h>

/* One stack's layers: `cross` of a decoder. */
struct stack {
    double layers, inter;
    unsigned norm, mlp;
    bool cross;
    struct rl_attn attn;
};

static void blocks(struct rl_build *b, const struct stack *s)
{
    struct rl_attn cross = s->attn;

    rl_b_layers(b, s->layers);
    rl_b_norm(b, "attn_norm", b->hidden, s->norm);
    rl_b_attention(b, &s->attn);
    rl_b_residual(b);
    if (s->cross) {
        rl_b_norm(b, "cross_norm", b->hidden, s->norm);
        rl_b_cross_attention(b, &cross);
        rl_b_residual(b);
    }
    rl_b_norm(b, "mlp_norm", b->hidden, s->norm);
    rl_b_mlp(b, s->inter, s->mlp);
    rl_b_residual(b);
    rl_b_layers(b, 1);
    rl_b_norm(b, "final_norm", b->hidden, s->norm);
}

static void start(struct rl_build *b, double hidden, double enc, double dec,
                  double positions)
{
    b->g->encoder_decoder = true;
    b->g->decoder_start = 1;
    rl_b_shape(b, hidden, enc + dec, positions);
}

/* Two convolutions as products: kernel 3 over mel bands, then with stride 2,
 * so that X positions come from 2X frames. */
static void whisper_front(struct rl_build *b, double mels, double positions)
{
    double d = b->hidden;

    rl_b_linear_on(b, "conv1", RL_TX, 2, 3 * mels, d, RL_BIAS);
    rl_b_elementwise(b, "act", "act", 2 * d, 1, 1, false);
    rl_b_linear(b, "conv2", 3 * d, d, RL_BIAS);
    rl_b_elementwise(b, "act", "act", d, 1, 1, false);
    rl_b_positions(b, positions, d);
}

static struct rl_attn whisper_attn(struct rl_build *b, const char *key)
{
    struct rl_attn a = {.heads = rl_b_num(b, key),
                        .rope_dim = -1,
                        .qkv_bias = true,
                        .no_k_bias = true,
                        .o_bias = true};
    a.kv_heads = a.heads;
    a.head_dim = b->hidden / a.heads;
    return a;
}

static int build_whisper(const struct rl_cfg *c, struct rl_graph *g, struct rl_error *err)
{
    struct rl_build b;

    rl_b_open(&b, c, g, err);
    double d = rl_b_num(&b, "d_model"), vocab = rl_b_num(&b, "vocab_size");
    double enc = rl_b_num(&b, "encoder_layers"), dec = rl_b_num(&b, "decoder_layers");
    double source = rl_b_num_or(&b, "max_source_positions", 1500);
    start(&b, d, enc, dec, source);
    struct stack e = {.layers = enc,
                      .inter = rl_b_num(&b, "encoder_ffn_dim"),
                      .norm = RL_LN,
                      .mlp = RL_MLP_BIAS,
                      .attn = whisper_attn(&b, "encoder_attention_heads")};
    struct stack s = {.layers = dec,
                      .inter = rl_b_num(&b, "decoder_ffn_dim"),
                      .norm = RL_LN,
                      .mlp = RL_MLP_BIAS,
                      .cross = true,
                      .attn = whisper_attn(&b, "decoder_attention_heads")};

    rl_b_encoder(&b, true);
    whisper_front(&b, rl_b_num_or(&b, "num_mel_bins", 80), source);
    blocks(&b, &e);
    rl_b_encoder(&b, false);
    rl_b_embed(&b, vocab, d);
    rl_b_positions(&b, rl_b_num_or(&b, "max_target_positions", 448), d);
    blocks(&b, &s);
    rl_b_head(&b, d, vocab, rl_b_bool_or(&b, "tie_word_embeddings", true), false);
    return rl_b_close(&b);
}

static const char *const whisper_types[] = {"whisper", NULL};
const struct rl_family rl_family_whisper = {.model_types = whisper_types,
                                            .ref = "transformers models/whisper",
                                            .build = build_whisper};

/* Raw audio at 16 kHz: kernels 127, 7, 3 with strides 64, 3, 2, so that a
 * position is 384 samples; the widths d, 2d, d. */
static void moonshine_front(struct rl_build *b)
{
    double d = b->hidden;

    rl_b_linear_on(b, "conv1", RL_TX, 6, 127, d, 0);
    rl_b_norm_rows(b, "group_norm", "norm", 6, d, 2 * d);
    rl_b_linear_on(b, "conv2", RL_TX, 2, 7 * d, 2 * d, RL_BIAS);
    rl_b_linear(b, "conv3", 3 * 2 * d, d, RL_BIAS);
}

static struct rl_attn moonshine_attn(struct rl_build *b, const char *heads,
                                     const char *kv)
{
    struct rl_attn a = {.heads = rl_b_num(b, heads),
                        .qkv_bias = rl_b_bool_or(b, "attention_bias", false)};
    a.kv_heads = rl_b_num_or(b, kv, a.heads);
    a.head_dim = b->hidden / a.heads;
    a.rope_dim = a.head_dim * rl_b_real_or(b, "partial_rotary_factor", 0.9);
    return a;
}

static int build_moonshine(const struct rl_cfg *c, struct rl_graph *g,
                           struct rl_error *err)
{
    struct rl_build b;

    rl_b_open(&b, c, g, err);
    double d = rl_b_num(&b, "hidden_size"), vocab = rl_b_num(&b, "vocab_size");
    double enc = rl_b_num(&b, "encoder_num_hidden_layers");
    double dec = rl_b_num(&b, "decoder_num_hidden_layers");
    start(&b, d, enc, dec, b.g->max_positions);
    /* LayerNorms here have a weight and no bias */
    struct stack e = {.layers = enc,
                      .inter = rl_b_num(&b, "intermediate_size"),
                      .norm = RL_RMS,
                      .mlp = RL_MLP_BIAS};
    struct stack s = e;
    e.attn =
        moonshine_attn(&b, "encoder_num_attention_heads", "encoder_num_key_value_heads");
    s.attn =
        moonshine_attn(&b, "decoder_num_attention_heads", "decoder_num_key_value_heads");
    s.layers = dec;
    s.mlp = RL_MLP_GATED | RL_MLP_BIAS;
    s.cross = true;

    rl_b_encoder(&b, true);
    moonshine_front(&b);
    blocks(&b, &e);
    rl_b_encoder(&b, false);
    rl_b_embed(&b, vocab, d);
    blocks(&b, &s);
    rl_b_head(&b, d, vocab, rl_b_bool_or(&b, "tie_word_embeddings", true), false);
    return rl_b_close(&b);
}

static const char *const moonshine_types[] = {"moonshine", NULL};
const struct rl_family rl_family_moonshine = {.model_types = moonshine_types,
                                              .ref = "transformers models/moonshine",
                                              .build = build_moonshine};

static int build_t5(const struct rl_cfg *c, struct rl_graph *g, struct rl_error *err)
{
    struct rl_build b;

    rl_b_open(&b, c, g, err);
    double d = rl_b_num(&b, "d_model"), vocab = rl_b_num(&b, "vocab_size");
    double enc = rl_b_num(&b, "num_layers"), heads = rl_b_num(&b, "num_heads");
    double dec = rl_b_num_or(&b, "num_decoder_layers", enc);
    double buckets = rl_b_num_or(&b, "relative_attention_num_buckets", 32);
    const char *ff = rl_b_str_or(&b, "feed_forward_proj", "relu");
    start(&b, d, enc, dec, 0);
    struct stack e = {.layers = enc,
                      .inter = rl_b_num(&b, "d_ff"),
                      .norm = RL_RMS,
                      .mlp = strncmp(ff, "gated", 5) == 0 ? RL_MLP_GATED : 0,
                      .attn = {.heads = heads,
                               .kv_heads = heads,
                               .head_dim = rl_b_num_or(&b, "d_kv", 64),
                               .rope_dim = -1}};
    struct stack s = e;
    s.layers = dec;
    s.cross = true;

    rl_b_encoder(&b, true);
    rl_b_resident_only(&b, RL_W_SMALL, buckets * heads); /* relative position bias */
    rl_b_embed(&b, 0, d);                                /* the table is the decoder's */
    blocks(&b, &e);
    rl_b_encoder(&b, false);
    rl_b_resident_only(&b, RL_W_SMALL, buckets * heads);
    rl_b_embed(&b, vocab, d);
    blocks(&b, &s);
    rl_b_head(&b, d, vocab, rl_b_bool_or(&b, "tie_word_embeddings", true), false);
    return rl_b_close(&b);
}

static const char *const t5_types[] = {"t5", "mt5", NULL};
const struct rl_family rl_family_t5 = {
    .model_types = t5_types, .ref = "transformers models/t5", .build = build_t5};
