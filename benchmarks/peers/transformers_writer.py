#!/usr/bin/env python3
"""Lets transformers write on, greedily and with its cache, as generation.py asks: a request of one JSON line on
stdin, {"folder", "prompts", "tokens"}; one line of JSON on stdout, {"tokens", "wall", "cpu"}. One thread."""
import json
import os
import pathlib
import sys
import time

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM


def main():
    request = json.loads(sys.stdin.readline())
    torch.set_num_threads(1)
    folder = pathlib.Path(request["folder"])
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    config = json.loads((folder / "config.json").read_text())
    prompts = [torch.tensor([[config["bos_token_id"], *tokenizer.encode(prompt, add_special_tokens=False).ids]])
               for prompt in request["prompts"]]

    def write(prompt, tokens):
        with torch.no_grad():
            ids = model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=tokens,
                                 min_new_tokens=1, do_sample=False, use_cache=True,
                                 pad_token_id=config["bos_token_id"], eos_token_id=config.get("eos_token_id"))
        return ids[0, prompt.shape[1]:].tolist()

    def measured(tokens):
        wall, cpu = time.perf_counter(), time.process_time()
        written = [write(prompt, tokens) for prompt in prompts]
        return written, time.perf_counter() - wall, time.process_time() - cpu

    measured(2)  # what is made once
    _, prompt_wall, prompt_cpu = measured(1)
    written, wall, cpu = measured(request["tokens"])
    print(json.dumps({"tokens": written, "wall": wall - prompt_wall, "cpu": cpu - prompt_cpu}))


if __name__ == "__main__":
    main()
