#!/usr/bin/env python3
"""Writes families/deepseek_v3-mtp: a tiny DeepSeek-V3 with two modules of multi-token prediction, which transformers
does not build. They are written here from arXiv 2412.19437, section 2.2, around its decoder layer, with the names that
published folders have, layers behind the last one; what the model's head reads goes on to the next module. Run it as
families.py, whose files these are; expected.json has also {"mtp_loss": x}, the mean loss of the modules, and
gradients.json is of loss + 0.3 mtp_loss.

    venv/bin/python tests/golden/mtp.py
"""
import json
import shutil

import torch
from safetensors.torch import load_file, save_file
from transformers.models.deepseek_v3 import modeling_deepseek_v3 as theirs

import families

NAME, DEPTH, WEIGHT = "deepseek_v3-mtp", 2, 0.3
NOT_TRAINED = ("embed_tokens.weight", "shared_head.head.weight", "e_score_correction_bias")  # once more, or not
families.CLASSES[NAME] = dict(families.CLASSES["deepseek_v3"], num_nextn_predict_layers=DEPTH)


class Module(torch.nn.Module):
    def __init__(self, config, layer):
        super().__init__()
        hidden, eps = config.hidden_size, config.rms_norm_eps
        self.enorm, self.hnorm, self.norm = (theirs.DeepseekV3RMSNorm(hidden, eps) for _ in range(3))
        self.eh_proj = torch.nn.Linear(2 * hidden, hidden, bias=False)
        self.block = theirs.DeepseekV3DecoderLayer(config, layer)

    def forward(self, model, hidden, tokens):
        joined = torch.cat([self.enorm(model.model.embed_tokens(tokens)), self.hnorm(hidden)], dim=-1)
        length = tokens.shape[1]
        positions = torch.arange(length)[None]
        mask = torch.full((length, length), float("-inf")).triu(1)[None, None]
        x = self.eh_proj(joined)
        y = self.block(x, attention_mask=mask, position_ids=positions,
                       position_embeddings=model.model.rotary_emb(x, positions))
        return self.norm(y[0] if isinstance(y, tuple) else y)

    def published(self, layer, model, values):
        """values: of a parameter or buffer."""
        prefix = f"model.layers.{layer}."
        named = {"embed_tokens.weight": values(model.model.embed_tokens.weight),
                 "shared_head.head.weight": values(model.lm_head.weight), "shared_head.norm.weight": values(self.norm.weight),
                 "enorm.weight": values(self.enorm.weight), "hnorm.weight": values(self.hnorm.weight),
                 "eh_proj.weight": values(self.eh_proj.weight)}
        for key, value in [*self.block.named_parameters(), *self.block.named_buffers()]:
            if not key.startswith("mlp.experts."):
                named[key] = values(value)
                continue
            for expert, one in enumerate(values(value)):
                parts = {"gate_proj": one.chunk(2)[0], "up_proj": one.chunk(2)[1]} if "gate_up" in key else {"down_proj": one}
                named.update({f"mlp.experts.{expert}.{part}.weight": x for part, x in parts.items()})
        return {prefix + key: value.detach().clone().contiguous() for key, value in named.items()}


def make_modules(config, stored):
    modules = torch.nn.ModuleList(Module(config, config.num_hidden_layers - 1) for _ in range(DEPTH)).float().eval()
    with torch.no_grad():
        for key, value in [*modules.named_parameters(), *modules.named_buffers()]:
            scale = 0.5 if key.endswith("gate.weight") else 0.2
            value.copy_(((value if value.dim() == 1 else 0) + scale * torch.randn_like(value)).to(stored).float())
    return modules


def losses(model, modules, tokens):
    output = model.model(input_ids=tokens)
    hidden, count = output.last_hidden_state, tokens.shape[0] * (tokens.shape[1] - 1)

    def loss(hidden, ahead):
        logits = model.lm_head(hidden)[:, :-ahead]
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, ahead:].flatten(), reduction="sum") / count

    main, further = loss(hidden, 1), 0.0
    for depth, module in enumerate(modules, 1):
        shifted = torch.cat([tokens[:, depth:], tokens[:, -depth:]], dim=1)  # the last ones read themselves
        hidden = module(model, hidden, shifted)
        further = further + loss(hidden, depth + 1) / DEPTH
    return main, further


def gradient(parameter):
    return parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)


def try_case(seed):
    case = families.try_case(NAME, seed)
    if case is None:
        return None
    model, stored, expected = case
    margins = []
    modules = make_modules(model.config, stored)
    families.watch_margins(torch.nn.ModuleList([model, modules]), margins, model.config)
    main, further = losses(model, modules, torch.tensor(expected["tokens"]))
    if min(margins) < 1e-4:
        return None
    (main + WEIGHT * further).backward()
    return model, modules, stored, dict(expected, mtp_loss=further.item())


def main():
    torch.set_num_threads(1)
    model, modules, stored, expected = next(filter(None, map(try_case, range(200))))
    gradients, files = families.saved_gradients(model), {}
    for layer, module in enumerate(modules, model.config.num_hidden_layers):
        of_module = module.published(layer, model, gradient)
        gradients.update({key: value for key, value in of_module.items() if not key.endswith(NOT_TRAINED)})
        files.update(module.published(layer, model, lambda value: value.to(stored)))
    folder = families.FOLDER / NAME
    shutil.rmtree(folder, ignore_errors=True)
    model.to(stored).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    save_file({**load_file(folder / "model.safetensors"), **files}, folder / "model.safetensors", {"format": "pt"})
    (folder / "expected.json").write_text(json.dumps(expected) + "\n")
    families.write_samples(folder, gradients)


if __name__ == "__main__":
    main()
