#!/usr/bin/env python3
"""Writes families/: for each class of Hugging Face's transformers a tiny random model as a folder
(config.json, model.safetensors) and what it computes (expected.json, gradients.json). Run it after adding a
class:

    python3 -m venv venv && venv/bin/pip install torch transformers
    venv/bin/python tests/golden/families.py [--gradients] [CLASS ...]

expected.json: {"tokens": [[...]], "loss": x, "logits": [...], "prompt": [...], "continuation": [...]}; logits
are of all tokens in order, the continuation is greedy. gradients.json: of that loss, {"name of a tensor in
model.safetensors": {"norm": x, "values": [at most 12 of them, evenly spread]}}; with --gradients only this file is
made, of the folders that are there. Weights are large, so that norms, routing and biases
matter, and rounded to 16 bits where that makes no difference to what is computed: transformers computes in fp32
with the rounded values. Seeds are tried until no router and no greedy choice is nearly tied.
"""
import json
import os
import pathlib
import shutil
import sys
import tempfile

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

FOLDER = pathlib.Path(__file__).parent / "families"
SEQUENCES, LENGTH, PROMPT, NEW = 2, 20, 12, 32
SAMPLES = 12  # of a gradient
MARGIN = 1e-3  # of the greedy choice over the next

BASE = dict(vocab_size=96, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=2)
MOE = dict(moe_intermediate_size=16, num_experts_per_tok=2)
SIGMOID = dict(n_routed_experts=8, n_shared_experts=1, first_k_dense_replace=1, norm_topk_prob=True,
               routed_scaling_factor=1.7, **MOE)

LATENT = dict(q_lora_rank=12, kv_lora_rank=8, qk_nope_head_dim=8, qk_rope_head_dim=4, v_head_dim=6,
              num_key_value_heads=4)
YARN = dict(rope_type="yarn", rope_theta=1e4, factor=4.0, original_max_position_embeddings=16, beta_fast=32,
            beta_slow=1)
LLAMA3 = dict(rope_type="llama3", rope_theta=5e5, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=16)
GPT = dict(vocab_size=96, n_embd=32, n_layer=2, n_head=4, n_positions=64)

# By folder: kwargs of the class's configuration. A folder is a model_type, or one and what is special.
CLASSES = {
    "llama": dict(BASE, rms_norm_eps=1e-5, rope_parameters=LLAMA3),
    "llama-biases": dict(BASE, attention_bias=True, mlp_bias=True,
                         rope_parameters=dict(rope_type="linear", rope_theta=1e4, factor=2.0)),
    "mistral": dict(BASE, head_dim=16, sliding_window=8),
    "mixtral": dict(BASE, num_local_experts=4, num_experts_per_tok=2, intermediate_size=16),
    "qwen2": dict(BASE, rope_parameters=dict(YARN)),
    "qwen3": dict(BASE, head_dim=16, tie_word_embeddings=True, use_sliding_window=True, sliding_window=8,
                  max_window_layers=1),
    "qwen3_moe": dict(BASE, head_dim=16, num_experts=8, norm_topk_prob=True, **MOE),
    "olmo2": dict(BASE),
    "olmoe": dict(BASE, num_experts=6, num_experts_per_tok=2, intermediate_size=16),
    "gpt_oss": dict(BASE, head_dim=8, num_local_experts=4, num_experts_per_tok=2, sliding_window=8,
                    intermediate_size=16, rope_parameters=dict(YARN, truncate=False, rope_theta=150000.0)),
    "dots1": dict(BASE, head_dim=16, n_group=1, topk_group=1, sliding_window=None, **SIGMOID),
    "glm4_moe": dict(BASE, head_dim=16, n_group=1, topk_group=1, use_qk_norm=True, attention_bias=True, **SIGMOID),
    "minimax_m2": dict(BASE, head_dim=16, num_local_experts=4, num_experts_per_tok=2, intermediate_size=16,
                       rotary_dim=8),
    "deepseek_v2": dict(BASE, n_routed_experts=8, n_shared_experts=1, n_group=4, topk_group=2,
                        topk_method="group_limited_greedy", routed_scaling_factor=4.0, first_k_dense_replace=1,
                        **MOE, **LATENT),
    "deepseek_v3": dict(BASE, n_routed_experts=8, n_shared_experts=1, n_group=4, topk_group=2,
                        first_k_dense_replace=1, rope_parameters=dict(YARN, mscale=1.0, mscale_all_dim=0.7), **MOE,
                        **LATENT),
    "smollm3": dict(BASE, num_hidden_layers=3, no_rope_layers=[1, 0, 1]),
    "gemma2": dict(BASE, head_dim=8, sliding_window=8, query_pre_attn_scalar=12),
    "gemma3_text": dict(BASE, head_dim=8, sliding_window=8, query_pre_attn_scalar=8, num_hidden_layers=3,
                        layer_types=["sliding_attention", "sliding_attention", "full_attention"]),
    "phi3": dict(BASE),
    "cohere2": dict(BASE, sliding_window=8, logit_scale=0.25, num_hidden_layers=3,
                    layer_types=["sliding_attention", "full_attention", "sliding_attention"]),
    "ernie4_5": dict(BASE, head_dim=16),
    "llama4_text": dict(BASE, head_dim=8, num_local_experts=4, interleave_moe_layer_step=2, intermediate_size=16,
                        num_experts_per_tok=1, intermediate_size_mlp=40, attention_chunk_size=8,
                        no_rope_layers=[1, 0], floor_scale=8),
    "gpt2": dict(GPT),
    "gptj": dict(GPT, rotary_dim=4),
}
STORED = {"mistral": torch.float16, "mixtral": torch.float32}  # others bf16
SHARDED = {"qwen3_moe": "40KB"}


def make_model(name, seed):
    config = CONFIG_MAPPING[name.split("-")[0]](**CLASSES[name])
    config._attn_implementation = "eager"
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
    stored = STORED.get(name, torch.bfloat16)
    with torch.no_grad():
        biases = [(key, value) for key, value in model.named_buffers() if key.endswith("e_score_correction_bias")]
        for key, value in list(model.named_parameters()) + biases:
            if value.dim() == 1:
                new = value + 0.2 * torch.randn_like(value)
            else:
                new = (0.5 if key.endswith(("gate.weight", "router.weight")) else 0.2) * torch.randn_like(value)
            value.copy_(new.to(stored).float())
    return model, stored


def watch_margins(model, margins, config=None):
    """Appends how clearly each router chooses."""
    for key, module in model.named_modules():
        if not key.endswith((".gate", ".router")):
            continue
        experts = getattr(config or model.config, "num_experts_per_tok", None)

        def hook(module, inputs, output, k=experts):
            scores = output[0] if isinstance(output, tuple) else output
            if scores.dim() != 2 or scores.shape[-1] <= k or not scores.is_floating_point():
                return
            ordered = scores.sort(descending=True).values
            margins.append((ordered[:, k - 1] - ordered[:, k]).min().item())

        module.register_forward_hook(hook)


def greedy(model, prompt):
    """The continuation, and the least margin of a choice."""
    tokens, least = prompt.clone(), float("inf")
    for _ in range(NEW):
        logits = model(input_ids=tokens).logits[0, -1]
        best = logits.topk(2).values
        least = min(least, (best[0] - best[1]).item())
        tokens = torch.cat([tokens, logits.argmax().reshape(1, 1)], dim=1)
    return tokens[0, prompt.shape[1]:].tolist(), least


def try_case(name, seed):
    model, stored = make_model(name, seed)
    margins = []
    watch_margins(model, margins)
    tokens = torch.randint(3, CLASSES[name]["vocab_size"], (SEQUENCES, LENGTH))
    with torch.no_grad():
        output = model(input_ids=tokens, labels=tokens)
        continuation, least = greedy(model, tokens[:1, :PROMPT])
    if least < MARGIN or (margins and min(margins) < 1e-4):
        return None
    return model, stored, {"tokens": tokens.tolist(), "loss": output.loss.item(),
                           "logits": [float(f"{x:.7g}") for x in output.logits.flatten().tolist()],
                           "prompt": tokens[0, :PROMPT].tolist(), "continuation": continuation}


def write(name):
    for seed in range(200):
        case = try_case(name, seed)
        if case:
            break
    else:
        raise SystemExit(f"{name}: no seed keeps every choice apart")
    model, stored, expected = case
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    model.to(stored).save_pretrained(folder, max_shard_size=SHARDED.get(name, "5GB"))
    (folder / "generation_config.json").unlink(missing_ok=True)
    (folder / "expected.json").write_text(json.dumps(expected) + "\n")
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{name}: seed {seed}, loss {expected['loss']:.4f}, {size // 1024} KiB", flush=True)


def sample(tensor):
    flat = tensor.double().flatten()
    count = min(SAMPLES, flat.numel())
    return {"norm": float(f"{flat.norm().item():.8g}"),
            "values": [float(f"{flat[i * flat.numel() // count].item():.8g}") for i in range(count)]}


def saved_gradients(model):
    """Under the names that files have: transformers saves the gradients as it would save the weights."""
    weights = [parameter.detach().clone() for parameter in model.parameters()]
    with torch.no_grad(), tempfile.TemporaryDirectory() as scratch:
        for parameter in model.parameters():
            parameter.copy_(parameter.grad)
        model.save_pretrained(scratch)
        for parameter, value in zip(model.parameters(), weights):
            parameter.copy_(value)
        gradients = load_file(pathlib.Path(scratch) / "model.safetensors")
    return {key: value for key, value in gradients.items() if not key.endswith("e_score_correction_bias")}


def write_samples(folder, gradients):
    named = {key: sample(value) for key, value in sorted(gradients.items())}
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in named.items())
    (folder / "gradients.json").write_text("{" + lines + "}\n")
    print(f"{folder.name}: gradients of {len(named)} tensors", flush=True)


def write_gradients(name):
    folder = FOLDER / name
    tokens = torch.tensor(json.loads((folder / "expected.json").read_text())["tokens"])
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    model(input_ids=tokens, labels=tokens).loss.backward()
    write_samples(folder, saved_gradients(model))


def main():
    torch.set_num_threads(1)
    only_gradients = "--gradients" in sys.argv
    for name in [word for word in sys.argv[1:] if word != "--gradients"] or CLASSES:
        if not only_gradients:
            write(name)
        write_gradients(name)


if __name__ == "__main__":
    main()
