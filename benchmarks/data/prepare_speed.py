#!/usr/bin/env python3
"""Documents per second of `troupe data prepare` and of Hugging Face `datasets` + `tokenizers`, in turn.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install datasets tokenizers
    /tmp/venv/bin/python benchmarks/data/prepare_speed.py build/release/bin/troupe TOKENIZER.json --megabytes 200

Both read the same JSON lines (of words drawn from the texts of the tests), with the same tokenizer on the same cores, and
write the ids to disk. Reports the median of the rounds, and the largest memory of either.
"""
import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]


def write_lines(path, megabytes):
    words = " ".join(text.read_text() for text in sorted((SOURCE / "tests/data/text").glob("*.txt"))).split(" ")
    draw = random.Random(1)
    documents = size = 0
    with path.open("w") as file:
        while size < megabytes * 1_000_000:
            begin = draw.randrange(len(words) - 600)
            text = " ".join(draw.sample(words, 40) + words[begin : begin + draw.randrange(20, 500)])
            size += file.write(json.dumps({"id": documents, "text": text}) + "\n")
            documents += 1
    return documents


THEIRS = """
import sys, datasets, tokenizers
lines, tokenizer_file, output, processes = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
datasets.disable_progress_bars()
tokenizer = tokenizers.Tokenizer.from_file(tokenizer_file)
def encode(batch):
    return {"ids": [e.ids for e in tokenizer.encode_batch(batch["text"], add_special_tokens=False)]}
data = datasets.load_dataset("json", data_files=lines, split="train", cache_dir=output + "/cache")
data.map(encode, batched=True, num_proc=processes if processes > 1 else None, remove_columns=data.column_names
         ).save_to_disk(output + "/ids")
"""


def timed(command, environment):
    before = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{command[0]} failed: {errors.decode(errors='replace')[-2000:]}")
    return time.perf_counter() - before, usage.ru_maxrss * 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("troupe")
    parser.add_argument("tokenizer")
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lines = pathlib.Path(folder) / "lines.jsonl"
        documents = write_lines(lines, arguments.megabytes)
        seconds, memory = {"troupe": [], "theirs": []}, {"troupe": 0, "theirs": 0}
        for number in range(arguments.rounds):
            commands = {
                "troupe": [arguments.troupe, "data", "prepare", lines, "--tokenizer", arguments.tokenizer, "--threads",
                           str(arguments.threads), "--output", f"{folder}/troupe-{number}"],
                "theirs": [sys.executable, "-c", THEIRS, lines, arguments.tokenizer, f"{folder}/theirs-{number}",
                           str(arguments.threads)],
            }
            environment = {**os.environ, "RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
            for name, command in commands.items():
                took, used = timed([str(part) for part in command], environment)
                seconds[name].append(took)
                memory[name] = max(memory[name], used)
        rates = {name: documents / statistics.median(values) for name, values in seconds.items()}
        print(json.dumps({"documents": documents, "megabytes": arguments.megabytes, "threads": arguments.threads,
                          "documents_per_second": rates, "ratio": rates["troupe"] / rates["theirs"],
                          "peak_bytes": memory}, indent=2))


if __name__ == "__main__":
    main()
