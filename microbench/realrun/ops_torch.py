#!/usr/bin/env python3
"""Times the operators that libraries own and writes the ops schema: attention of
PyTorch and FlashAttention, Mamba's selective scan, SSD and state updates
(mamba_ssm), causal_conv1d, the gated delta rule (flash-linear-attention), and
PyTorch's GEMM.  A library that is not installed is left out, with a line saying so.

    ops_torch.py --out ops.csv --device h200-sxm-141gb [--quick] [--ops ssd_scan,gemm]

Each call is captured in a CUDA graph over buffers that rotate through four times
the L2 cache, replayed, and timed by events; where an operator cannot be captured it
is timed eagerly over many calls (impl ends in -eager).  The first call of every case
is compared with a plain reference; a wrong result is not timed.
"""

import argparse
import csv
import os
import statistics
import sys

TOLERANCE = 5e-2  # of the largest element: bf16 inputs, other order of sums


class Timer:
    def __init__(self, torch, repetitions):
        self.torch, self.repetitions = torch, repetitions
        p = torch.cuda.get_device_properties(0)
        self.l2 = getattr(p, "L2_cache_size", 0) or 50 << 20

    def copies(self, bytes_):
        return max(1, min(64, 1 + int(4 * self.l2 / max(bytes_, 1))))

    def _events(self, f, n):
        torch = self.torch
        begin, end = torch.cuda.Event(True), torch.cuda.Event(True)
        begin.record()
        for _ in range(n):
            f()
        end.record()
        end.synchronize()
        return 1e-3 * begin.elapsed_time(end) / n

    def _sample(self, f, calls):
        once = self._events(f, 1)
        n = max(1, min(200, int(2e-3 / max(once, 1e-6))))
        return statistics.median(
            self._events(f, n) for _ in range(self.repetitions)) / calls

    def seconds(self, calls):
        """Median seconds of one of `calls` (functions without arguments), and
        whether a graph could be captured."""
        torch = self.torch
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            for f in calls[:2]:
                f()
        torch.cuda.synchronize()
        try:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                for f in calls:
                    f()
            graph.replay()
            torch.cuda.synchronize()
        except Exception:
            torch.cuda.synchronize()

            def all_calls():
                for f in calls:
                    f()

            return self._sample(all_calls, len(calls)), False
        return self._sample(graph.replay, len(calls)), True


def agrees(got, want):
    got, want = got.float(), want.float()
    scale = want.abs().max().clamp_min(1e-6)
    return bool(((got - want).abs().max() / scale) < TOLERANCE)


# Each maker yields (op, impl, params, make, check): make() returns a fresh call with
# buffers of its own and their bytes; check(call) the result against a reference.


def gemms(torch, quick):
    shapes = [(4096, 4096), (2048, 2048)] if quick else [
        (1024, 1024), (2048, 2048), (4096, 4096), (8192, 8192), (4864, 896), (8960, 1536),
        (28672, 4096), (4096, 14336), (3352, 768), (8512, 2048)]
    for n, k in shapes:
        for m in (1, 16, 128, 1024) if quick else (1, 2, 4, 8, 16, 32, 64, 128, 512, 2048, 8192):
            def make(m=m, n=n, k=k):
                x = torch.randn(m, k, device="cuda", dtype=torch.bfloat16)
                w = torch.randn(n, k, device="cuda", dtype=torch.bfloat16) * 0.05
                return (lambda: torch.nn.functional.linear(x, w)), 2 * n * k, (x, w)

            def check(call, data):
                x, w = data
                return agrees(call()[:2], x[:2].float() @ w.float().T)

            yield "gemm", "torch", f"m={m} n={n} k={k} dtype=bf16", make, check


def attentions(torch, quick):
    functional = torch.nn.functional
    heads = [(32, 8, 128), (14, 2, 64)] + ([] if quick else [(32, 8, 64), (12, 2, 128)])
    try:
        from flash_attn import flash_attn_func, flash_attn_with_kvcache
    except Exception as e:
        print(f"flash_attn: left out ({e})", file=sys.stderr)
        flash_attn_func = None

    def reference(q, k, v):
        g = q.shape[2] // k.shape[2]
        qf = q.float().transpose(1, 2)
        kf = k.float().transpose(1, 2).repeat_interleave(g, 1)
        vf = v.float().transpose(1, 2).repeat_interleave(g, 1)
        s = qf @ kf.transpose(-1, -2) * q.shape[-1] ** -0.5
        lq, lk = s.shape[-2:]
        mask = torch.ones(lq, lk, device=s.device).tril(lk - lq) == 0
        return (s.masked_fill(mask, float("-inf")).softmax(-1) @ vf).transpose(1, 2)

    def tensors(b, lq, lk, h, kvh, d):
        r = lambda l, n: torch.randn(b, l, n, d, device="cuda", dtype=torch.bfloat16)  # noqa
        return r(lq, h), r(lk, kvh), r(lk, kvh)

    for h, kvh, d in heads:
        for b, l in [(1, 1024), (1, 8192)] if quick else [
                (1, 512), (1, 2048), (1, 8192), (1, 32768), (4, 2048), (4, 8192)]:
            p = (f"batch={b} q_len={l} kv_len={l} heads={h} kv_heads={kvh} head_dim={d} "
                 "window=0 dtype=bf16 kv_dtype=bf16")

            def sdpa(b=b, l=l, h=h, kvh=kvh, d=d):
                q, k, v = tensors(b, l, l, h, kvh, d)
                t = [x.transpose(1, 2) for x in (q, k, v)]
                return (lambda: functional.scaled_dot_product_attention(
                    *t, is_causal=True, enable_gqa=True).transpose(1, 2)), 0, (q, k, v)

            def flash(b=b, l=l, h=h, kvh=kvh, d=d):
                q, k, v = tensors(b, l, l, h, kvh, d)
                return (lambda: flash_attn_func(q, k, v, causal=True)), 0, (q, k, v)

            small = lambda call, x: x[0].shape[1] > 2048 or agrees(call(), reference(*x))  # noqa
            yield "attention_prefill", "torch-sdpa", p, sdpa, small
            if flash_attn_func:
                yield "attention_prefill", "flash_attn", p, flash, small
        for b, l in [(1, 8192), (16, 4096)] if quick else [
                (1, 2048), (1, 8192), (1, 32768), (1, 131072), (16, 4096), (64, 4096)]:
            p = (f"batch={b} q_len=1 kv_len={l} heads={h} kv_heads={kvh} head_dim={d} "
                 "window=0 dtype=bf16 kv_dtype=bf16")

            def step(b=b, l=l, h=h, kvh=kvh, d=d):
                q, k, v = tensors(b, 1, l, h, kvh, d)
                t = [x.transpose(1, 2) for x in (q, k, v)]
                return (lambda: functional.scaled_dot_product_attention(
                    *t, enable_gqa=True).transpose(1, 2)), 4 * k.numel(), (q, k, v)

            def flash_step(b=b, l=l, h=h, kvh=kvh, d=d):
                q, k, v = tensors(b, 1, l, h, kvh, d)
                return (lambda: flash_attn_with_kvcache(q, k, v, causal=True)), \
                    4 * k.numel(), (q, k, v)

            ok = lambda call, x: x[1].numel() > 1 << 26 or agrees(call(), reference(*x))  # noqa
            yield "attention_decode", "torch-sdpa", p, step, ok
            if flash_attn_func:
                yield "attention_decode", "flash_attn", p, flash_step, ok


def mamba1(torch, quick):
    randn = lambda *s, **k: torch.randn(*s, device="cuda", **k)  # noqa: E731
    try:
        from mamba_ssm.ops.selective_scan_interface import selective_scan_fn, selective_scan_ref
    except Exception as e:
        print(f"mamba_ssm selective_scan: left out ({e})", file=sys.stderr)
        selective_scan_fn = None
    for d in (1536, 4096) if quick else (1536, 3072, 4096, 5120, 8192):
        for b, l in [(1, 2048)] if quick else [(1, 512), (1, 2048), (1, 8192), (1, 32768),
                                               (8, 2048)]:
            if not selective_scan_fn:
                continue

            def make(b=b, l=l, d=d):
                h = dict(dtype=torch.bfloat16)
                u, dt = randn(b, d, l, **h), randn(b, d, l, **h).abs() * 0.1
                A = -randn(d, 16).abs() - 0.5
                B, C, z = randn(b, 1, 16, l, **h), randn(b, 1, 16, l, **h), randn(b, d, l, **h)
                D = randn(d)
                args = (u, dt, A, B, C, D, z, None, False)
                return (lambda: selective_scan_fn(*args)), 8 * b * d * l, args

            ok = lambda call, x: x[0].numel() > 1 << 22 or agrees(  # noqa: E731
                call(), selective_scan_ref(*x))
            yield ("selective_scan", "mamba_ssm",
                   f"batch={b} seq_len={l} channels={d} state=16 dt_rank={d // 32} dtype=bf16 "
                   "state_dtype=fp32", make, ok)


def updates(torch, quick):
    """The Triton state update of mamba_ssm serves Mamba-1 and Mamba-2."""
    try:
        from mamba_ssm.ops.triton.selective_state_update import (
            selective_state_update, selective_state_update_ref)
    except Exception as e:
        print(f"mamba_ssm selective_state_update: left out ({e})", file=sys.stderr)
        return
    half = dict(device="cuda", dtype=torch.bfloat16)
    randn = torch.randn
    batches = (1, 64) if quick else (1, 4, 16, 64, 256)
    ok = lambda call, x: agrees(call(), selective_state_update_ref(x[0].clone(), *x[1:]))  # noqa
    for d in (4096,) if quick else (1536, 3072, 4096, 5120, 8192):
        for b in batches:
            def make(b=b, d=d):
                args = (randn(b, d, 16, device="cuda"), randn(b, d, **half),
                        randn(b, d, **half).abs() * 0.1, -randn(d, 16, device="cuda").abs(),
                        randn(b, 16, **half), randn(b, 16, **half))
                return (lambda: selective_state_update(*args)), 8 * b * d * 16, args

            yield ("selective_state_update", "mamba_ssm",
                   f"batch={b} seq_len=1 channels={d} state=16 dt_rank={d // 32} dtype=bf16 "
                   "state_dtype=fp32", make, None)
    for h, p, n, g in [(64, 64, 128, 1)] if quick else [
            (24, 64, 128, 1), (48, 64, 128, 1), (64, 64, 128, 1), (80, 64, 128, 1),
            (128, 64, 128, 8)]:
        for b in batches:
            def make2(b=b, h=h, p=p, n=n, g=g):
                dt = (randn(b, h, **half).abs() * 0.1)[:, :, None].expand(b, h, p)
                A = -randn(h, device="cuda").abs()[:, None, None].expand(h, p, n)
                args = (randn(b, h, p, n, device="cuda"), randn(b, h, p, **half), dt, A,
                        randn(b, g, n, **half), randn(b, g, n, **half))
                return (lambda: selective_state_update(*args)), 8 * b * h * p * n, args

            yield ("ssd_update", "mamba_ssm",
                   f"batch={b} seq_len=1 heads={h} head_dim={p} state={n} groups={g} chunk=256 "
                   "dtype=bf16 state_dtype=fp32", make2, ok)


def ssd(torch, quick):
    try:
        from mamba_ssm.ops.triton.ssd_combined import mamba_chunk_scan_combined
    except Exception as e:
        print(f"mamba_ssm ssd_combined: left out ({e})", file=sys.stderr)
        return
    half = dict(device="cuda", dtype=torch.bfloat16)
    randn = torch.randn

    def reference(x, dt, A, B, C, chunk):
        """Token by token, the last output."""
        g = x.shape[2] // B.shape[2]
        s = torch.zeros(x.shape[0], x.shape[2], x.shape[3], B.shape[3], device="cuda")
        for t in range(x.shape[1]):
            decay = torch.exp(dt[:, t] * A)[:, :, None, None]
            Bt = B[:, t].float().repeat_interleave(g, 1)
            s = s * decay + (dt[:, t, :, None] * x[:, t].float())[..., None] * Bt[:, :, None]
        Ct = C[:, -1].float().repeat_interleave(g, 1)
        return (s * Ct[:, :, None]).sum(-1)

    ok = lambda call, a: a[0].shape[1] > 2048 or agrees(call()[:, -1], reference(*a))  # noqa
    for h, p, n, g, q in [(64, 64, 128, 1, 256)] if quick else [
            (24, 64, 128, 1, 256), (48, 64, 128, 1, 256), (64, 64, 128, 1, 256),
            (128, 64, 128, 8, 256), (64, 64, 128, 1, 128)]:
        for b, l in [(1, 2048), (1, 8192)] if quick else [
                (1, 512), (1, 2048), (1, 8192), (1, 32768), (1, 131072), (8, 2048)]:
            def make(b=b, l=l, h=h, p=p, n=n, g=g, q=q):
                args = (randn(b, l, h, p, **half), randn(b, l, h, device="cuda").abs() * 0.1,
                        -randn(h, device="cuda").abs(), randn(b, l, g, n, **half),
                        randn(b, l, g, n, **half), q)
                return (lambda: mamba_chunk_scan_combined(*args)), 0, args

            yield ("ssd_scan", "mamba_ssm",
                   f"batch={b} seq_len={l} heads={h} head_dim={p} state={n} groups={g} "
                   f"chunk={q} dtype=bf16 state_dtype=fp32", make, ok)


def delta(torch, quick):
    try:
        from fla.ops.gated_delta_rule import (chunk_gated_delta_rule,
                                              fused_recurrent_gated_delta_rule)
    except Exception as e:
        print(f"flash-linear-attention: left out ({e})", file=sys.stderr)
        return
    half = dict(device="cuda", dtype=torch.bfloat16)
    randn = torch.randn

    def tensors(b, l, h):
        k = torch.nn.functional.normalize(randn(b, l, h, 128, device="cuda"), dim=-1).bfloat16()
        return (randn(b, l, h, 128, **half), k, randn(b, l, h, 128, **half),
                -randn(b, l, h, device="cuda").abs() * 0.1,
                torch.rand(b, l, h, device="cuda").bfloat16())

    both = lambda call, x: x[0].shape[1] > 2048 or agrees(  # noqa: E731
        call()[0], fused_recurrent_gated_delta_rule(*x)[0])
    for h in (32,) if quick else (16, 32, 48):
        for b, l in [(1, 2048)] if quick else [(1, 512), (1, 2048), (1, 8192), (1, 32768),
                                               (8, 2048)]:
            def make(b=b, l=l, h=h):
                args = tensors(b, l, h)
                return (lambda: chunk_gated_delta_rule(*args)), 0, args

            yield ("gdn_scan", "fla-chunk",
                   f"batch={b} seq_len={l} k_heads={h} k_dim=128 v_heads={h} v_dim=128 "
                   "dtype=bf16 state_dtype=none", make, both)
        for b in (1, 64) if quick else (1, 4, 16, 64, 256):
            def step(b=b, h=h):
                args = tensors(b, 1, h)
                s = randn(b, h, 128, 128, device="cuda")
                return (lambda: fused_recurrent_gated_delta_rule(
                    *args, initial_state=s, output_final_state=True)), 8 * s.numel(), args

            yield ("gdn_update", "fla-recurrent",
                   f"batch={b} seq_len=1 k_heads={h} k_dim=128 v_heads={h} v_dim=128 "
                   "dtype=bf16 state_dtype=fp32", step, None)


def convolutions(torch, quick):
    try:
        from causal_conv1d import causal_conv1d_fn
    except Exception as e:
        print(f"causal_conv1d: left out ({e})", file=sys.stderr)
        return
    half = dict(device="cuda", dtype=torch.bfloat16)
    for d in (4352,) if quick else (1536, 1792, 4096, 4352, 8192):
        for l in (2048,) if quick else (512, 2048, 8192, 32768):
            def make(d=d, l=l):
                x = torch.randn(1, l, d, **half).transpose(1, 2)
                w = torch.randn(d, 4, **half)
                return (lambda: causal_conv1d_fn(x, w)), 4 * l * d, (x, w)

            def check(call, data):
                x, w = data
                pad = torch.nn.functional.pad(x.float(), (3, 0))
                want = torch.nn.functional.conv1d(pad, w.float()[:, None], groups=w.shape[0])
                return agrees(call(), want)

            yield ("conv1d", "causal_conv1d", f"batch=1 seq_len={l} channels={d} width=4 "
                   "dtype=bf16", make, check)


MAKERS = (gemms, attentions, mamba1, updates, ssd, delta, convolutions)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    p.add_argument("--out", default="ops.csv")
    p.add_argument("--device", default="cuda", help="what to write as the device")
    p.add_argument("--ops", default="", help="only these operators")
    p.add_argument("--quick", action="store_true")
    p.add_argument("--repetitions", type=int, default=9)
    a = p.parse_args()
    try:
        import torch
    except ImportError:
        sys.exit("ops_torch.py: PyTorch is not installed")
    if not torch.cuda.is_available():
        sys.exit("ops_torch.py: PyTorch sees no GPU here")
    torch.manual_seed(1)
    torch.set_grad_enabled(False)
    wanted = set(filter(None, a.ops.split(",")))
    timer = Timer(torch, a.repetitions)
    have = set()
    if os.path.exists(a.out):
        with open(a.out, newline="", encoding="utf-8") as f:
            have = {(r["op"], r["impl"], r["params"]) for r in csv.DictReader(f)}
    failed = 0
    with open(a.out, "a", newline="", encoding="utf-8") as f:
        if f.tell() == 0:
            f.write("device,runtime,op,impl,params,latency_us\n")
        for maker in MAKERS:
            for op, impl, params, make, check in maker(torch, a.quick):
                if wanted and op not in wanted:
                    continue
                if (op, impl, params) in have or (op, impl + "-eager", params) in have:
                    continue
                try:
                    call, size, data = make()
                    if check and not check(call, data):
                        raise RuntimeError("the result is wrong")
                    rest = [make() for _ in range(timer.copies(size) - 1)] if size else []
                    t, captured = timer.seconds([call] + [r[0] for r in rest])
                except Exception as e:
                    failed += 1
                    print(f"{op} {impl} {params}: {str(e)[:200]}", file=sys.stderr)
                    torch.cuda.empty_cache()
                    continue
                name = impl if captured else impl + "-eager"
                f.write(f"{a.device},pytorch-cudagraph,{op},{name},{params},{1e6 * t:.6g}\n")
                f.flush()
                del call, rest, data
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
