"""GGUF files with random weights, made from a Hugging Face config: the shapes and
keys that llama.cpp needs to run a model, in F16, without any download.

Families: llama, qwen2, mamba, mamba2, falcon_h1 (attention and Mamba-2 in
parallel).  Format: the GGUF specification, version 3.  Weights are normal with
deviation 0.02, norms 1, A and the step biases in the range of trained models, so
that nothing overflows; quantise the file with llama.cpp itself.
"""

import struct
import sys

import numpy as np

F32, F16 = 0, 1
U32, FLOAT, BOOL, STRING = 4, 6, 7, 8
ALIGN = 32


class Gguf:
    """Keys and tensor shapes first; the data is drawn while writing."""

    def __init__(self, arch):
        self.arch = arch
        self.keys = []
        self.tensors = []  # name, shape (numpy order), type, kind of contents
        self.key("general.architecture", STRING, arch)
        self.key("general.file_type", U32, 1)
        self.key("tokenizer.ggml.model", STRING, "no_vocab")

    def key(self, name, kind, value):
        self.keys.append((name.replace("{}", self.arch), kind, value))

    def tensor(self, name, *shape, contents="normal", dtype=None):
        if dtype is None:
            dtype = F16 if len(shape) > 1 else F32
        self.tensors.append((name, shape, dtype, contents))

    def write(self, path, seed=1):
        rng = np.random.default_rng(seed)
        pool = (rng.standard_normal(1 << 22) * 0.02).astype(np.float32)
        with open(path, "wb") as f:
            f.write(struct.pack("<4sIQQ", b"GGUF", 3, len(self.tensors), len(self.keys)))
            for key in self.keys:
                _write_key(f, *key)
            offset = 0
            for name, shape, dtype, _ in self.tensors:
                _write_string(f, name)
                f.write(struct.pack("<I", len(shape)))
                f.write(struct.pack(f"<{len(shape)}Q", *reversed(shape)))
                f.write(struct.pack("<IQ", dtype, offset))
                offset += _padded(int(np.prod(shape)) * (2 if dtype == F16 else 4))
            f.write(b"\0" * (-f.tell() % ALIGN))
            for name, shape, dtype, contents in self.tensors:
                _write_data(f, int(np.prod(shape)), dtype, contents, pool, rng)


def _padded(n):
    return (n + ALIGN - 1) // ALIGN * ALIGN


def _write_string(f, s):
    raw = s.encode()
    f.write(struct.pack("<Q", len(raw)) + raw)


def _write_key(f, name, kind, value):
    _write_string(f, name)
    f.write(struct.pack("<I", kind))
    if kind == STRING:
        _write_string(f, value)
    else:
        f.write(struct.pack({U32: "<I", FLOAT: "<f", BOOL: "<?"}[kind], value))


def _write_data(f, n, dtype, contents, pool, rng):
    start = f.tell()
    np_type = np.float16 if dtype == F16 else np.float32
    if contents == "normal":
        left = n
        while left:  # the pool again and again, each time turned a little
            part = np.roll(pool[: min(left, pool.size)], int(rng.integers(pool.size)))
            f.write(part.astype(np_type).tobytes())
            left -= part.size
    else:
        values = {
            "ones": lambda: np.ones(n),
            "zeros": lambda: np.zeros(n),
            "decay": lambda: -rng.uniform(1, 16, n),  # A of a scan: negative
            "step": lambda: rng.uniform(-4.6, -2.3, n),  # softplus: 0.01 to 0.1
        }[contents]()
        f.write(values.astype(np_type).tobytes())
    f.write(b"\0" * (_padded(f.tell() - start) - (f.tell() - start)))


def _common(g, c, context):
    g.key("{}.context_length", U32, context)
    g.key("{}.embedding_length", U32, c["hidden_size"])
    g.key("{}.block_count", U32, c["num_hidden_layers"])
    g.key("{}.vocab_size", U32, c["vocab_size"])
    g.key("{}.attention.layer_norm_rms_epsilon", FLOAT, 1e-5)
    g.tensor("token_embd.weight", c["vocab_size"], c["hidden_size"])
    g.tensor("output_norm.weight", c["hidden_size"], contents="ones")
    if not c.get("tie_word_embeddings", False):
        g.tensor("output.weight", c["vocab_size"], c["hidden_size"])


def _attention_keys(g, c):
    heads = c["num_attention_heads"]
    dim = c.get("head_dim") or c["hidden_size"] // heads
    g.key("{}.attention.head_count", U32, heads)
    g.key("{}.attention.head_count_kv", U32, c.get("num_key_value_heads") or heads)
    g.key("{}.attention.key_length", U32, dim)
    g.key("{}.attention.value_length", U32, dim)
    g.key("{}.rope.dimension_count", U32, dim)
    g.key("{}.rope.freq_base", FLOAT, float(c.get("rope_theta", 10000)))
    g.key("{}.feed_forward_length", U32, c["intermediate_size"])


def _attention(g, c, b, bias):
    hidden, heads = c["hidden_size"], c["num_attention_heads"]
    kv = c.get("num_key_value_heads") or heads
    dim = c.get("head_dim") or hidden // heads
    for name, rows in (("attn_q", heads * dim), ("attn_k", kv * dim), ("attn_v", kv * dim)):
        g.tensor(f"{b}.{name}.weight", rows, hidden)
        if bias:
            g.tensor(f"{b}.{name}.bias", rows, contents="zeros")
    g.tensor(f"{b}.attn_output.weight", hidden, heads * dim)


def _mlp(g, c, b, norm="ffn_norm.weight"):
    hidden, inter = c["hidden_size"], c["intermediate_size"]
    g.tensor(f"{b}.{norm}", hidden, contents="ones")
    g.tensor(f"{b}.ffn_gate.weight", inter, hidden)
    g.tensor(f"{b}.ffn_up.weight", inter, hidden)
    g.tensor(f"{b}.ffn_down.weight", hidden, inter)


def transformer(c, context):
    g = Gguf(c["model_type"])
    _common(g, c, context)
    _attention_keys(g, c)
    for i in range(c["num_hidden_layers"]):
        b = f"blk.{i}"
        g.tensor(f"{b}.attn_norm.weight", c["hidden_size"], contents="ones")
        _attention(g, c, b, bias=c["model_type"] == "qwen2")
        _mlp(g, c, b)
    return g


def _ssm_keys(g, conv, inner, state, rank, groups):
    g.key("{}.ssm.conv_kernel", U32, conv)
    g.key("{}.ssm.inner_size", U32, inner)
    g.key("{}.ssm.state_size", U32, state)
    g.key("{}.ssm.time_step_rank", U32, rank)
    if groups:
        g.key("{}.ssm.group_count", U32, groups)


def mamba(c, context):
    g = Gguf("mamba")
    hidden, inner = c["hidden_size"], c["intermediate_size"]
    state, rank, conv = c["state_size"], c["time_step_rank"], c["conv_kernel"]
    _common(g, c, context)
    _ssm_keys(g, conv, inner, state, rank, 0)
    g.key("mamba.attention.head_count", U32, 0)
    g.key("mamba.feed_forward_length", U32, 0)
    for i in range(c["num_hidden_layers"]):
        b = f"blk.{i}"
        g.tensor(f"{b}.attn_norm.weight", hidden, contents="ones")
        g.tensor(f"{b}.ssm_in.weight", 2 * inner, hidden)
        g.tensor(f"{b}.ssm_conv1d.weight", inner, conv, dtype=F32)
        g.tensor(f"{b}.ssm_conv1d.bias", inner, contents="zeros")
        g.tensor(f"{b}.ssm_x.weight", rank + 2 * state, inner)
        g.tensor(f"{b}.ssm_dt.weight", inner, rank)
        g.tensor(f"{b}.ssm_dt.bias", inner, contents="step")
        g.tensor(f"{b}.ssm_a", inner, state, contents="decay", dtype=F32)
        g.tensor(f"{b}.ssm_d", inner, contents="ones")
        g.tensor(f"{b}.ssm_out.weight", hidden, inner)
    return g


def _mamba2_block(g, b, hidden, inner, state, heads, groups, conv, norm):
    channels = inner + 2 * groups * state
    g.tensor(f"{b}.ssm_in.weight", 2 * inner + 2 * groups * state + heads, hidden)
    g.tensor(f"{b}.ssm_conv1d.weight", channels, conv, dtype=F32)
    g.tensor(f"{b}.ssm_conv1d.bias", channels, contents="zeros")
    g.tensor(f"{b}.ssm_dt.bias", heads, contents="step")
    g.tensor(f"{b}.ssm_a", heads, 1, contents="decay", dtype=F32)
    g.tensor(f"{b}.ssm_d", heads, 1, contents="ones", dtype=F32)
    if norm:
        g.tensor(f"{b}.ssm_norm.weight", groups, inner // groups, contents="ones", dtype=F32)
    g.tensor(f"{b}.ssm_out.weight", hidden, inner)


def mamba2(c, context):
    g = Gguf("mamba2")
    hidden = c["hidden_size"]
    inner = c.get("expand", 2) * hidden
    _common(g, c, context)
    _ssm_keys(g, c["conv_kernel"], inner, c["state_size"], c["num_heads"], c["n_groups"])
    g.key("mamba2.attention.head_count", U32, 0)
    g.key("mamba2.feed_forward_length", U32, 0)
    for i in range(c["num_hidden_layers"]):
        g.tensor(f"blk.{i}.attn_norm.weight", hidden, contents="ones")
        _mamba2_block(g, f"blk.{i}", hidden, inner, c["state_size"], c["num_heads"],
                      c["n_groups"], c["conv_kernel"], norm=True)
    return g


def falcon_h1(c, context):
    g = Gguf("falcon-h1")
    inner = c.get("mamba_d_ssm") or c["mamba_expand"] * c["hidden_size"]
    _common(g, c, context)
    _attention_keys(g, c)
    _ssm_keys(g, c["mamba_d_conv"], inner, c["mamba_d_state"], c["mamba_n_heads"],
              c["mamba_n_groups"])
    for i in range(c["num_hidden_layers"]):
        b = f"blk.{i}"
        g.tensor(f"{b}.attn_norm.weight", c["hidden_size"], contents="ones")
        _attention(g, c, b, bias=False)
        _mamba2_block(g, b, c["hidden_size"], inner, c["mamba_d_state"], c["mamba_n_heads"],
                      c["mamba_n_groups"], c["mamba_d_conv"], norm=c.get("mamba_rms_norm"))
        _mlp(g, c, b, norm="ffn_norm")  # llama.cpp's name for it lacks the suffix
    return g


BUILDERS = {
    "llama": transformer,
    "qwen2": transformer,
    "mamba": mamba,
    "mamba2": mamba2,
    "falcon_h1": falcon_h1,
}


def write(config, path, context=16384):
    kind = config.get("model_type")
    if kind not in BUILDERS:
        raise ValueError(f"model_type '{kind}': expected one of {', '.join(BUILDERS)}")
    BUILDERS[kind](config, context).write(path)


if __name__ == "__main__":
    from common import default_models_dir, load_config

    if len(sys.argv) != 3:
        sys.exit("usage: gguf_random.py CONFIG.json|ID OUT.gguf")
    write(load_config(sys.argv[1], default_models_dir())[1], sys.argv[2])
