#!/usr/bin/env python3
"""Runs Hugging Face models on random weights with PyTorch and writes the runs
schema: eager (hf-eager, or mamba-ssm-eager where its fused kernels are installed)
and, on a GPU, decode replayed from a CUDA graph (pytorch-cudagraph).

    run_torch.py --out runs.csv --models qwen2.5-0.5b,mamba2-780m \\
        --prompts 1k,8k,32k --batches 1,16 --modes eager,graph

Measures ttft (one forward over the prompt, logits of the last token), tpot at each
depth, peak memory of the prefill, GPU kernel time (torch.profiler) and energy
(NVML) where they exist.  Every (model, mode) runs in its own process; a length
that does not fit in memory ends that model's longer lengths, not the run.
"""

import argparse
import json
import sys
import time

import common

DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


class Energy:
    """Joules of the device by NVML's counter; None where there is none."""

    def __init__(self, torch, device):
        self.handle = None
        if device != "cuda":
            return
        try:
            import pynvml

            pynvml.nvmlInit()
            index = torch.cuda.current_device()
            self.handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            self.read = pynvml.nvmlDeviceGetTotalEnergyConsumption
            self.read(self.handle)
        except Exception:  # no NVML, no permission, an old part: no energy rows
            self.handle = None

    def joules(self):
        return 1e-3 * self.read(self.handle) if self.handle else None


def build(torch, job):
    """The model with weights that PyTorch draws on the device."""
    import transformers

    fields = {k: v for k, v in job["config"].items() if k not in ("torch_dtype", "dtype")}
    kind = fields.pop("model_type")
    config = transformers.AutoConfig.for_model(kind, **fields)
    torch.manual_seed(1)
    dtype = getattr(torch, DTYPES[job["dtype"]])
    with torch.device(job["where"]):
        old = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        model = transformers.AutoModelForCausalLM.from_config(config)
        torch.set_default_dtype(old)
    return model.to(dtype).eval(), config, transformers.__version__


def fused_kernels(kind):
    """Whether the fused Mamba kernels are there: without them Hugging Face falls
    back to a loop, which is another runtime altogether."""
    if kind not in ("mamba", "mamba2", "falcon_h1", "zamba2", "bamba", "falcon_mamba"):
        return None
    try:
        import causal_conv1d  # noqa: F401
        import mamba_ssm  # noqa: F401

        return True
    except Exception:
        return False


class Runner:
    def __init__(self, torch, model, config, job):
        self.torch, self.model, self.config, self.job = torch, model, config, job
        self.cuda = job["where"] == "cuda"

    def sync(self):
        if self.cuda:
            self.torch.cuda.synchronize()

    def ids(self, batch, n):
        g = self.torch.Generator(device="cpu").manual_seed(batch * 1000003 + n)
        ids = self.torch.randint(0, self.config.vocab_size, (batch, n), generator=g)
        return ids.to(self.job["where"])

    def forward(self, ids, **kw):
        """Logits of the last token only, as generate() asks for."""
        try:
            return self.model(ids, use_cache=True, logits_to_keep=1, **kw)
        except TypeError:
            return self.model(ids, use_cache=True, **kw)

    def timed(self, f):
        self.sync()
        begin = time.perf_counter()
        out = f()
        self.sync()
        return time.perf_counter() - begin, out

    def prefill(self, batch, n):
        ids = self.ids(batch, n)
        return self.timed(lambda: self.forward(ids))

    def cache_of(self, out):
        for name in ("past_key_values", "cache_params"):
            cache = getattr(out, name, None)
            if cache is not None:
                return name, cache
        raise RuntimeError("the model returned no cache")

    def decode_eager(self, batch, depth, steps):
        """A prefill of `depth` tokens, then single steps; seconds of the steps."""
        torch = self.torch
        _, out = self.prefill(batch, max(depth, 1))
        name, cache = self.cache_of(out)
        token = self.ids(batch, 1)

        def run():
            nonlocal cache
            for i in range(steps):
                kw = {name: cache}
                if name == "cache_params":
                    kw["cache_position"] = torch.tensor([depth + i], device=token.device)
                cache = self.cache_of(self.forward(token, **kw))[1]

        return self.timed(run)[0]


class GraphDecoder:
    """One decode step captured over a static cache; replays add nothing to it: the
    position stays, so that every replay costs what a step at this depth costs."""

    def __init__(self, runner, batch, depth):
        import transformers

        torch = runner.torch
        self.runner = runner
        token = runner.ids(batch, 1)
        if runner.job["config"]["model_type"] in ("mamba", "mamba2", "falcon_mamba"):
            _, out = runner.prefill(batch, max(depth, 4))
            name, cache = runner.cache_of(out)
            position = torch.tensor([depth], device=token.device)
            kw = {name: cache, "cache_position": position}
        else:
            cache = transformers.StaticCache(config=runner.config, max_cache_len=depth + 8)
            position = torch.arange(depth, device=token.device)
            runner.forward(runner.ids(batch, depth), past_key_values=cache,
                           cache_position=position)
            kw = {"past_key_values": cache,
                  "cache_position": torch.tensor([depth], device=token.device)}
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                runner.forward(token, **kw)
        torch.cuda.current_stream().wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.out = runner.forward(token, **kw)
        self.keep = (token, kw)

    def steps(self, n):
        def run():
            for _ in range(n):
                self.graph.replay()

        return self.runner.timed(run)[0]


def kernel_seconds(torch, f):
    """Sum of the kernels' times of one call."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as p:
        f()
        torch.cuda.synchronize()
    return 1e-6 * sum(
        getattr(e, "self_device_time_total", 0) or getattr(e, "self_cuda_time_total", 0)
        for e in p.key_averages()
    )


def prefill_rows(r, out, energy, batch, n):
    torch, job = r.torch, r.job
    if r.cuda:
        torch.cuda.reset_peak_memory_stats()
    m = common.measure(lambda: r.prefill(batch, n)[0], job["repetitions"])
    where = dict(batch=batch, prompt_tokens=n, context_depth=0)
    out.row("ttft", m["median"], output_tokens=1, notes=common.notes_of(m), **where)
    if not r.cuda:
        return
    out.row("peak_memory_allocated", torch.cuda.max_memory_allocated(), output_tokens=1, **where)
    out.row("peak_memory_reserved", torch.cuda.max_memory_reserved(), output_tokens=1, **where)
    out.row("gpu_time", kernel_seconds(torch, lambda: r.prefill(batch, n)), output_tokens=1,
            **where)
    if energy.joules() is None:
        return
    before, begin, count = energy.joules(), time.perf_counter(), 0
    while time.perf_counter() - begin < 1.0:  # the counter moves every 20 to 100 ms
        r.prefill(batch, n)
        count += 1
    out.row("energy", (energy.joules() - before) / count, output_tokens=1,
            notes=dict(prefills=count), **where)


def decode_rows(r, out, energy, batch, depth):
    job, steps = r.job, r.job["tokens"]
    where = dict(batch=batch, prompt_tokens=0, context_depth=depth, output_tokens=steps + 1)
    if job["mode"] == "graph":
        decoder = GraphDecoder(r, batch, depth)
        run = lambda: decoder.steps(steps)  # noqa: E731
    else:
        run = lambda: r.decode_eager(batch, depth, steps)  # noqa: E731
    m = common.measure(lambda: run() / steps, job["repetitions"])
    out.row("tpot", m["median"], notes=common.notes_of(m, steps=steps), **where)
    if job["mode"] != "graph" or energy.joules() is None:
        return
    before, begin, count = energy.joules(), time.perf_counter(), 0
    while time.perf_counter() - begin < 1.0:
        run()
        count += 1
    out.row("decode_energy", (energy.joules() - before) / count,
            notes=dict(decodes=count), **where)


def work(job):
    import torch

    torch.set_grad_enabled(False)
    if job["where"] == "cpu":
        torch.set_num_threads(job["threads"])
    elif not torch.cuda.is_available():
        raise SystemExit(f"{job['label']}: PyTorch sees no GPU here")
    energy = Energy(torch, job["where"])
    model, config, version = build(torch, job)
    fused = fused_kernels(job["config"]["model_type"])
    runtime = "pytorch-cudagraph" if job["mode"] == "graph" else "hf-eager"
    if job["mode"] == "eager" and fused:
        runtime = "mamba-ssm-eager"
    if fused is False and not job["allow_slow"]:
        raise SystemExit(f"{job['label']}: the fused Mamba kernels (mamba_ssm, causal_conv1d) "
                         "are not installed; --allow-slow times the fall-back loop")
    fixed = dict(source="rooflint realrun", device=job["device"], device_count=1,
                 model=job["model"], weights_dtype=job["dtype"], kv_dtype=job["dtype"],
                 runtime=runtime,
                 runtime_version=f"torch {torch.__version__} transformers {version}")
    out = common.Writer(job["out"], fixed)
    if fused is False:
        out.notes["fused"] = 0  # the fall-back loop of transformers
    r = Runner(torch, model, config, job)
    oom = torch.cuda.OutOfMemoryError if job["where"] == "cuda" else MemoryError
    for batch in job["batches"]:
        for n in job["prompts"]:
            try:
                if job["mode"] == "eager":
                    prefill_rows(r, out, energy, batch, n)
                decode_rows(r, out, energy, batch, n)
            except oom:
                print(f"{job['label']}: batch {batch}, {n} tokens: out of memory: longer "
                      "prompts are left out", file=sys.stderr)
                torch.cuda.empty_cache()
                break


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    p.add_argument("--out", default="runs.csv")
    p.add_argument("--models", default="qwen2.5-0.5b,mamba2-130m")
    p.add_argument("--models-dir", default=common.default_models_dir())
    p.add_argument("--dtype", default="bf16", choices=sorted(DTYPES))
    p.add_argument("--prompts", default="1k,4k")
    p.add_argument("--batches", default="1")
    p.add_argument("--tokens", type=int, default=16, help="decode steps of a sample")
    p.add_argument("--modes", default="eager", help="eager, graph or both")
    p.add_argument("--where", default="cuda", choices=("cuda", "cpu"))
    p.add_argument("--threads", type=int, default=0)
    p.add_argument("--repetitions", type=int, default=5)
    p.add_argument("--device", default="host", help="what to write as the device")
    p.add_argument("--allow-slow", action="store_true")
    p.add_argument("--timeout", type=float, default=600, help="seconds for one model")
    p.add_argument("--job", help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.job:
        work(json.loads(a.job))
        return 0
    modes = a.modes.split(",")
    if set(modes) - {"eager", "graph"}:
        p.error(f"--modes: expected eager, graph or both, got '{a.modes}'")
    if a.where == "cpu" and "graph" in modes:
        p.error("--modes graph needs --where cuda")
    import os

    jobs = []
    for name in a.models.split(","):
        model, config = common.load_config(name, a.models_dir)
        for mode in modes:
            jobs.append(dict(
                label=f"{model} {mode}", model=model, config=config, mode=mode, dtype=a.dtype,
                prompts=common.numbers(a.prompts), batches=common.numbers(a.batches),
                tokens=a.tokens, where=a.where, repetitions=a.repetitions, device=a.device,
                threads=a.threads or len(os.sched_getaffinity(0)), out=a.out,
                allow_slow=a.allow_slow))
    return 1 if common.each_in_its_own_process(__file__, jobs, a.timeout) else 0


if __name__ == "__main__":
    sys.exit(main())
