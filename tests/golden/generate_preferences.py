#!/usr/bin/env python3
"""Writes dpo.json/.bin and reward.json/.bin: losses, margins and gradients of the objectives that compare two answers, by
PyTorch's autograd on a tiny dots1 of Hugging Face's transformers, in generate.py's format.

    python3 -m venv venv && venv/bin/pip install torch transformers
    venv/bin/python tests/golden/generate_preferences.py

dpo (arXiv 2305.18290, eq. 7): -log sigmoid(beta * ((log p(chosen) - log p(rejected)) - (the same by the reference))), where
p is of the answer's tokens, the reference another model, and the loss the mean over the pairs.
reward (Bradley-Terry): -log sigmoid(reward(chosen) - reward(rejected)), where a reward is a weight times the final norm's
output at the text's last token. Every text is a forward pass of its own.
"""
import torch
from torch.nn.functional import logsigmoid
from transformers import Dots1Config

from generate import MARGIN, make_model, tensors_by_troupe_name, troupe_config, watch_margins, write

BETA = 0.3
PAIRS = [(4, 5, 7), (3, 9, 5), (6, 4, 4)]  # tokens of the prompt, and of the two answers; a sequence has 20


def make_config():
    return Dots1Config(
        vocab_size=40, hidden_size=16, intermediate_size=20, moe_intermediate_size=12, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, n_shared_experts=1, n_routed_experts=4, n_group=1, topk_group=1,
        num_experts_per_tok=2, first_k_dense_replace=1, norm_topk_prob=True, routed_scaling_factor=1.0,
        rms_norm_eps=1e-5, tie_word_embeddings=True, sliding_window=None, max_position_embeddings=64,
        rope_parameters={"rope_type": "default", "rope_theta": 5000.0}, attn_implementation="eager")


def make_pairs(config):
    """[(prompt's tokens, chosen text, rejected text)]; a text is the prompt and an answer."""
    pairs = []
    for prompt, chosen, rejected in PAIRS:
        asked = torch.randint(config.vocab_size, (prompt,))
        pairs.append((prompt, *(torch.cat([asked, torch.randint(config.vocab_size, (answer,))])
                                for answer in (chosen, rejected))))
    return pairs


def log_probability(model, prompt, text):
    """Of the answer, given the prompt."""
    predictions = model(input_ids=text[None]).logits[0].log_softmax(-1)
    return predictions[prompt - 1:-1].gather(1, text[prompt:, None]).sum()


def difference(model, prompt, chosen, rejected):
    return log_probability(model, prompt, chosen) - log_probability(model, prompt, rejected)


def scalars(config, pairs, margins, loss, **more):
    return {"config": troupe_config(config), "loss": loss.item(), "margins": [margin.item() for margin in margins],
            "pairs": [{"prompt": prompt, "chosen": chosen.tolist(), "rejected": rejected.tolist()}
                      for prompt, chosen, rejected in pairs], **more}


def weights_and_gradients(model, config):
    named = {"weights/" + k: v for k, v in tensors_by_troupe_name(dict(model.named_parameters()), config).items()}
    gradients = tensors_by_troupe_name({k: p.grad for k, p in model.named_parameters()}, config)
    named.update({"gradients/" + k: v for k, v in gradients.items()})
    named["bias"] = torch.stack([layer.mlp.gate.e_score_correction_bias.detach().clone()
                                 for layer in model.model.layers[config.first_k_dense_replace:]])
    return named


def dpo(config, seed):
    reference, model = make_model(config, seed + 1000), make_model(config, seed)
    ties = watch_margins(model, config)
    pairs = make_pairs(config)
    with torch.no_grad():
        before = [difference(reference, *pair) for pair in pairs]
    margins = [BETA * (difference(model, *pair) - known) for pair, known in zip(pairs, before)]
    loss = -logsigmoid(torch.stack(margins)).mean()
    loss.backward()
    known = {"beta": BETA, "reference": [one.item() for one in before]}
    return min(ties), scalars(config, pairs, margins, loss, **known), weights_and_gradients(model, config)


def reward(config, seed):
    model = make_model(config, seed)
    ties = watch_margins(model, config)
    pairs = make_pairs(config)
    head = torch.randn(1, config.hidden_size).requires_grad_()
    rewards = [[(head @ model.model(input_ids=text[None]).last_hidden_state[0, -1]).squeeze() for text in pair[1:]]
               for pair in pairs]
    margins = [chosen - rejected for chosen, rejected in rewards]
    loss = -logsigmoid(torch.stack(margins)).mean()
    loss.backward()
    named = weights_and_gradients(model, config)
    named.update({"weights/reward_head/weight": head.detach(), "gradients/reward_head/weight": head.grad})
    return min(ties), scalars(config, pairs, margins, loss), named


def main():
    torch.set_num_threads(1)
    config = make_config()
    for name, case in (("dpo", dpo), ("reward", reward)):
        seed = next(seed for seed in range(1000) if case(config, seed)[0] > MARGIN)
        _, numbers, named = case(config, seed)
        write(name, numbers, named)
        print(f"{name}: seed {seed}, loss {numbers['loss']:.4f}, margins {numbers['margins']}")


if __name__ == "__main__":
    main()
