#!/usr/bin/env python3
"""Lets Troupe and Hugging Face's transformers write with the same models, by turns, one thread each.

    python3 -m venv /tmp/peers-venv
    /tmp/peers-venv/bin/pip install torch transformers
    benchmarks/peers/generation.py --venv /tmp/peers-venv

From the repository, after building ($TROUPE names another program). Each configuration is trained for a step on a
made-up language and exported in fp32; both write the likeliest tokens after the same prompts, one prompt at a time,
with a cache. What is counted is the time of the tokens after the first: of a prompt, of loading and of Python's
imports nothing. Prints CPU and wall time per token of both, the least of the rounds, and their ratio; then what
Troupe's tokens take by how many are before them.
"""
import argparse
import itertools
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

from made_up_corpus import describe_corpus

HERE = pathlib.Path(__file__).resolve().parent
PROGRAM = os.environ.get("TROUPE", "build/release/bin/troupe")
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
PROMPTS = ["ba", "do ke", "mi zu cha", "sto"]
LENGTHS = [1, 64, 256, 1024, 4096]
SETTINGS = ["data.sequence_length=4224", "batch.sequences=4", "batch.micro_batch=1", "batch.grad_lanes=4",
            "batch.expert_lanes=1", "run.steps=1", "evaluation.every=0", "evaluation.final_sequences=1",
            "sampling.every=0", "checkpoint.every=0", "dashboard.enabled=false", "parallel.backend=inproc"]


def children():
    """CPU seconds of the processes that ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def call(command, text=""):
    """Output, and wall and CPU seconds."""
    before, wall = children(), time.perf_counter()
    done = subprocess.run(list(map(str, command)), input=text, capture_output=True, text=True, env=ONE_THREAD)
    wall, after = time.perf_counter() - wall, children()
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout, wall, after - before


def make_run(config, corpus, settings, folder):
    settings = [f"data.corpus={corpus}", *SETTINGS, *settings]
    call([PROGRAM, "train", config, "--run-dir", folder, "--workers", 1,
          *itertools.chain.from_iterable(("--set", one) for one in settings)])


def troupe_writes(run, tokens, prompts=PROMPTS):
    command = [PROGRAM, "generate", run, "--temperature", 0, "--json", "--batch", 1]
    command += [word for prompt in prompts for word in ("--prompt", prompt)]
    _, prompt_wall, prompt_cpu = call([*command, "--tokens", 1])
    output, wall, cpu = call([*command, "--tokens", tokens])
    written = [json.loads(line)["tokens"] for line in output.splitlines()]
    return written, wall - prompt_wall, cpu - prompt_cpu


def transformers_writes(venv, folder, tokens):
    request = json.dumps({"folder": str(folder), "prompts": PROMPTS, "tokens": tokens}) + "\n"
    result = json.loads(call([venv / "bin/python", "-P", HERE / "transformers_writer.py"], request)[0])
    return result["tokens"], result["wall"], result["cpu"]


def equal_tokens(ours, theirs):
    return sum(one == other for both in zip(ours, theirs) for one, other in zip(*both))


def compare(name, run, exported, arguments):
    per_token = {"Troupe": [], "transformers": []}
    for _ in range(arguments.rounds):
        ours = troupe_writes(run, arguments.tokens)
        theirs = transformers_writes(arguments.venv, exported, arguments.tokens)
        for who, (written, wall, cpu) in (("Troupe", ours), ("transformers", theirs)):
            count = sum(len(tokens) - 1 for tokens in written)
            per_token[who].append((cpu / count, wall / count))
    print(f"{name}: {equal_tokens(ours[0], theirs[0])} of {sum(map(len, ours[0]))} tokens equal, "
          f"{arguments.rounds} rounds")
    least = {}
    for who, rounds in per_token.items():
        cpu, wall = (min(times) for times in zip(*rounds))
        least[who] = cpu
        print(f"  {who:13} {1e3 * cpu:8.3f} ms of CPU, {1e3 * wall:8.3f} ms wall a token: {1 / cpu:8.0f} tokens per "
              "second of CPU")
    print(f"  {least['transformers'] / least['Troupe']:.1f} times as many tokens per second of CPU", flush=True)


def growth(run, rounds):
    """Least CPU seconds of a run of each length; what lies between two is of the tokens between."""
    seconds = [min(troupe_writes(run, length, PROMPTS[:1])[2] for _ in range(rounds)) for length in LENGTHS[1:]]
    spans = zip(LENGTHS, LENGTHS[1:], [0.0, *seconds], seconds)
    for first, last, before, after in spans:
        print(f"  Troupe's tokens {first:5} to {last:5}: {1e3 * (after - before) / (last - first):8.3f} ms of CPU each",
              flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configs", nargs="*", default=["configs/tiny.yaml", "configs/quickstart.yaml"])
    parser.add_argument("--venv", type=pathlib.Path, help="without it Troupe is measured alone")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of the configurations")
    parser.add_argument("--vocab-size", type=int, default=8192)
    parser.add_argument("--tokens", type=int, default=200, help="after each prompt")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = pathlib.Path(temporary)
        corpus = work / "corpus"
        call([PROGRAM, "data", "prepare", describe_corpus(work, arguments.vocab_size, 0), "--output", corpus])
        for config in arguments.configs:
            name = pathlib.Path(config).stem
            make_run(config, corpus, arguments.set, work / name)
            if arguments.venv:
                exported = work / f"{name}-exported"
                call([PROGRAM, "export", work / name, "--output", exported])
                compare(config, work / name, exported, arguments)
            else:
                print(config, *arguments.set)
            growth(work / name, arguments.rounds)


if __name__ == "__main__":
    main()
