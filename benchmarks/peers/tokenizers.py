#!/usr/bin/env python3
"""Encodes a text and trains on it with Troupe and with Hugging Face's `tokenizers`, run by run, on one thread.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install tokenizers==0.23.3
    /tmp/venv/bin/python benchmarks/peers/tokenizers.py --troupe build/release/bin/troupe

Both read the same files from a temporary folder, with the same tokenizer.json, which Troupe trains there. Each round
runs `troupe bench tokenizer` and then the package; shown are medians of wall time over the rounds.
Fails when one token id differs, and says how many merges do. Special tokens are never made from text, as in Troupe.
"""
import sys

sys.path.pop(0)  # the folder of this script, whose name of the package would win

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

os.environ |= {"RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}  # read when the package starts
from tokenizers import Tokenizer, __version__, decoders, models, pre_tokenizers, trainers  # noqa: E402

END_OF_TEXT = "<|endoftext|>"
SYSTEM_TEXT = ["/usr/share/perl", "/usr/share/doc", "/usr/include"]
LARGEST_FILE = 1 << 20


def text_files(folder):
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())


def documents_of(source, limit):
    """Texts in UTF-8 of the files below a folder, or of one file, up to `limit` bytes; each text once."""
    found, size = {}, 0
    for path in text_files(source) if source.is_dir() else [source]:
        if path.stat().st_size > LARGEST_FILE and path != source:
            continue
        try:
            text = path.read_bytes().decode("utf-8")
        except UnicodeDecodeError:
            continue
        if text and "\0" not in text and text not in found:
            found[text] = None
            size += len(text.encode())
        if size >= limit:
            break
    return list(found)


def collect(sources, megabytes):
    limit = megabytes * 1e6 / len(sources)
    documents = list(dict.fromkeys(text for source in sources for text in documents_of(source, limit)))
    if not documents:
        raise SystemExit(f"no text in UTF-8 in {', '.join(map(str, sources))}: give a file or folder by --text")
    return documents


class Troupe:
    def __init__(self, binary, folder, vocab):
        self.binary, self.text, self.vocab = binary, folder / "text", str(vocab)
        self.files = [str(path) for path in sorted(self.text.iterdir())]
        self.tokenizer = folder / "tokenizer.json"
        self.run("tokenizer", "train", *self.files, "--vocab", self.vocab, "--output", self.tokenizer)

    def run(self, *arguments):
        return subprocess.run([self.binary, *map(str, arguments)], check=True, stdout=subprocess.PIPE, text=True).stdout

    def ids(self):
        lines = self.run("tokenizer", "encode", *self.files, "--tokenizer", self.tokenizer).splitlines()
        return [list(map(int, line.split())) for line in lines]

    def seconds(self):
        report = json.loads(self.run("bench", "tokenizer", "--text", self.text, "--tokenizer", self.tokenizer,
                                     "--vocab", self.vocab, "--repeats", 1, "--json"))
        return {line["what"].split()[0]: line["median_seconds"] for line in report["measurements"]}


class HuggingFace:
    def __init__(self, documents, tokenizer, vocab):
        self.documents, self.vocab = documents, vocab
        self.tokenizer = Tokenizer.from_file(str(tokenizer))
        self.tokenizer.encode_special_tokens = True

    def ids(self):
        return [self.tokenizer.encode(text, add_special_tokens=False).ids for text in self.documents]

    def encode(self):
        for text in self.documents:
            self.tokenizer.encode(text, add_special_tokens=False)

    def encode_batch(self):  # the fast one: without offsets
        self.tokenizer.encode_batch_fast(self.documents, add_special_tokens=False)

    def train(self):
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(vocab_size=self.vocab, min_frequency=2, special_tokens=[END_OF_TEXT],
                                      show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
        tokenizer.train_from_iterator(self.documents, trainer)
        return tokenizer

    def seconds(self):
        return {run.__name__: elapsed(run) for run in (self.encode, self.encode_batch, self.train)}


def elapsed(run):
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def merges_of(tokenizer_json):
    return [merge if isinstance(merge, str) else " ".join(merge)
            for merge in json.loads(tokenizer_json)["model"]["merges"]]


def compare_results(ours, theirs):
    """The same ids, or no comparison of times. The two vocabularies may differ where counts are equal."""
    if ours.ids() != theirs.ids():
        raise SystemExit("token ids differ")
    own, their = merges_of(ours.tokenizer.read_text("utf-8")), merges_of(theirs.train().to_str())
    same_rank = sum(a == b for a, b in zip(own, their))
    print(f"token ids: equal; trained merges: {len(own)} and {len(their)}, {same_rank} of the same rank, "
          f"{len(set(own) & set(their))} in both")


def print_table(rounds, megabytes):
    median = {name: statistics.median(seconds) for name, seconds in rounds.items()}
    for ours, theirs in (("encode", "encode"), ("encode", "encode_batch"), ("train", "train")):
        a, b = median["ours", ours], median["theirs", theirs]
        ratios = [y / x for x, y in zip(rounds["ours", ours], rounds["theirs", theirs])]
        print(f"{theirs:>12}: Troupe {a:8.3f} s {megabytes / a:7.1f} MB/s   tokenizers {b:8.3f} s "
              f"{megabytes / b:7.1f} MB/s   {b / a:6.1f} times faster ({min(ratios):.1f} to {max(ratios):.1f})")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--troupe", required=True, type=pathlib.Path, help="the program")
    parser.add_argument("--text", nargs="+", type=pathlib.Path, default=[pathlib.Path(p) for p in SYSTEM_TEXT],
                        help="files or folders; default: what a Debian machine has")
    parser.add_argument("--megabytes", type=int, default=24, help="of text at most")
    parser.add_argument("--vocab", type=int, default=8192, help="entries to train")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    documents = collect([path for path in arguments.text if path.exists()], arguments.megabytes)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "text").mkdir()
        for i, text in enumerate(documents):
            (folder / "text" / f"{i:06}.txt").write_bytes(text.encode())
        ours = Troupe(arguments.troupe.resolve(), folder, arguments.vocab)
        theirs = HuggingFace(documents, ours.tokenizer, arguments.vocab)
        megabytes = sum(path.stat().st_size for path in ours.text.iterdir()) * 1e-6
        print(f"{len(documents)} documents, {megabytes:.1f} MB, {arguments.vocab} entries, {arguments.rounds} rounds; "
              f"tokenizers {__version__}, one thread each")
        compare_results(ours, theirs)
        rounds = {}
        for _ in range(arguments.rounds):
            for who, side in (("ours", ours), ("theirs", theirs)):
                for what, seconds in side.seconds().items():
                    rounds.setdefault((who, what), []).append(seconds)
        print_table(rounds, megabytes)


if __name__ == "__main__":
    main()
