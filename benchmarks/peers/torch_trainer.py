"""Trains a checkpoint of Troupe on in PyTorch. compare.py starts it, and tells it by standard input how many steps to
make; every line of standard output is a JSON object.

    torch_trainer.py RUN ORDER --threads 1 [--compile] [--onednn]

RUN is a run's folder with one checkpoint, ORDER what `troupe data order --json` wrote for the steps after it.
"""
import argparse
import json
import math
import pathlib
import re
import sys
import time

import h5py
import numpy
import torch
import yaml

import model
from model import Transformer, check_supported, stored_name


def length_in_steps(length, steps):
    """As optimizer/options.cpp: below 1 a part of the run."""
    return int(length) if length >= 1 else int(length * steps + 1e-9)


def learning_rate(optimizer, schedule, step, steps):
    """As optimizer/schedule.cpp: warm-up, then constant until the decay of wsd, which no comparison reaches."""
    if schedule["kind"] not in ("constant", "wsd") or step > steps - length_in_steps(schedule["decay"], steps):
        raise SystemExit(f"the PyTorch peer does not have step {step} of schedule {schedule['kind']}")
    return optimizer["lr"] * min(1.0, step / max(1, length_in_steps(schedule["warmup"], steps)))


def balance_rate(rate, step, steps):
    """step: steps made before. A number, or {from, to} over the run."""
    if not isinstance(rate, dict):
        return rate
    return rate["from"] + (rate["to"] - rate["from"]) * step / max(1, steps - 1)


def read_batches(run_config, order_file):
    """{step: (tokens, targets)}, [sequences, length]"""
    length = run_config["data"]["sequence_length"]
    steps = {}
    with h5py.File(pathlib.Path(run_config["data"]["corpus"]) / "train.h5") as file:
        for place in json.loads(pathlib.Path(order_file).read_text()):
            parts = [file["tokens"][part["first_token"] :][: part["tokens"]] for part in place["parts"]]
            window = torch.from_numpy(numpy.concatenate(parts).astype("int64"))
            assert len(window) == length + 1
            steps.setdefault(place["step"], []).append(window)
    windows = {step: torch.stack(sequences) for step, sequences in steps.items()}
    return {step: (w[:, :-1].contiguous(), w[:, 1:].contiguous()) for step, w in windows.items()}


def with_numbers(tree):
    """PyYAML takes 1e-06 for a text: YAML 1.1 wants a point."""
    if isinstance(tree, dict):
        return {key: with_numbers(value) for key, value in tree.items()}
    if isinstance(tree, str) and re.fullmatch(r"[0-9.]+e[-+]?\d+", tree):
        return float(tree)
    return tree


class Trainer:
    def __init__(self, run_folder, order_file, compile_model):
        self.config = with_numbers(yaml.safe_load((run_folder / "config.yaml").read_text()))
        check_supported(self.config)
        self.batches = read_batches(self.config, order_file)
        (checkpoint,) = run_folder.glob("checkpoints/step-*/checkpoint.h5")
        with h5py.File(checkpoint) as file:
            rows = file["embedding/weight"].shape[0]
            self.model = Transformer(self.config["model"], rows, self.config["data"]["sequence_length"])
            self.optimizer = self.make_optimizer()
            self.load(file)
        self.routers = self.model.routers()
        if compile_model:
            self.model.compile_parts()

    def make_optimizer(self):
        options = self.config["optimizer"]
        named = list(self.model.named_parameters())
        groups = [
            {"params": [p for name, p in named if decays(name, p)], "weight_decay": options["weight_decay"]},
            {"params": [p for name, p in named if not decays(name, p)], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, betas=tuple(options["betas"]), eps=options["eps"], fused=True)

    @torch.no_grad()
    def load(self, file):
        """Weights, moments, biases and counters of a checkpoint."""
        step, updates, _, _ = file["training/counters"][:].tolist()
        self.step = step

        def values(tensor, expert):
            return torch.from_numpy(file[tensor][:] if expert is None else file[tensor][expert])

        for name, parameter in self.model.named_parameters():
            tensor, expert = stored_name(name)
            parameter.copy_(values(tensor, expert))
            self.optimizer.state[parameter] = {
                "step": torch.tensor(float(updates)),
                "exp_avg": values(f"optimizer/first_moment/{tensor}", expert),
                "exp_avg_sq": values(f"optimizer/second_moment/{tensor}", expert),
            }
        for name, buffer in self.model.named_buffers():
            if name.endswith("balancer"):
                buffer.copy_(values(stored_name(name)[0], None)[0])

    def add_gradients(self, tokens, targets):
        """Returns the mean loss of the batch."""
        total = 0.0
        size = self.config["batch"]["micro_batch"]
        for part, wanted in zip(tokens.split(size), targets.split(size)):
            loss = self.model(part, wanted) / tokens.numel()
            loss.backward()
            total += loss.item()
        return total

    def warm_up(self):
        """Compiles and touches memory; changes nothing."""
        tokens, targets = self.batches[self.step + 1]
        self.add_gradients(tokens, targets)
        self.optimizer.zero_grad()
        for router in self.routers:
            router.counts.zero_()

    def update(self):
        steps, moe = self.config["run"]["steps"], self.config["model"]["moe"]
        norm = clip_gradients(list(self.model.parameters()), self.config["optimizer"]["grad_clip"] or math.inf)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config["optimizer"], self.config["schedule"], self.step + 1, steps)
        self.optimizer.step()
        self.optimizer.zero_grad()
        counts = [router.counts.tolist() for router in self.routers]
        for router in self.routers:
            router.balance(balance_rate(moe["balancer"]["rate"], self.step, steps))
        return norm, counts

    def make_step(self):
        start = time.perf_counter()
        loss = self.add_gradients(*self.batches[self.step + 1])
        norm, counts = self.update()
        self.step += 1
        seconds = time.perf_counter() - start
        return {"step": self.step, "loss": loss, "grad_norm": norm, "counts": counts, "seconds": seconds}


def clip_gradients(parameters, limit):
    """Returns the norm before. clip_grad_norm_ adds squares in fp32, which makes the norm of millions of elements 5e-4
    too small: enough to send many tokens elsewhere after ten steps."""
    norms = [torch.linalg.vector_norm(p.grad, dtype=torch.float64) for p in parameters]
    norm = torch.stack(norms).norm().item()
    if norm > limit:
        torch._foreach_mul_([p.grad for p in parameters], limit / norm)
    return norm


def decays(name, parameter):
    """Embeddings and norms do not decay."""
    return parameter.dim() > 1 and not name.startswith("embedding")


def product_rate(repeats=10):
    """Best FLOP/s of a linear layer's product of two fp32 matrices."""
    n = 1024
    a, b, best = torch.randn(n, n), torch.randn(n, n), math.inf
    for _ in range(repeats):
        start = time.perf_counter()
        model.linear(a, b)
        best = min(best, time.perf_counter() - start)
    return 2 * n**3 / best


def say(**values):
    print(json.dumps(values), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=pathlib.Path)
    parser.add_argument("order", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--onednn", action="store_true", help="products by oneDNN")
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    torch.set_float32_matmul_precision("highest")
    if arguments.onednn:
        model.linear = model.OneDnnLinear.apply
    trainer = Trainer(arguments.run, arguments.order, arguments.compile)
    start = time.perf_counter()
    trainer.warm_up()
    seconds = time.perf_counter() - start
    blas = next((line.strip(" -") for line in torch.__config__.show().splitlines() if "Math Kernel" in line), "")
    say(version=torch.__version__, cpu=torch.backends.cpu.get_cpu_capability(), blas=blas, warm_up_seconds=seconds,
        gemm_flops=product_rate(), threads=torch.get_num_threads())
    for line in sys.stdin:
        for _ in range(int(line)):
            say(**trainer.make_step())


if __name__ == "__main__":
    main()
