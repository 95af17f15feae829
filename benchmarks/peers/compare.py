#!/usr/bin/env python3
"""Trains one model with Troupe and with PyTorch on the same tokens, by turns, and compares speed and losses.

    python3 -m venv /tmp/peers-venv
    /tmp/peers-venv/bin/pip install -r benchmarks/peers/requirements.txt
    benchmarks/peers/compare.py --venv /tmp/peers-venv

Run from the repository, after building ($TROUPE names another program). README.md says what is equal.
"""
import argparse
import base64
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

from made_up_corpus import describe_corpus

HERE = pathlib.Path(__file__).resolve().parent
PROGRAM = os.environ.get("TROUPE", "build/release/bin/troupe")
STOPPED = 75  # exit code of a run that saved and can go on
PEERS = {
    "eager": [],
    "compile": ["--compile"],
    "eager-onednn": ["--onednn"],
    "compile-onednn": ["--compile", "--onednn"],
}
# For PyTorch: glibc keeps the memory of large tensors, whose page faults cost 5 to 12 % of a step otherwise.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "2000000000", "MALLOC_TRIM_THRESHOLD_": "20000000000"}


def check(result, *good):
    if result.returncode not in (0, *good):
        sys.exit(f"{' '.join(result.args)} ended with {result.returncode}:\n{result.stdout}{result.stderr}")
    return result.stdout


def troupe(*arguments, good=()):
    return check(subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True), *good)


# ---- the peers: each makes steps, and returns one record per step -----------------------------------


class Troupe:
    """A run that stops after every round and goes on in the next."""

    def __init__(self, config, folder, settings):
        self.config, self.folder = config, folder / "run"
        self.settings = sets(settings)
        self.step = 0
        self.facts = {"version": troupe("--version").strip()}

    def advance(self, steps):
        stop = f"run.stop_after={self.step + steps}"
        troupe("train", self.config, "--run-dir", self.folder, *self.settings, "--set", stop, good=(STOPPED,))
        lines = [json.loads(line) for line in (self.folder / "metrics.jsonl").read_text().splitlines()]
        records = [record_of(line) for line in lines if "step_seconds" in line["metrics"]]
        made = [record for record in records if record["step"] > self.step]
        self.step += steps
        return made

    def order(self, first, steps):
        return troupe("data", "order", self.config, *self.settings, "--step", first, "--steps", steps, "--json")

    def measure_gemm(self, threads):
        measured = json.loads(troupe("bench", "gemm", "--threads", threads, "--json"))
        self.facts["gemm_flops"] = 1e9 * measured["peak_gflops"]

    def close(self):
        pass


def record_of(line):
    metrics = line["metrics"]
    return {"step": line["step"], "loss": metrics["loss"], "grad_norm": metrics["grad_norm"],
            "seconds": metrics["step_seconds"], "counts": [unpack_counts(text) for text in line["layers"]["counts"]]}


def unpack_counts(text):
    """layout/packed_counts.h"""
    number, least, bits, payload = text.split(",")
    packed = int.from_bytes(base64.b64decode(payload), "little")
    return [int(least) + (packed >> int(bits) * i & (1 << int(bits)) - 1) for i in range(int(number))]


class Torch:
    """A process that keeps the model, and waits between rounds."""

    def __init__(self, python, run_folder, order, threads, flags):
        number = str(threads)
        environment = {**os.environ, **KEEP_MEMORY, "OMP_NUM_THREADS": number, "MKL_NUM_THREADS": number}
        command = [python, HERE / "torch_trainer.py", run_folder, order, "--threads", number, *flags]
        self.process = subprocess.Popen(list(map(str, command)), env=environment, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.facts = self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"the PyTorch process ended with {self.process.wait()}; what it said is above")
        return json.loads(line)

    def advance(self, steps):
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        return [self.read() for _ in range(steps)]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


# ---- what came out ---------------------------------------------------------------------------------


def largest_difference(ours, theirs, key, steps):
    """Largest relative difference of a number over the first steps; infinite when one is not a number."""
    differences = [abs(a[key] - b[key]) / abs(a[key]) for a, b in zip(ours, theirs)][:steps]
    return max(difference if math.isfinite(difference) else math.inf for difference in differences)


def moved_tokens(ours, theirs, steps):
    """Largest part of a step's routed tokens that went to other experts, as far as counts show."""
    def part(a, b):
        pairs = [(x, y) for one, other in zip(a["counts"], b["counts"]) for x, y in zip(one, other)]
        return sum(abs(x - y) for x, y in pairs) / 2 / sum(x for x, _ in pairs)

    return max((part(a, b) for a, b in list(zip(ours, theirs))[:steps] if a["counts"]), default=0.0)


def timed(rounds):
    """Seconds of the steps that count: all but the first of each round."""
    return [record["seconds"] for records in rounds for record in records[1:]]


def summarize(peers, rounds, tokens, compared):
    """rounds: by peer, a list of records for each round."""
    ours = [record for records in rounds["troupe"] for record in records]
    base = timed(rounds["troupe"])
    rows = []
    for name, peer in peers.items():
        seconds = timed(rounds[name])
        records = [record for part in rounds[name] for record in part]
        rows.append({
            "peer": name,
            "tokens_per_second": tokens / statistics.median(seconds),
            "least_tokens_per_second": tokens / max(seconds),
            "most_tokens_per_second": tokens / min(seconds),
            "troupe_is_faster": statistics.median(seconds) / statistics.median(base),
            "troupe_is_faster_by_best_steps": min(seconds) / min(base),
            "loss_difference": largest_difference(ours, records, "loss", compared),
            "grad_norm_difference": largest_difference(ours, records, "grad_norm", compared),
            "moved_tokens": moved_tokens(ours, records, compared),
            **peer.facts,
        })
    return rows


def table(rows):
    lines = [f"{'':16}{'tokens/s':>10}{'least':>9}{'most':>9}{'ours / it':>11}{'by best':>9}{'loss diff':>11}"
             f"{'norm diff':>11}{'moved':>9}{'GEMM GFLOP/s':>14}{'warm-up s':>11}"]
    for row in rows:
        gemm, warm_up = row.get("gemm_flops", 0.0) * 1e-9, row.get("warm_up_seconds")
        lines.append(
            f"{row['peer']:16}{row['tokens_per_second']:10.0f}{row['least_tokens_per_second']:9.0f}"
            f"{row['most_tokens_per_second']:9.0f}{row['troupe_is_faster']:11.2f}"
            f"{row['troupe_is_faster_by_best_steps']:9.2f}{row['loss_difference']:11.1e}"
            f"{row['grad_norm_difference']:11.1e}{row['moved_tokens']:9.1e}{gemm:14.0f}"
            + (f"{warm_up:11.1f}" if warm_up is not None else f"{'':11}"))
    return "\n".join(lines)


def pin(threads):
    """This process and its children, to as many cores."""
    cores = sorted(os.sched_getaffinity(0))
    if threads > len(cores):
        sys.exit(f"--threads {threads}: there are {len(cores)} cores")
    os.sched_setaffinity(0, cores[-threads:])


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="configs/benchmarks/moe_step.yaml", help="its corpus is not needed")
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE, instead of the file's; may be repeated")
    parser.add_argument("--venv", type=pathlib.Path, help="virtual environment with requirements.txt")
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=["eager", "compile", "compile-onednn"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3, help="of a round that count; one more comes before them")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tolerance", type=float, default=1e-4, help="largest relative difference of losses")
    parser.add_argument("--compared", type=int, default=10, help="steps whose losses must agree")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if min(arguments.rounds, arguments.steps, arguments.threads, arguments.compared) < 1:
        parser.error("--rounds, --steps, --threads and --compared are at least 1")
    if arguments.peers and arguments.venv is None:
        parser.error("--venv is needed: PyTorch is in no package of the build")
    return arguments


def sets(values):
    return [word for value in values for word in ("--set", value)]


def start_peers(arguments, folder):
    """Troupe first: the others begin from its checkpoint of step 1."""
    total = 1 + arguments.rounds * (arguments.steps + 1)
    described = json.loads(troupe("describe", arguments.config, "--json", *sets(arguments.set)))
    tokens = described["tokens_per_step"]
    corpus = folder / "corpus"
    troupe("data", "prepare", describe_corpus(folder, described["vocab_size"], tokens * total), "--output", corpus)
    ours = Troupe(arguments.config, folder, [
        *arguments.set, f"data.corpus={corpus}", "data.document_mask=false", "parallel.workers=1",
        "parallel.backend=inproc", f"parallel.threads={arguments.threads}", "evaluation.every=0",
        "evaluation.final_sequences=1", "sampling.every=0", "checkpoint.every=0", "checkpoint.keep=1",
        "dashboard.enabled=false"])
    ours.advance(1)
    ours.measure_gemm(arguments.threads)
    peers = {"troupe": ours}
    order = folder / "order.json"
    order.write_text(ours.order(2, total - 1))
    for name in arguments.peers:
        python = arguments.venv / "bin" / "python"
        peers[name] = Torch(python, ours.folder, order, arguments.threads, PEERS[name])
    return peers, tokens


def run_rounds(peers, arguments):
    """By turns, so that what else the machine does meets all alike."""
    rounds = {name: [] for name in peers}
    for number in range(arguments.rounds):
        for name, peer in peers.items():
            rounds[name].append(peer.advance(arguments.steps + 1))
            seconds = statistics.median(timed(rounds[name][-1:]))
            print(f"round {number + 1}, {name}: {seconds:.2f} s a step", file=sys.stderr, flush=True)
    return rounds


def main():
    arguments = parse_arguments()
    pin(arguments.threads)
    with tempfile.TemporaryDirectory(prefix="troupe-peers-") as folder:
        peers, tokens = start_peers(arguments, pathlib.Path(folder))
        rounds = run_rounds(peers, arguments)
        for peer in peers.values():
            peer.close()
    compared = min(arguments.compared, arguments.rounds * (arguments.steps + 1))
    rows = summarize(peers, rounds, tokens, compared)
    if arguments.json:
        print(json.dumps({"config": arguments.config, "set": arguments.set, "threads": arguments.threads,
                          "rounds": arguments.rounds, "steps": arguments.steps, "compared_steps": compared,
                          "tokens_per_step": tokens, "peers": rows}, indent=2))
    else:
        print(f"{arguments.config}, {arguments.threads} threads, {arguments.rounds} rounds of {arguments.steps} steps "
              f"of {tokens} tokens; losses of {compared} steps compared")
        print(table(rows))
        for row in rows[1:]:
            print(f"{row['peer']}: PyTorch {row['version']}, {row['cpu']}, {row['blas']}")
    apart = [row["peer"] for row in rows if not row["loss_difference"] <= arguments.tolerance]
    if apart:
        sys.exit(f"losses differ by more than {arguments.tolerance:g}: {', '.join(apart)}")


if __name__ == "__main__":
    main()
