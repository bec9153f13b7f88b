#!/usr/bin/env python3
"""Runs llama.cpp for real on random weights and writes the runs schema.

Needs llama-cpp-python, which PyPI's package builds from source for this CPU:
    pip install --no-binary llama-cpp-python llama-cpp-python numpy

    run_llamacpp.py --out runs.csv --models mamba2-130m,qwen2.5-0.5b \\
        --dtypes fp16,q8_0,q4_k_m --prompts 128,512,2k --depths 0,512,2k

Every (model, dtype) runs in a process of its own.  Prefill: one forward over the
prompt on an empty cache, as llama-bench's pp; decode: --tokens single steps on top
of a depth, as its tg.  A row that the file already holds is not measured again.
"""

import argparse
import ctypes
import json
import os
import resource
import sys
import tempfile
import time

import common
import gguf_random

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
FTYPES = {"fp16": 1, "q4_0": 2, "q8_0": 7, "q4_k_m": 15, "q5_k_m": 17, "q6_k": 18}


def model_file(job, llama):
    """The F16 file, quantised by llama.cpp when another dtype is asked for."""
    base = os.path.join(job["cache"], f"{job['model']}-fp16.gguf")
    if not os.path.exists(base):
        gguf_random.write(job["config"], base + ".tmp", job["context"])
        os.replace(base + ".tmp", base)
    if job["dtype"] == "fp16":
        return base
    path = os.path.join(job["cache"], f"{job['model']}-{job['dtype']}.gguf")
    if not os.path.exists(path):
        params = llama.llama_model_quantize_default_params()
        params.ftype = FTYPES[job["dtype"]]
        params.nthread = job["threads"]
        status = llama.llama_model_quantize(base.encode(), (path + ".tmp").encode(),
                                            ctypes.byref(params))
        if status != 0:
            raise SystemExit(f"{job['label']}: llama.cpp cannot quantise it ({status})")
        os.replace(path + ".tmp", path)
    return path


class Engine:
    """One context: tokens in, seconds out."""

    def __init__(self, llama, model, job, n_ctx):
        self.llama = llama
        self.clock = CLOCKS[job["clock"]]
        p = llama.llama_context_default_params()
        p.n_ctx = (n_ctx + 255) // 256 * 256
        p.n_batch = min(2048, p.n_ctx)
        p.n_ubatch = min(512, p.n_batch)
        p.n_seq_max = job["batch"]
        p.n_ctx *= job["batch"]
        p.n_threads = p.n_threads_batch = job["threads"]
        self.n_batch = p.n_batch
        self.ctx = llama.llama_init_from_model(model, p)
        if not self.ctx:
            raise SystemExit(f"{job['label']}: cannot make a context of {n_ctx} tokens")
        self.vocab = job["config"]["vocab_size"]
        self.sequences = job["batch"]
        self.buffer = llama.llama_batch_init(p.n_batch, 0, 1)

    def close(self):
        self.llama.llama_batch_free(self.buffer)
        self.llama.llama_free(self.ctx)

    def clear(self):
        self.llama.llama_memory_clear(self.llama.llama_get_memory(self.ctx), True)

    def _decode(self, cells):
        """cells: (token position, sequence, wants logits)"""
        b = self.buffer
        b.n_tokens = len(cells)
        for i, (pos, seq, logits) in enumerate(cells):
            b.token[i] = (pos * 7919 + seq * 104729 + 1) % self.vocab
            b.pos[i] = pos
            b.n_seq_id[i] = 1
            b.seq_id[i][0] = seq
            b.logits[i] = logits
        status = self.llama.llama_decode(self.ctx, b)
        if status != 0:
            raise SystemExit(f"llama_decode failed ({status})")

    def prefill(self, n, start=0):
        """Seconds of n new tokens of every sequence, in blocks of n_batch; logits
        of each block's last token, as llama-bench does."""
        cells = [(start + p, s, 0) for s in range(self.sequences) for p in range(n)]
        begin = self.clock()
        for at in range(0, len(cells), self.n_batch):
            block = cells[at : at + self.n_batch]
            block[-1] = (block[-1][0], block[-1][1], 1)
            self._decode(block)
        self.llama.llama_synchronize(self.ctx)
        return self.clock() - begin

    def decode(self, depth, n):
        begin = self.clock()
        for i in range(n):
            self._decode([(depth + i, s, 1) for s in range(self.sequences)])
            self.llama.llama_synchronize(self.ctx)
        return self.clock() - begin


def prefill_rows(llama, model, job, out, have):
    for n in job["prompts"]:
        if key(job, n, 0, 0, "prefill_tokens_per_s") in have:
            continue
        e = Engine(llama, model, job, n)

        def once():
            e.clear()
            return e.prefill(n)

        m = common.measure(once, job["repetitions"])
        per = n * job["batch"]
        out.row("prefill_tokens_per_s", per / m["median"], batch=job["batch"],
                prompt_tokens=n, context_depth=0, output_tokens=0,
                notes=common.notes_of(m, per, threads=job["threads"], clock=job["clock"],
                                      ubatch=min(512, n)))
        e.close()


def decode_rows(llama, model, job, out, have):
    tokens = job["tokens"]
    for depth in job["depths"]:
        if key(job, 0, depth, tokens, "decode_tokens_per_s") in have:
            continue
        e = Engine(llama, model, job, depth + tokens)

        def once():
            e.clear()
            if depth:
                e.prefill(depth)
            return e.decode(depth, tokens)

        m = common.measure(once, job["repetitions"])
        per = tokens * job["batch"]
        out.row("decode_tokens_per_s", per / m["median"], batch=job["batch"],
                prompt_tokens=0, context_depth=depth, output_tokens=tokens,
                notes=common.notes_of(m, per, threads=job["threads"], clock=job["clock"]))
        e.close()


def key(job, prompt, depth, tokens, metric):
    return (job["model"], job["dtype"], "llamacpp-cpu", str(job["batch"]), str(prompt),
            str(depth), str(tokens), metric)


def quiet(llama):
    callback = llama.llama_log_callback(lambda level, text, data: None)
    llama.llama_log_set(callback, ctypes.c_void_p(0))
    return callback  # must outlive the library's use of it


def work(job):
    import llama_cpp as llama

    keep = quiet(llama)
    llama.llama_backend_init()
    path = model_file(job, llama)
    if job.get("make"):
        return
    params = llama.llama_model_default_params()
    params.n_gpu_layers = 0
    model = llama.llama_model_load_from_file(path.encode(), params)
    if not model:
        raise SystemExit(f"{job['label']}: llama.cpp does not load {path}")
    fixed = dict(source="rooflint realrun", device=job["device"], device_count=1,
                 model=job["model"], weights_dtype=job["dtype"], kv_dtype="fp16",
                 runtime="llamacpp-cpu", runtime_version=f"llama-cpp-python {llama.__version__}")
    if job["config"]["model_type"] in ("mamba", "mamba2"):
        fixed["kv_dtype"] = ""
    out = common.Writer(job["out"], fixed)
    have = common.done_rows(job["out"])
    prefill_rows(llama, model, job, out, have)
    decode_rows(llama, model, job, out, have)
    if key(job, 0, max(job["depths"]), 0, "peak_memory_rss") not in have:
        rss = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        out.row("peak_memory_rss", rss, batch=job["batch"], prompt_tokens=0,
                context_depth=max(job["depths"]), output_tokens=0,
                notes=dict(threads=job["threads"],
                           scope="whole process, Python and all lengths included"))
    llama.llama_model_free(model)
    del keep


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    p.add_argument("--out", default="runs.csv")
    p.add_argument("--models", default="smollm2-135m,qwen2.5-0.5b,mamba-130m,mamba2-130m,"
                                       "falcon-h1-0.5b")
    p.add_argument("--models-dir", default=common.default_models_dir())
    p.add_argument("--dtypes", default="fp16,q8_0,q4_k_m")
    p.add_argument("--prompts", default="128,512,2k,8k")
    p.add_argument("--depths", default="0,512,2k,8k")
    p.add_argument("--tokens", type=int, default=32, help="decode steps of a sample")
    p.add_argument("--batch", type=int, default=1)
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--repetitions", type=int, default=5)
    p.add_argument("--clock", default="wall", choices=sorted(CLOCKS),
                   help="cpu: CPU time, for one thread on a busy machine")
    p.add_argument("--device", default="host", help="what to write as the device")
    p.add_argument("--cache", default=None, help="keep the GGUF files here")
    p.add_argument("--timeout", type=float, default=3600, help="seconds for one model")
    p.add_argument("--job", help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.job:
        work(json.loads(a.job))
        return 0
    if a.clock == "cpu" and a.threads != 1:
        p.error("--clock cpu needs --threads 1: threads that wait use CPU time as well")
    for d in a.dtypes.split(","):
        if d not in FTYPES:
            p.error(f"--dtypes: expected some of {', '.join(FTYPES)}, got '{d}'")
    with tempfile.TemporaryDirectory() as scratch:
        cache = a.cache or scratch
        os.makedirs(cache, exist_ok=True)
        prompts, depths = common.numbers(a.prompts), common.numbers(a.depths)
        jobs = []
        for name in a.models.split(","):
            model, config = common.load_config(name, a.models_dir)
            for dtype in a.dtypes.split(","):
                job = dict(
                    label=f"{model} {dtype}", model=model, config=config, dtype=dtype,
                    prompts=prompts, depths=depths, tokens=a.tokens, batch=a.batch,
                    threads=a.threads, repetitions=a.repetitions, device=a.device, clock=a.clock,
                    cache=cache, out=a.out, context=max(prompts + depths) + a.tokens)
                # the file is made by a process of its own: its memory is not the model's
                jobs += [dict(job, make=True, label=job["label"] + ": file"), job]
        return 1 if common.each_in_its_own_process(__file__, jobs, a.timeout) else 0


if __name__ == "__main__":
    sys.exit(main())
