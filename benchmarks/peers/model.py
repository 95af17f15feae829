"""Troupe's model (docs/architecture.md, docs/experts.md) in plain PyTorch, for training on a CPU.

Only experts have another form than in a checkpoint: each has parameters of its own instead of a part of a stacked
one, whose gradients would be copied.
"""
import re

import torch
import torch.nn.functional as F
from torch import nn


def check_supported(config):
    """config: a run's resolved config.yaml. Says what this model does not do, instead of doing something else."""
    model, moe = config["model"], config["model"]["moe"]
    router = moe["router"]
    needed = {
        "model.attention.rope.fraction": (model["attention"]["rope"]["fraction"], 1),
        "model.ffn.activation": (model["ffn"]["activation"], "swiglu"),
        "model.ffn.bias": (model["ffn"]["bias"], False),
        "model.loss.z_loss": (model["loss"]["z_loss"], 0),
        "model.moe.every": (moe["every"], 1),
        "model.moe.shared_gate": (moe["shared_gate"], False),
        "model.moe.aux_loss": (moe["aux_loss"], []),
        "model.moe.capacity.kind": (moe["capacity"]["kind"], "dropless"),
        "model.moe.balancer.kind": (moe["balancer"]["kind"], "sign"),
        "model.moe.router.score": (router["score"], "sigmoid"),
        "model.moe.router.selection": (router["selection"], "top_k"),
        "model.moe.router.normalize_weights": (router["normalize_weights"], True),
        "model.moe.router.weight_on": (router["weight_on"], "output"),
        "model.moe.router.linear_bias": (router["linear_bias"], False),
        "model.moe.router.jitter": (router["jitter"], 0),
        "model.moe.router.zero_experts": (router["zero_experts"], 0),
        "model.moe.router.z_loss": (router["z_loss"], 0),
        "data.document_mask": (config["data"]["document_mask"], False),
    }
    wrong = [f"{key} is {value}, not {only}" for key, (value, only) in needed.items() if value != only]
    if wrong:
        raise SystemExit("the PyTorch model does not have: " + "; ".join(wrong))


def stored_name(name):
    """Name of a parameter or buffer in a checkpoint, and the expert's number there, or None."""
    parts = re.fullmatch(r"layers\.(\d+)\.(?:ffn\.(?=router|experts|shared))?(.*)", name)
    if parts is None:
        return name.replace(".", "/"), None
    rest = re.fullmatch(r"experts\.(\d+)\.(.*)", parts[2])
    path = "experts/" + rest[2] if rest else parts[2].replace(".", "/")
    return f"layers/{int(parts[1]):02}/{path}", int(rest[1]) if rest else None


@torch.library.custom_op("peers::onednn_product", mutates_args=())
def onednn_product(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """F.linear by the oneDNN inside PyTorch, through an internal operator. F.linear itself computes fp32 by another
    library, which takes twice as long on processors that it is not made for. x: [rows, in], w: [out, in]"""
    if x.numel() == 0:  # oneDNN refuses
        return F.linear(x, w)
    return torch.ops.mkldnn._linear_pointwise(x, w, None, "none", [], "")


@onednn_product.register_fake
def _(x, w):
    return x.new_empty(*x.shape[:-1], w.shape[0])


class OneDnnLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return onednn_product(x, w)

    @staticmethod
    def backward(ctx, dy):
        x, w = ctx.saved_tensors
        rows, dy_rows = x.flatten(0, -2), dy.flatten(0, -2)
        return onednn_product(dy_rows, w.t()).view_as(x), onednn_product(dy_rows.t(), rows.t())


linear = F.linear  # of every layer; torch_trainer.py may replace it by OneDnnLinear.apply


def weight(*shape):
    return nn.Parameter(torch.empty(*shape))


class RmsNorm(nn.Module):
    def __init__(self, size, eps):
        super().__init__()
        self.weight, self.eps = weight(size), eps

    def forward(self, x):
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


class Attention(nn.Module):
    """Grouped queries, RMSNorm on query and key heads, rotary positions, causal."""

    def __init__(self, model):
        super().__init__()
        options = model["attention"]
        self.heads, self.kv_heads, self.dim = options["heads"], options["kv_heads"], options["head_dim"]
        self.eps = model["norm"]["eps"]
        self.qkv_proj = weight((self.heads + 2 * self.kv_heads) * self.dim, model["hidden_size"])
        self.out_proj = weight(model["hidden_size"], self.heads * self.dim)
        self.q_norm, self.k_norm = (weight(self.dim), weight(self.dim)) if options["qk_norm"] else (None, None)

    def prepare(self, x, norm, rotation):
        """x: [sequences, length, heads, dim]; rotation: cos and sin, [length, 1, dim / 2]"""
        if norm is not None:
            x = F.rms_norm(x, norm.shape, norm, self.eps)
        cos, sin = rotation
        a, b = x.chunk(2, dim=-1)
        return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1).transpose(1, 2)

    def forward(self, x, rotation):
        sequences, length, _ = x.shape
        heads = linear(x, self.qkv_proj).view(sequences, length, -1, self.dim)
        q, k, v = heads.split([self.heads, self.kv_heads, self.kv_heads], dim=2)
        q, k = self.prepare(q, self.q_norm, rotation), self.prepare(k, self.k_norm, rotation)
        y = F.scaled_dot_product_attention(q, k, v.transpose(1, 2), is_causal=True, enable_gqa=True)
        return linear(y.transpose(1, 2).reshape(sequences, length, -1), self.out_proj)


class FeedForward(nn.Module):
    """SwiGLU; gate and up are one matrix."""

    def __init__(self, hidden, size):
        super().__init__()
        self.gate_up_proj, self.down_proj = weight(2 * size, hidden), weight(hidden, size)

    def forward(self, x):
        gate, up = linear(x, self.gate_up_proj).chunk(2, dim=-1)
        return linear(F.silu(gate) * up, self.down_proj)


class Router(nn.Module):
    """Sigmoid scores; a bias that no gradient moves takes part in the selection only."""

    def __init__(self, model):
        super().__init__()
        moe = model["moe"]
        self.weight = weight(moe["experts"], model["hidden_size"])
        self.top_k, self.scale = moe["top_k"], moe["router"]["scale"]
        self.register_buffer("balancer", torch.zeros(moe["experts"]))
        self.register_buffer("counts", torch.zeros(moe["experts"], dtype=torch.int64))  # of the global batch

    def forward(self, x):
        """x: [tokens, hidden]. Returns experts and weights, [tokens, top_k]."""
        scores = linear(x, self.weight).sigmoid()
        chosen = (scores.detach() + self.balancer).topk(self.top_k).indices
        weights = scores.gather(1, chosen)
        return chosen, weights / weights.sum(dim=1, keepdim=True) * self.scale

    def balance(self, rate):
        """Moves the bias after a global batch (arXiv 2408.15664)."""
        self.balancer += rate * torch.sign(self.counts.sum() - self.counts * len(self.counts))
        self.counts.zero_()


class MoeLayer(nn.Module):
    def __init__(self, model):
        super().__init__()
        moe, hidden = model["moe"], model["hidden_size"]
        self.router = Router(model)
        self.experts = nn.ModuleList(FeedForward(hidden, moe["expert_size"]) for _ in range(moe["experts"]))
        shared = moe["shared_experts"] * moe["expert_size"]
        self.shared_experts = FeedForward(hidden, shared) if shared else None

    @torch.compiler.disable  # sizes differ every time: compiled, it would be compiled for ever
    def routed(self, x, chosen, weights):
        """Pairs sorted by expert, so that every expert computes its tokens at once."""
        order = chosen.flatten().argsort(stable=True)
        tokens = order // chosen.shape[1]
        counts = chosen.flatten().bincount(minlength=len(self.experts))
        self.router.counts += counts
        parts = x.index_select(0, tokens).split(counts.tolist())
        y = torch.cat([expert(part) for expert, part in zip(self.experts, parts)])
        return torch.zeros_like(x).index_add(0, tokens, y * weights.flatten().index_select(0, order).unsqueeze(1))

    def forward(self, x):
        shape, x = x.shape, x.flatten(0, 1)
        y = self.routed(x, *self.router(x))
        if self.shared_experts is not None:
            y = y + self.shared_experts(x)
        return y.view(shape)


class Block(nn.Module):
    def __init__(self, model, layer):
        super().__init__()
        hidden, eps = model["hidden_size"], model["norm"]["eps"]
        self.attention_norm, self.attention = RmsNorm(hidden, eps), Attention(model)
        self.ffn_norm = RmsNorm(hidden, eps)
        if layer < model["moe"]["first_dense_layers"]:
            self.ffn = FeedForward(hidden, model["ffn"]["intermediate_size"])
        else:
            self.ffn = MoeLayer(model)

    def forward(self, x, rotation):
        x = x + self.attention(self.attention_norm(x), rotation)
        return x + self.ffn(self.ffn_norm(x))


class Transformer(nn.Module):
    def __init__(self, model, vocab_size, length):
        super().__init__()
        hidden = model["hidden_size"]
        self.embedding = nn.Embedding.from_pretrained(torch.empty(vocab_size, hidden), freeze=False)
        self.layers = nn.ModuleList(Block(model, layer) for layer in range(model["layers"]))
        self.final_norm = RmsNorm(hidden, model["norm"]["eps"])
        self.head = None if model["tie_embeddings"] else nn.Linear(hidden, vocab_size, bias=False)
        dim, theta = model["attention"]["head_dim"], model["attention"]["rope"]["theta"]
        frequencies = theta ** (-torch.arange(dim // 2, dtype=torch.float64) / (dim // 2))
        angles = torch.arange(length, dtype=torch.float64).outer(frequencies).unsqueeze(1)
        self.rotation = (angles.cos().float(), angles.sin().float())

    def forward(self, tokens, targets):
        """tokens, targets: [sequences, length]. Returns the sum of the tokens' losses."""
        x = self.embedding(tokens)
        for layer in self.layers:
            x = layer(x, self.rotation)
        return self.loss(x, targets)

    def loss(self, x, targets):
        head = self.embedding.weight if self.head is None else self.head.weight
        logits = linear(self.final_norm(x), head)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum")

    def compile_parts(self):
        """Not the whole: what cannot be compiled in a layer would keep the loop over layers, and the loss, from it."""
        for layer in self.layers:
            layer.compile()
        self.loss = torch.compile(self.loss)

    def routers(self):
        return [module for module in self.modules() if isinstance(module, Router)]
