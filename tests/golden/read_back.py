#!/usr/bin/env python3
"""Shows what docs/models.md says of the exchange with Hugging Face's transformers: its figures are this script's.

    python3 -m venv venv && venv/bin/pip install torch transformers
    venv/bin/python tests/golden/read_back.py build/release/bin/troupe [--train]

Every folder of families/ is imported, exported in fp32, loaded by transformers, and computes the logits that it
had. With --train, tiny models with the tokenizer of tests/data/tiny are imported, trained for 20 steps on 1, 2
and 3 workers, with equal digests, exported and loaded: transformers gives the tokens that `troupe generate`
wrote, and their log-probabilities.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
import torch
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

FOLDER = pathlib.Path(__file__).parent / "families"
SOURCE = pathlib.Path(__file__).parent.parent.parent
BASE = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
            max_position_embeddings=64, tie_word_embeddings=False)
TRAINED = {
    "qwen3_moe": dict(BASE, head_dim=16, num_experts=6, num_experts_per_tok=2, moe_intermediate_size=16,
                      norm_topk_prob=True),
    "deepseek_v3": dict(dict(BASE, num_key_value_heads=4), n_routed_experts=6, n_shared_experts=1, n_group=2,
                        topk_group=1, num_experts_per_tok=2, moe_intermediate_size=16, first_k_dense_replace=1,
                        q_lora_rank=16, kv_lora_rank=16, qk_nope_head_dim=8, qk_rope_head_dim=8, v_head_dim=8),
}


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def load(folder):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    return model


def read_back(troupe, folder, work):
    expected = json.loads((folder / "expected.json").read_text())
    run(troupe, "import", folder, "--output", work / "run")
    run(troupe, "export", work / "run", "--type", folder.name.split("-")[0], "--output", work / "out")
    with torch.no_grad():
        logits = load(work / "out")(input_ids=torch.tensor(expected["tokens"])).logits.double().flatten()
    theirs = torch.tensor(expected["logits"], dtype=torch.float64)
    return ((logits - theirs).norm() / theirs.norm()).item()


def make_trained(name, work):
    tokenizer = SOURCE / "tests/data/tiny/tokenizer.json"
    vocabulary = json.loads(tokenizer.read_text())
    size = max([*vocabulary["model"]["vocab"].values(), *(t["id"] for t in vocabulary["added_tokens"])]) + 1
    torch.manual_seed(1)
    config = CONFIG_MAPPING[name](vocab_size=size, **TRAINED[name])
    AutoModelForCausalLM.from_config(config).float().save_pretrained(work / "model")
    shutil.copy(tokenizer, work / "model/tokenizer.json")


def train(troupe, name, work):
    make_trained(name, work)
    run(troupe, "import", work / "model", "--output", work / "imported")
    digests = []
    for workers in (1, 2, 3):
        run(troupe, "train", work / "imported/train.yaml", "--run-dir", work / f"run{workers}", "--workers", workers,
            "--set", f"data.corpus={SOURCE / 'tests/data/tiny'}", "--set", "run.steps=20",
            "--set", "data.sequence_length=32", "--set", "batch.sequences=6", "--set", "batch.micro_batch=1",
            "--set", "batch.grad_lanes=6", "--set", "batch.expert_lanes=6", "--set", "evaluation.every=0",
            "--set", "evaluation.final_sequences=8", "--set", "sampling.every=0", "--set", "dashboard.enabled=false",
            "--set", "parallel.backend=inproc")
        digests.append(run(troupe, "checkpoint", "verify", work / f"run{workers}", "--digest").split()[0])
    assert len(set(digests)) == 1, digests
    loss = json.loads(run(troupe, "eval", work / "run3", "--sequences", 8, "--json"))
    run(troupe, "export", work / "run3", "--type", name, "--output", work / "out")
    model = load(work / "out")
    worst, equal = 0.0, 0
    texts = run(troupe, "generate", work / "run3", "--temperature", 0, "--tokens", 16, "--json", "--prompt", "The",
                "--prompt", "A small cat", "--prompt", "in")
    from tokenizers import Tokenizer
    tokenizer = Tokenizer.from_file(str(work / "out/tokenizer.json"))
    start = json.loads((work / "out/config.json").read_text())["bos_token_id"]
    for line in map(json.loads, texts.splitlines()):
        context = [start, *tokenizer.encode(line["prompt"], add_special_tokens=False).ids]
        for token, ours in zip(line["tokens"], line["log_probabilities"]):
            with torch.no_grad():
                theirs = model(input_ids=torch.tensor([context])).logits[0, -1].double().log_softmax(-1)
            worst = max(worst, abs(theirs[token].item() - ours))
            equal += int(theirs.argmax().item() == token)
            context.append(token)
    return digests[0], loss, equal, worst


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("troupe")
    parser.add_argument("--train", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.train:
        for name in TRAINED:
            with tempfile.TemporaryDirectory() as work:
                digest, loss, equal, worst = train(arguments.troupe, name, pathlib.Path(work))
            print(f"{name}: digest {digest[:16]} on 1, 2 and 3 workers, {equal} of 48 greedy tokens equal, "
                  f"log-probabilities within {worst:.1e}", flush=True)
        return
    for folder in sorted(FOLDER.iterdir()):
        with tempfile.TemporaryDirectory() as work:
            print(f"| {folder.name} | {read_back(arguments.troupe, folder, pathlib.Path(work)):.1e} |", flush=True)


if __name__ == "__main__":
    main()
