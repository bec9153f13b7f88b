"""What the drivers of real runs share: the runs schema, statistics, CPU time of
other processes, one process per model."""

import csv
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import time

COLUMNS = (
    "source,device,device_count,model,weights_dtype,kv_dtype,runtime,runtime_version,"
    "batch,prompt_tokens,context_depth,output_tokens,metric,value,unit,notes"
).split(",")
UNITS = {
    "ttft": "s",
    "tpot": "s",
    "decode_time": "s",
    "e2e_latency": "s",
    "gpu_time": "s",
    "prefill_tokens_per_s": "tokens/s",
    "decode_tokens_per_s": "tokens/s",
    "peak_memory_allocated": "bytes",
    "peak_memory_reserved": "bytes",
    "peak_memory_rss": "bytes",
    "energy": "J",
    "decode_energy": "J",
}
NOISY_CPU = 0.15  # CPUs that other processes may use during a sample


class Writer:
    """Rows of the runs schema, flushed one by one: a stop loses nothing."""

    def __init__(self, path, fixed):
        exists = os.path.exists(path) and os.path.getsize(path) > 0
        self.file = open(path, "a", newline="", encoding="utf-8")
        self.csv = csv.DictWriter(self.file, COLUMNS, lineterminator="\n")
        if not exists:
            self.csv.writeheader()
        self.fixed = fixed
        self.notes = {}  # of every row

    def row(self, metric, value, **kw):
        notes = dict(self.notes, **kw.pop("notes", {}))
        row = dict(self.fixed, metric=metric, value=f"{value:.6g}", unit=UNITS[metric], **kw)
        row["notes"] = "; ".join(f"{k}={v}" for k, v in notes.items())
        self.csv.writerow({c: row.get(c, "") for c in COLUMNS})
        self.file.flush()


def done_rows(path):
    """Keys of the rows that a file already holds, to go on after a stop."""
    if not path or not os.path.exists(path):
        return set()
    with open(path, newline="", encoding="utf-8") as f:
        return {
            (r["model"], r["weights_dtype"], r["runtime"], r["batch"], r["prompt_tokens"],
             r["context_depth"], r["output_tokens"], r["metric"])
            for r in csv.DictReader(f)
        }


class ForeignCpu:
    """CPUs that other processes used since the start (from /proc/stat)."""

    def __init__(self):
        self.start = self._read()

    @staticmethod
    def _read():
        try:
            with open("/proc/stat", encoding="ascii") as f:
                v = [int(x) for x in f.readline().split()[1:9]]
        except OSError:
            return None
        busy = sum(v) - v[3] - v[4]
        u = resource.getrusage(resource.RUSAGE_SELF)
        tick = os.sysconf("SC_CLK_TCK")
        return time.monotonic(), busy / tick, u.ru_utime + u.ru_stime

    def cpus(self):
        now = self._read()
        if not now or not self.start:
            return 0.0
        wall, busy, own = (b - a for a, b in zip(self.start, now))
        return max(0.0, (busy - own) / wall) if wall > 0 else 0.0


def measure(run, repetitions, tries=3):
    """Median, 95 % bootstrap interval and spread of `run`, which returns seconds.
    A first call is thrown away; a sample that others disturbed is taken again."""
    run()
    samples, foreign = [], 0.0
    for _ in range(repetitions):
        best = None
        for _ in range(tries):
            watch = ForeignCpu()
            t = run()
            cpus = watch.cpus()
            if best is None or cpus < best[1]:
                best = (t, cpus)
            if cpus <= NOISY_CPU:
                break
        samples.append(best[0])
        foreign = max(foreign, best[1])
    rng = random.Random(1)
    medians = sorted(
        statistics.median(rng.choices(samples, k=len(samples))) for _ in range(400)
    )
    return {
        "median": statistics.median(samples),
        "lo": medians[10],
        "hi": medians[389],
        "stddev": statistics.stdev(samples) if len(samples) > 1 else 0.0,
        "n": len(samples),
        "foreign": foreign,
    }


def notes_of(m, per=None, **more):
    """The notes of a row: how it was measured and how far it spreads.  per: a
    rate's numerator, so that the interval is in the row's own unit."""
    lo, hi = (m["lo"], m["hi"]) if per is None else (per / m["hi"], per / m["lo"])
    out = dict(more)
    out.update(r=m["n"], lo=f"{lo:.6g}", hi=f"{hi:.6g}", foreign_cpu=f"{m['foreign']:.2f}")
    return out


def load_config(name, models_dir):
    """A config by path or by the id of models/<id>.json."""
    path = name if name.endswith(".json") else os.path.join(models_dir, name + ".json")
    with open(path, encoding="utf-8") as f:
        config = json.load(f)
    return os.path.splitext(os.path.basename(path))[0], config


def default_models_dir():
    here = os.path.dirname(os.path.abspath(__file__))
    return os.path.join(here, "..", "..", "models")


def each_in_its_own_process(script, jobs, timeout):
    """Runs `script --job JSON` for every job; a crash or a full memory ends one
    model, not the run.  Returns the number of jobs that failed."""
    failed = 0
    for job in jobs:
        print(f"== {job['label']}", file=sys.stderr, flush=True)
        try:
            rc = subprocess.run(
                [sys.executable, script, "--job", json.dumps(job)], timeout=timeout, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            rc = "timeout"
        except KeyboardInterrupt:
            print("stopped: rows so far are kept; run again to go on", file=sys.stderr)
            sys.exit(130)
        if rc != 0:
            failed += 1
            print(f"{job['label']}: failed ({rc})", file=sys.stderr)
    return failed


def numbers(text):
    """'128,512,2k' -> [128, 512, 2048]"""
    out = []
    for part in text.split(","):
        factor = {"k": 1024, "M": 1024**2}.get(part[-1:], 1)
        out.append(int(part.rstrip("kM")) * factor)
    return out
