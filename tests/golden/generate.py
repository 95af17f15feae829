#!/usr/bin/env python3
"""Writes the golden files of this folder from Hugging Face's dots1 (modeling_dots1.py of
transformers): weights, inputs, logits, loss, gradients, and the weights after AdamW steps of tiny
models, under Troupe's names. Run it once after a change of the format:

    python3 -m venv venv && venv/bin/pip install torch transformers
    venv/bin/python tests/golden/generate.py

Each case is NAME.bin, fp32 little-endian values one tensor after another, and NAME.json:
  {"config": {...}, "adamw": {...}, "loss": x, "tokens": [[...]], "targets": [[...]],
   "tensors": {"weights/embedding/weight": {"shape": [...], "offset": first element}, ...}}
Tensor names begin with weights/, gradients/ or after/; there are also logits and bias.
"""
import json
import pathlib

import numpy
import torch
from transformers import Dots1Config, Dots1ForCausalLM

FOLDER = pathlib.Path(__file__).parent
MARGIN = 1e-3  # least distance between the last chosen and the first refused biased score
SEQUENCES, LENGTH = 2, 20
ADAMW = {"steps": 5, "lr": 2e-3, "beta1": 0.9, "beta2": 0.95, "eps": 1e-8, "weight_decay": 0.1}


def make_config(tied):
    return Dots1Config(
        vocab_size=96, hidden_size=32, intermediate_size=44, moe_intermediate_size=24, num_hidden_layers=3,
        num_attention_heads=4, num_key_value_heads=2, n_shared_experts=1, n_routed_experts=8, n_group=1, topk_group=1,
        num_experts_per_tok=3, first_k_dense_replace=1, norm_topk_prob=True, routed_scaling_factor=1.7,
        rms_norm_eps=1e-5, tie_word_embeddings=tied, sliding_window=None, max_position_embeddings=64,
        rope_parameters={"rope_type": "default", "rope_theta": 5000.0}, attn_implementation="eager")


def troupe_config(config):
    return {
        "vocab_size": config.vocab_size, "hidden_size": config.hidden_size, "layers": config.num_hidden_layers,
        "tie_embeddings": config.tie_word_embeddings, "eps": config.rms_norm_eps, "heads": config.num_attention_heads,
        "kv_heads": config.num_key_value_heads, "head_dim": config.hidden_size // config.num_attention_heads,
        "theta": config.rope_parameters["rope_theta"], "intermediate_size": config.intermediate_size,
        "first_dense_layers": config.first_k_dense_replace, "experts": config.n_routed_experts,
        "top_k": config.num_experts_per_tok, "expert_size": config.moe_intermediate_size,
        "shared_experts": config.n_shared_experts, "scale": config.routed_scaling_factor}


def make_model(config, seed):
    """Weights far from their initial values: otherwise norms, routing and biases would hardly matter."""
    torch.manual_seed(seed)
    model = Dots1ForCausalLM(config).train()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.add_(0.2 * torch.randn_like(parameter))
            else:
                parameter.copy_((0.5 if name.endswith("gate.weight") else 0.15) * torch.randn_like(parameter))
        for layer in model.model.layers[config.first_k_dense_replace:]:
            layer.mlp.gate.e_score_correction_bias.copy_(0.1 * torch.randn(config.n_routed_experts))
    return model


def watch_margins(model, config):
    """Returns a list to which every forward appends the least top-k margin of each router."""
    margins = []

    def hook(gate, _, output):
        biased = (output[0].sigmoid() + gate.e_score_correction_bias).sort(descending=True).values
        margins.append((biased[:, config.num_experts_per_tok - 1] - biased[:, config.num_experts_per_tok]).min().item())

    for layer in model.model.layers[config.first_k_dense_replace:]:
        layer.mlp.gate.register_forward_hook(hook)
    return margins


def tensors_by_troupe_name(tensors, config):
    """tensors: by Hugging Face's name."""
    named = {"embedding/weight": tensors["model.embed_tokens.weight"], "final_norm/weight": tensors["model.norm.weight"]}
    if not config.tie_word_embeddings:
        named["head/weight"] = tensors["lm_head.weight"]

    def stacked(prefix, names):
        return torch.cat([tensors[f"{prefix}.{name}.weight"] for name in names])

    for layer in range(config.num_hidden_layers):
        theirs, ours = f"model.layers.{layer}", f"layers/{layer:02}"
        named[f"{ours}/attention_norm/weight"] = tensors[f"{theirs}.input_layernorm.weight"]
        named[f"{ours}/ffn_norm/weight"] = tensors[f"{theirs}.post_attention_layernorm.weight"]
        named[f"{ours}/attention/qkv_proj"] = stacked(f"{theirs}.self_attn", ["q_proj", "k_proj", "v_proj"])
        named[f"{ours}/attention/out_proj"] = tensors[f"{theirs}.self_attn.o_proj.weight"]
        named[f"{ours}/attention/q_norm"] = tensors[f"{theirs}.self_attn.q_norm.weight"]
        named[f"{ours}/attention/k_norm"] = tensors[f"{theirs}.self_attn.k_norm.weight"]
        dense, folder = f"{theirs}.mlp", "ffn"
        if layer >= config.first_k_dense_replace:
            named[f"{ours}/router/weight"] = tensors[f"{theirs}.mlp.gate.weight"]
            named[f"{ours}/experts/gate_up_proj"] = tensors[f"{theirs}.mlp.experts.gate_up_proj"]
            named[f"{ours}/experts/down_proj"] = tensors[f"{theirs}.mlp.experts.down_proj"]
            dense, folder = f"{theirs}.mlp.shared_experts", "shared_experts"
        named[f"{ours}/{folder}/gate_up_proj"] = stacked(dense, ["gate_proj", "up_proj"])
        named[f"{ours}/{folder}/down_proj"] = tensors[f"{dense}.down_proj.weight"]
    return {name: tensor.detach().clone() for name, tensor in named.items()}


def loss_and_logits(model, tokens, targets):
    logits = model(input_ids=tokens).logits
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1), logits


def make_optimizer(model):
    plain = [p for name, p in model.named_parameters() if "norm" in name or "embed_tokens" in name]
    decayed = [p for name, p in model.named_parameters() if not ("norm" in name or "embed_tokens" in name)]
    groups = [{"params": decayed, "weight_decay": ADAMW["weight_decay"]}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=ADAMW["lr"], betas=(ADAMW["beta1"], ADAMW["beta2"]), eps=ADAMW["eps"])


def try_case(config, seed):
    """The case's tensors and scalars, or None when a token comes too close to a tie."""
    model = make_model(config, seed)
    margins = watch_margins(model, config)
    tokens = torch.randint(config.vocab_size, (SEQUENCES, LENGTH + 1))
    targets = tokens[:, 1:].clone()
    targets[torch.rand(targets.shape) < 0.15] = -1
    tokens = tokens[:, :-1]
    named = {"weights/" + k: v for k, v in tensors_by_troupe_name(dict(model.named_parameters()), config).items()}
    named["bias"] = torch.stack([layer.mlp.gate.e_score_correction_bias.detach().clone()
                                 for layer in model.model.layers[config.first_k_dense_replace:]])
    optimizer = make_optimizer(model)
    first_loss = None
    for step in range(ADAMW["steps"]):
        optimizer.zero_grad()
        loss, logits = loss_and_logits(model, tokens, targets)
        loss.backward()
        if step == 0:
            first_loss = loss.item()
            named["logits"] = logits.detach().clone()
            gradients = tensors_by_troupe_name({k: p.grad for k, p in model.named_parameters()}, config)
            named.update({"gradients/" + k: v for k, v in gradients.items()})
        optimizer.step()
    after = tensors_by_troupe_name(dict(model.named_parameters()), config)
    named.update({"after/" + k: v for k, v in after.items()})
    if min(margins) <= MARGIN:
        return None
    return {"config": troupe_config(config), "adamw": ADAMW, "loss": first_loss, "least_margin": min(margins),
            "tokens": tokens.tolist(), "targets": targets.tolist()}, named


def write(name, scalars, named):
    offset = 0
    index = {}
    with open(FOLDER / f"{name}.bin", "wb") as file:
        for key in sorted(named):
            values = named[key].numpy().astype("<f4")
            index[key] = {"shape": list(values.shape), "offset": offset}
            offset += values.size
            file.write(numpy.ascontiguousarray(values).tobytes())
    (FOLDER / f"{name}.json").write_text(json.dumps({**scalars, "tensors": index}, indent=1) + "\n")


def main():
    torch.set_num_threads(1)
    for name, tied in (("tied", True), ("untied", False)):
        for seed in range(1000):
            case = try_case(make_config(tied), seed)
            if case:
                write(name, *case)
                print(f"{name}: seed {seed}, loss {case[0]['loss']:.4f}, least margin {case[0]['least_margin']:.4f}")
                break
        else:
            raise SystemExit(f"{name}: no seed keeps every top-k margin above {MARGIN}")


if __name__ == "__main__":
    main()
