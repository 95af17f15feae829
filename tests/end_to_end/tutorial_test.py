"""Runs docs/tutorial.md as a user would: its blocks, one after the other, in one shell.

tutorial_test.py TROUPE SOURCE_FOLDER
"""
import pathlib
import re
import subprocess
import sys
import tempfile

BLOCK = re.compile(r"(<!-- not in the test: [^\n]*-->\n)?```sh\n(.*?)```", re.S)
# Before the page's server is ended: what it serves.
LOOK = """
python3 - <<'LOOK'
import json, re, time, urllib.request
deadline = time.monotonic() + 60
while not (address := re.search(r"http://[^ ]+/", open("view.txt").read())):
    assert time.monotonic() < deadline, "no address"
print("runs:", [run["name"] for run in json.load(urllib.request.urlopen(address[0] + "api/runs", timeout=60))])
steps = json.load(urllib.request.urlopen(address[0] + "api/runs/0/history", timeout=60))["steps"]
print("viewed steps:", steps[0], "to", steps[-1])
LOOK
"""


def script(text):
    blocks = [body for by_hand, body in BLOCK.findall(text) if not by_hand]
    assert len(blocks) >= 8, f"only {len(blocks)} blocks in the tutorial"
    return "set -euo pipefail\n" + "".join(blocks).replace("kill $viewer\n", LOOK + "kill $viewer\n")


def check(output):
    """That what the tutorial says is what came out."""
    expected = {"mine.yaml is valid": 1, "exit code 75": 1, "stopped at step 15": 1,
                "finished at step 40": 2,  # resumed, and straight on
                "finished at step 60": 2,  # extended, and the branch
                "runs: ['mine', 'straight']": 1, "viewed steps: 1 to 60": 1}
    for text, times in expected.items():
        assert output.count(text) == times, f"'{text}' {output.count(text)} times, not {times}"
    written = output[output.rindex("bits/byte"):]  # after the last evaluation
    assert len(re.findall(r"^The", written, re.M)) >= 2 and re.search(r"^## Workers", written, re.M), written
    digests = re.findall(r"^[0-9a-f]{16,}", output, re.M)
    assert len(digests) == 2 and digests[0] == digests[1], f"digests {digests}"


def main(troupe, source):
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        for name in ("docs", "configs"):
            (work / name).symlink_to(source / name)
        (work / "build/release").mkdir(parents=True)
        (work / "build/release/bin").symlink_to(troupe.parent)
        run = subprocess.run(["bash", "-c", script((source / "docs/tutorial.md").read_text(encoding="utf-8"))], cwd=work,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        print(run.stdout)
        assert run.returncode == 0, f"the tutorial ends with exit code {run.returncode}"
        check(run.stdout)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve())
