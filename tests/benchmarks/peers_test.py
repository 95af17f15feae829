"""benchmarks/peers without PyTorch: a peer that repeats Troupe's own steps agrees, one that does not is noticed, and
the orders of both sides are the same. Usage: peers_test.py PROGRAM SOURCE_FOLDER"""
import ast
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

PROGRAM, SOURCE = sys.argv[1:3]
PEERS = pathlib.Path(SOURCE) / "benchmarks" / "peers"
os.environ["TROUPE"] = PROGRAM
os.chdir(SOURCE)
sys.path.insert(0, str(PEERS))
import compare  # noqa: E402


class Stub:
    facts = {}


def records(losses, seconds, counts=((6, 2),)):
    return [{"step": i + 2, "loss": loss, "grad_norm": 1.0, "seconds": s, "counts": [list(c) for c in counts]}
            for i, (loss, s) in enumerate(zip(losses, seconds))]


def summary(ours, theirs, compared=10):
    rows = compare.summarize({"troupe": Stub, "eager": Stub}, {"troupe": ours, "eager": theirs}, 100, compared)
    return rows[1]


class Summary(unittest.TestCase):
    def test_leaves_out_the_first_step_of_every_round(self):
        ours = [records([3, 2], [50, 1]), records([2, 1], [50, 1])]
        theirs = [records([3, 2], [70, 2]), records([2, 1], [90, 4])]
        row = summary(ours, theirs)
        self.assertEqual(row["troupe_is_faster"], 3)  # median 3 s against 1 s
        self.assertEqual(row["troupe_is_faster_by_best_steps"], 2)
        self.assertEqual(row["most_tokens_per_second"], 50)

    def test_finds_the_largest_difference_of_losses(self):
        row = summary([records([4.0, 2.0, 1.0], [1, 1, 1])], [records([4.0, 2.2, 0.0], [1, 1, 1])], compared=2)
        self.assertAlmostEqual(row["loss_difference"], 0.1)

    def test_takes_no_number_for_a_difference(self):
        row = summary([records([4.0, 2.0], [1, 1])], [records([4.0, float("nan")], [1, 1])])
        self.assertEqual(row["loss_difference"], float("inf"))

    def test_counts_tokens_that_went_elsewhere(self):
        ours = [records([1, 1], [1, 1])]
        theirs = [records([1, 1], [1, 1], counts=((4, 4),))]
        self.assertEqual(summary(ours, theirs)["moved_tokens"], 0.25)


class Scripts(unittest.TestCase):
    def test_are_python(self):
        for path in PEERS.glob("*.py"):
            ast.parse(path.read_text(), str(path))

    def test_train_ours_alone(self):
        command = [sys.executable, PEERS / "compare.py", "--config", "configs/tiny.yaml", "--peers", "--rounds", "2",
                   "--steps", "1", "--json"]
        ran = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        result = json.loads(ran.stdout)
        self.assertEqual(result["compared_steps"], 4)
        self.assertEqual([row["peer"] for row in result["peers"]], ["troupe"])
        self.assertGreater(result["peers"][0]["tokens_per_second"], 0)

    def test_refuse_nonsense(self):
        for words in (["--rounds", "0"], ["--threads", "0"], ["--peers", "eager"], ["--threads", "100000", "--peers"]):
            ran = subprocess.run([sys.executable, PEERS / "compare.py", *words], capture_output=True, text=True)
            self.assertNotEqual(ran.returncode, 0, words)
            self.assertNotIn("Traceback", ran.stderr)


class Order(unittest.TestCase):
    def order(self, *arguments):
        command = [PROGRAM, "data", "order", "configs/tiny.yaml", "--json", *arguments]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    def test_steps_follow_each_other(self):
        both = self.order("--step", "3", "--steps", "2")
        self.assertEqual(both, self.order("--step", "3") + self.order("--step", "4"))
        self.assertEqual([row["sequence"] for row in both], list(range(96, 192)))
        self.assertEqual([row["step"] for row in both], [3] * 48 + [4] * 48)

    def test_sequences_have_their_length(self):
        for row in self.order("--step", "5", "--steps", "20"):
            self.assertEqual(sum(part["tokens"] for part in row["parts"]), 32 + 1)

    def test_an_epoch_has_every_token_once(self):
        inputs = collections.Counter()
        epoch = sum(row["tokens"] for row in self.order("--step", "1", "--seen"))
        for row in self.order("--step", "1", "--steps", "200")[: -(-epoch // 32)]:
            row["parts"][-1]["tokens"] -= 1  # a sequence's last token is an input of the one that goes on from it
            for part in row["parts"]:
                inputs.update(range(part["first_token"], part["first_token"] + part["tokens"]))
        self.assertEqual(len(inputs), epoch)
        self.assertLess(sum(inputs.values()) - epoch, 32)  # the last one reaches into the next epoch

    def test_counts_what_was_seen(self):
        rows = self.order("--step", "1", "--steps", "7")
        seen = {row["domain"]: row["seen"] for row in self.order("--step", "8", "--seen")}
        self.assertEqual(sum(seen.values()), 32 * len(rows))
        counted = collections.Counter()
        for row in rows:
            row["parts"][-1]["tokens"] -= 1
            for part in row["parts"]:
                counted[part["domain"]] += part["tokens"]
        self.assertEqual(seen, counted)

    def test_depends_on_the_seed(self):
        self.assertNotEqual(self.order("--step", "1"), self.order("--step", "1", "--set", "run.seed=2"))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TMPDIR"] = folder
        unittest.main(argv=sys.argv[:1])
