#!/usr/bin/env python3
"""Compares what llama.cpp computes with models that Troupe exported as GGUF with what Troupe computes with them: the
likeliest tokens after some prompts, and their log-probabilities, in one thread each and in fp32. Needs llama.cpp, as
this package brings it along:

    python3 -m venv venv && venv/bin/pip install xllamacpp
    venv/bin/python tests/golden/read_gguf.py build/release/bin/troupe [TYPE ...]
    venv/bin/python tests/golden/read_gguf.py build/release/bin/troupe --run RUN [TYPE]     # one of your own

Without a run: of every type that llama.cpp knows, the model of families/ is taken, made what llama.cpp can say (other
windows, more layers, the tokenizer of tests/data/tiny), imported and exported. Ends with 1 when a token differs.
"""
import json
import math
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

import xllamacpp

SOURCE = pathlib.Path(__file__).parent.parent.parent
FAMILIES = SOURCE / "tests/golden/families"
TOKENIZER = SOURCE / "tests/data/tiny/tokenizer.json"
PROMPTS = ["The", "In order to", "This program", "int main", "Le ", "A number of", "It was", "def f(", "1 2 3", "Debian"]
TOKENS = 32

YARN = dict(rope_type="yarn", rope_theta=1e4, factor=4.0, original_max_position_embeddings=16)
SLIDING, FULL = "sliding_attention", "full_attention"
# What config.json says otherwise than in families/.
TYPES = {
    "llama": {},
    "llama-biases": {},
    "mistral": dict(sliding_window=None),
    "mixtral": {},
    "qwen2": {},
    "qwen3": dict(use_sliding_window=False, layer_types=None, sliding_window=None),
    "qwen3_moe": {},
    "olmo2": {},
    "olmoe": dict(num_key_value_heads=4),
    "gpt_oss": dict(num_hidden_layers=3, layer_types=[SLIDING, FULL, SLIDING],
                    rope_parameters=dict(YARN, rope_theta=150000.0)),
    "dots1": dict(num_key_value_heads=4),
    "glm4_moe": {},
    "minimax_m2": {},
    "deepseek_v2": dict(topk_method="greedy", n_group=1, topk_group=1),
    "deepseek_v3": dict(rope_parameters=dict(YARN, mscale=0.7, mscale_all_dim=0.7)),
    "smollm3": dict(num_hidden_layers=5, no_rope_layers=[1, 1, 1, 0, 1], layer_types=None),
    "gemma2": dict(num_hidden_layers=3, query_pre_attn_scalar=8, layer_types=[SLIDING, FULL, SLIDING]),
    "gemma3_text": dict(num_hidden_layers=7, layer_types=[SLIDING] * 5 + [FULL, SLIDING]),
    "phi3": {},
    "cohere2": dict(num_hidden_layers=5, layer_types=[SLIDING] * 3 + [FULL, SLIDING]),
    "ernie4_5": {},
    "gpt2": {},
}


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


# ---- a model of families/, made another ----


def read_tensors(folder):
    """{name: (dtype, shape, bytes)}"""
    tensors = {}
    for file in folder.glob("*.safetensors"):
        data = file.read_bytes()
        size = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8:8 + size])
        header.pop("__metadata__", None)
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            tensors[name] = (entry["dtype"], entry["shape"], data[8 + size + begin:8 + size + end])
    return tensors


def write_tensors(tensors, file):
    header, begin = {}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = dict(dtype=dtype, shape=shape, data_offsets=[begin, begin + len(data)])
        begin += len(data)
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data for _, _, data in tensors.values()))


def unwanted(vocabulary):
    """Tokens that end a text, and those with bytes beyond ASCII, in the alphabet of byte-level tokenizers: llama.cpp's
    server tells no probability of a token that ends within a character."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    alphabet = visible + [byte for byte in range(0x100) if byte not in visible]
    letters = {byte: chr(byte if i < len(visible) else 0x100 + i - len(visible)) for i, byte in enumerate(alphabet)}
    ascii_only = {letters[byte] for byte in range(0x80)}
    others = [token for text, token in vocabulary["model"]["vocab"].items() if not set(text) <= ascii_only]
    return others + [token["id"] for token in vocabulary["added_tokens"]]


def with_rows(tensor, rows, zeros=()):
    """Further rows are the first ones, their columns rotated."""
    dtype, (old, *columns), data = tensor
    size = len(data) // old
    element = size // math.prod(columns)
    row = [data[i * size:(i + 1) * size] for i in range(old)]
    turned = [row[i % old][i // old * element:] + row[i % old][:i // old * element] for i in range(rows)]
    for i in zeros:
        turned[i] = bytes(size)
    return dtype, [rows, *columns], b"".join(turned)


def make_model(name, folder):
    config = json.loads((FAMILIES / name / "config.json").read_text())
    old_layers = config.get("num_hidden_layers", config.get("n_layer"))
    old_keys = config.get("num_key_value_heads")
    config.update(TYPES[name])
    config = {key: value for key, value in config.items() if value is not None or key == "sliding_window"}
    vocabulary = json.loads(TOKENIZER.read_text())
    added = [token["id"] for token in vocabulary["added_tokens"]]
    config["vocab_size"] = max([*vocabulary["model"]["vocab"].values(), *added]) + 1
    tensors = read_tensors(FAMILIES / name)
    for key in tensors:
        if key.endswith(("embed_tokens.weight", "lm_head.weight", "wte.weight")):
            tensors[key] = with_rows(tensors[key], config["vocab_size"], unwanted(vocabulary))
        elif old_keys != config.get("num_key_value_heads") and key.endswith(
                (".k_proj.weight", ".v_proj.weight", *([".k_norm.weight"] if name == "olmoe" else []))):
            tensors[key] = with_rows(tensors[key], tensors[key][1][0] // old_keys * config["num_key_value_heads"])
    for layer in range(old_layers, config.get("num_hidden_layers", old_layers)):
        last = f"layers.{old_layers - 1}."
        of_last = [key for key in tensors if last in key]
        tensors.update({key.replace(last, f"layers.{layer}."): tensors[key] for key in of_last})
    folder.mkdir()
    write_tensors(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    shutil.copy(TOKENIZER, folder / "tokenizer.json")


# ---- the comparison ----


def open_model(file):
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(file)
    parameters.n_ctx, parameters.n_parallel, parameters.warmup, parameters.verbosity = 256, 1, False, 0
    parameters.cache_type_k = parameters.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    parameters.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    return xllamacpp.Server(parameters)


def of_llama(server, prompt):
    """[(token, its log-probability)], the likeliest ones"""
    answer = server.handle_completions(dict(prompt=prompt, n_predict=TOKENS, temperature=0, n_probs=1))
    return [(step["id"], step["logprob"]) for step in answer["choices"][0]["logprobs"]["content"]]


def compare(troupe, run_folder, file):
    """Equal tokens, of how many, and the largest difference of a log-probability before one differs."""
    server = open_model(file)
    equal, count, worst = 0, 0, 0.0
    prompts = [part for prompt in PROMPTS for part in ("--prompt", prompt)]
    lines = run(troupe, "generate", run_folder, *prompts, "--temperature", 0, "--tokens", TOKENS, "--json")
    for line in map(json.loads, lines.splitlines()):
        theirs = of_llama(server, line["prompt"])
        count += len(theirs)
        for ours, (token, log_probability) in zip(zip(line["tokens"], line["log_probabilities"]), theirs):
            if ours[0] != token:
                print(f"  after {line['prompt']!r} {ours} and {(token, log_probability)}")
                break
            equal += 1
            worst = max(worst, abs(log_probability - ours[1]))
    return equal, count, worst


def export_and_compare(troupe, run_folder, model_type, work):
    file = work / "model.gguf"
    file.unlink(missing_ok=True)
    kind = ["--type", model_type] if model_type else []
    run(troupe, "export", run_folder, *kind, "--format", "gguf", "--output", file)
    return compare(troupe, run_folder, file)


def main():
    troupe, *names = sys.argv[1:]
    different = False
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        for name in [names[1]] if names[:1] == ["--run"] else names or TYPES:
            if names[:1] == ["--run"]:
                equal, count, worst = export_and_compare(troupe, name, "".join(names[2:]), work)
            else:
                make_model(name, work / name)
                run(troupe, "import", work / name, "--output", work / f"{name}.run")
                equal, count, worst = export_and_compare(troupe, work / f"{name}.run", name.split("-")[0], work)
            different |= equal < count
            print(f"| {name} | {equal} of {count} | {worst:.1e} |", flush=True)
    return different


if __name__ == "__main__":
    sys.exit(main())
