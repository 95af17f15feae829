#!/usr/bin/env python3
"""Compares what llama.cpp writes with a model that Troupe exported as GGUF with what Troupe writes with it: the
likeliest tokens after some prompts, in one thread each. Needs llama-cpp-python, in an environment of its own:

    python3 -m venv venv && venv/bin/pip install llama-cpp-python
    build/release/bin/troupe export RUN --format gguf --output model.gguf
    venv/bin/python tests/golden/read_gguf.py build/release/bin/troupe RUN model.gguf

Ends with 1 when a text differs.
"""
import json
import subprocess
import sys

import llama_cpp

PROMPTS = ["The", "In order to", "This program", "int main", "Le ", "A number of", "It was", "def f(", "1 2 3", "Debian"]
TOKENS = 32


def of_troupe(program, run, prompt):
    output = subprocess.run([program, "generate", run, "--prompt", prompt, "--temperature", "0", "--tokens", str(TOKENS),
                             "--json"], check=True, capture_output=True, text=True).stdout
    return json.loads(output.splitlines()[0])["text"]


def main():
    program, run, file = sys.argv[1:4]
    model = llama_cpp.Llama(file, n_ctx=256, n_threads=1, verbose=False)
    different = 0
    for prompt in PROMPTS:
        tokens = model.tokenize(prompt.encode(), add_bos=True, special=False)
        written = []
        for token in model.generate(tokens, temp=0.0, top_k=1, repeat_penalty=1.0):
            if token == model.token_eos() or len(written) == TOKENS:
                break
            written.append(token)
        theirs = model.detokenize(written).decode(errors="replace")
        ours = of_troupe(program, run, prompt)
        different += theirs != ours
        print(f"{'equal' if theirs == ours else 'OTHER'}  {prompt!r}: {ours!r}" + ("" if theirs == ours else f" / {theirs!r}"))
    print(f"{len(PROMPTS) - different} of {len(PROMPTS)} texts of {TOKENS} tokens are equal")
    return different > 0


if __name__ == "__main__":
    sys.exit(main())
