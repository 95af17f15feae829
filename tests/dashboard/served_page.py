"""The page's server for tests, over runs whose metrics.jsonl the test writes (page_stand_in.cpp)."""
import json
import pathlib
import subprocess
import tempfile


def step_line(step, loss=3.0, violation=0.3, counts=(8, 8, 8, 8), **metrics):
    """A line of metrics.jsonl."""
    layer = {"layer": 1, "counts": list(counts), "max_violation_batch": violation, "max_violation_window": violation,
             "load_entropy": 0.9, "drop_ratio": 0.0, "bias_min": 0.0, "bias_max": 0.0}
    return {"schema": 1, "time": 1.0 * step, "step": step, "tokens": 64 * step, "layers": [layer],
            "metrics": {"loss": loss, "learning_rate": 0.001, "tokens_per_second": 1000.0, "step_seconds": 0.1, **metrics}}


def evaluation_line(step, loss, layers=(), **metrics):
    one = {"eval_loss": loss, "eval_bits_per_byte": loss / 2, "perplexity": 1.0, "tokens": 10, **metrics}
    return {"schema": 1, "time": 1.0 * step, "step": step, "tokens": 64 * step, "metrics": one, "domains": {"c": one},
            "evaluation_layers": list(layers)}


class ServedPage:
    """Runs whose metrics the test writes, and the page that shows them."""

    def __init__(self, stand_in, *names):
        self._folder = tempfile.TemporaryDirectory()
        self._files = [pathlib.Path(self._folder.name) / f"{name}.jsonl" for name in names]
        for file in self._files:
            file.touch()
        arguments = [str(part) for pair in zip(names, self._files) for part in pair]
        self._process = subprocess.Popen([stand_in, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self._process.stdout.readline().strip()

    def close(self):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._folder.cleanup()

    def say(self, run=0, **command):
        self._process.stdin.write(json.dumps({"run": run, **command}) + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"

    def write(self, *lines, run=0):
        with self._files[run].open("a") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
        self.say(run, poll=True)
