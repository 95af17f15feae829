#!/usr/bin/env python3
"""Makes a corpus of one JSONL file with Troupe, and with Hugging Face's `datasets` and `tokenizers`, by turns.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install tokenizers==0.23.3 datasets==5.2.0
    /tmp/venv/bin/python benchmarks/peers/prepare.py --troupe build/release/bin/troupe --megabytes 1000

The file has texts in UTF-8 that a Debian machine has (tokenizers.py), again and again, each with another number in it, so
that none is a duplicate. Both read it, encode with the same tokenizer.json on the same cores and store the ids: Troupe by
`troupe data prepare` (which also checks, looks for duplicates and shuffles), the other side by
load_dataset → map(batched, num_proc) → save_to_disk, each in a process of its own with empty caches. Shown are
documents per second, and the largest resident memory of any process that took part.
"""
import sys

sys.path.pop(0)  # the folder of this script, whose name of the package would win

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time

SOURCES = ["/usr/share/perl", "/usr/share/doc", "/usr/include"]
LARGEST_FILE = 1 << 16

HUGGING_FACE = """
import sys
from datasets import load_dataset
from tokenizers import Tokenizer
lines, tokenizer_json, processes, output = sys.argv[1:]
tokenizer = Tokenizer.from_file(tokenizer_json)
tokenizer.encode_special_tokens = True
end = tokenizer.token_to_id("<|endoftext|>")
def encode(batch):
    return {"ids": [one.ids + [end] for one in tokenizer.encode_batch_fast(batch["text"], add_special_tokens=False)]}
data = load_dataset("json", data_files=lines, split="train")
data.map(encode, batched=True, remove_columns=data.column_names, num_proc=int(processes)).save_to_disk(output)
"""


def texts():
    for source in SOURCES:
        for path in sorted(pathlib.Path(source).rglob("*")):
            if path.is_file() and not path.is_symlink() and path.stat().st_size <= LARGEST_FILE:
                try:
                    text = path.read_bytes().decode("utf-8")
                except UnicodeDecodeError:
                    continue
                if text.strip() and "\0" not in text:
                    yield text


def write_lines(file, megabytes):
    """How many documents."""
    found, documents, size = list(texts()), 0, 0
    with open(file, "w", encoding="utf-8") as out:
        while size < megabytes * 1e6:
            text = f"{documents}\n{found[documents % len(found)]}"
            size += out.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
            documents += 1
    return documents


def train_tokenizer(troupe, file, vocab, output):
    sample = output.parent / "sample"
    sample.mkdir()
    for number, text in zip(range(2000), texts()):
        (sample / f"{number:05}.txt").write_text(text, encoding="utf-8")
    subprocess.run([troupe, "tokenizer", "train", *sorted(map(str, sample.iterdir())), "--vocab", str(vocab), "--output",
                    output], check=True, stdout=subprocess.DEVNULL)


def measured(command, environment):
    """Seconds, and the largest resident bytes of a process that it started, itself included."""
    script = ("import resource, subprocess, sys, time; begin = time.monotonic(); "
              "code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE); "
              "seconds = time.monotonic() - begin; sys.stderr.buffer.write(code.stderr[-4000:]) if code.returncode else None; "
              "print(code.returncode, seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)")
    run = subprocess.run([sys.executable, "-c", script, *map(str, command)], env=environment, text=True,
                         stdout=subprocess.PIPE, check=True)
    code, seconds, memory = run.stdout.split()
    if code != "0":
        raise SystemExit(f"{command[0]} failed")
    return float(seconds), int(memory)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--troupe", required=True, type=pathlib.Path, help="the program")
    parser.add_argument("--megabytes", type=int, default=1000, help="of JSON lines")
    parser.add_argument("--vocab", type=int, default=8192)
    parser.add_argument("--cores", type=int, default=2, help="that both are pinned to, a thread or process each")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    troupe = arguments.troupe.resolve()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.cores])
    rounds = {"Troupe": [], "datasets": []}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        lines, tokenizer = folder / "lines.jsonl", folder / "tokenizer.json"
        documents = write_lines(lines, arguments.megabytes)
        train_tokenizer(troupe, lines, arguments.vocab, tokenizer)
        environment = os.environ | {"HF_HOME": str(folder / "cache"), "HF_HUB_OFFLINE": "1", "RAYON_NUM_THREADS": "1",
                                    "TOKENIZERS_PARALLELISM": "false"}
        commands = {
            "Troupe": [troupe, "data", "prepare", lines, "--tokenizer", tokenizer, "--threads", arguments.cores,
                       "--output", folder / "out"],
            "datasets": [sys.executable, "-c", HUGGING_FACE, lines, tokenizer, arguments.cores, folder / "out"]}
        for _ in range(arguments.rounds):
            for who, command in commands.items():
                rounds[who].append(measured(command, environment))
                for left in ("out", "cache"):
                    shutil.rmtree(folder / left, ignore_errors=True)
    result = {"documents": documents, "megabytes": arguments.megabytes, "cores": arguments.cores}
    for who, runs in rounds.items():
        result[who] = {"documents_per_second": documents / statistics.median(seconds for seconds, _ in runs),
                       "most_resident_megabytes": max(memory for _, memory in runs) / 1e6,
                       "seconds": [seconds for seconds, _ in runs]}
    result["times_faster"] = result["Troupe"]["documents_per_second"] / result["datasets"]["documents_per_second"]
    if arguments.json:
        print(json.dumps(result, indent=2))
        return
    print(f"{documents} documents, {arguments.megabytes} MB of JSON lines, {arguments.cores} cores, {arguments.rounds} rounds")
    for who in rounds:
        print(f"{who:>9}: {result[who]['documents_per_second']:9.0f} documents/s, {result[who]['most_resident_megabytes']:6.0f} MB "
              f"resident, rounds of {', '.join(f'{s:.1f}' for s in result[who]['seconds'])} s")
    print(f"Troupe is {result['times_faster']:.1f} times faster")


if __name__ == "__main__":
    main()
