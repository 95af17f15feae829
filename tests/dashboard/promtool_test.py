"""/metrics as Prometheus' own checker sees it, with every metric that docs/observability.md names.

promtool_test.py PAGE_STAND_IN SOURCE_FOLDER
"""
import pathlib
import re
import shutil
import subprocess
import sys
import unittest
import urllib.request

from served_page import ServedPage, evaluation_line, step_line

SKIPPED = 77


def documented_names():
    """Of the table under "## Names": every `name` of the first column."""
    text = (SOURCE / "docs/observability.md").read_text(encoding="utf-8")
    table = text.split("## Names")[1].split("##")[0]
    return {name for row in re.findall(r"^\| (.*?) \|", table, re.M) for name in re.findall(r"`([\w/]+)`", row)}


class PromtoolTest(unittest.TestCase):
    def setUp(self):
        self.page = ServedPage(STAND_IN, "run-1")
        self.addCleanup(self.page.close)

    def test_the_checker_has_nothing_to_say(self):
        names = {name: 1.0 for name in documented_names()}
        self.assertGreater(len(names), 20)
        step = step_line(5, **names)
        step["layers"][0].update({name: 1.0 for name in names if name not in ("domains", "co_activation")})
        self.page.write(step, evaluation_line(5, 3.0))
        self.page.say(workers=[{"rank": 0, "host": "a"}], phases={"0": {"forward": 0.5}})
        self.page.say(checkpoint={"step": 5})
        with urllib.request.urlopen(self.page.url + "metrics", timeout=60) as answer:
            text = answer.read()
        lines = text.decode().splitlines()
        for expected in ("troupe_loss 1", "troupe_mfu 1", 'troupe_load_entropy{layer="1"} 1', 'troupe_eval_bpb{domain="all"} 1.5'):
            self.assertIn(expected, lines)
        checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
        self.assertEqual((checked.returncode, checked.stdout, checked.stderr), (0, b"", b""))


if __name__ == "__main__":
    if shutil.which("promtool") is None:
        print("SKIPPED: promtool is not here; apt-get install prometheus")
        sys.exit(SKIPPED)
    SOURCE = pathlib.Path(sys.argv.pop())
    STAND_IN = sys.argv.pop()
    unittest.main(verbosity=2)
