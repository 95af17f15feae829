#!/usr/bin/env python3
"""Prints, as Markdown, what `troupe describe` says that a step takes beside what is measured: memory by counting
allocations, messages and bytes by counting them in the communicator. Of the cases of two tests, which hold them together.

    benchmarks/described.py [build/release/bin]
"""
import json
import pathlib
import subprocess
import sys
import tempfile

BIN = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build/release/bin")


def cases(test, suite):
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "report.json"
        subprocess.run([BIN / test, f"--gtest_filter=*{suite}*", f"--gtest_output=json:{report}"], check=True,
                       stdout=subprocess.DEVNULL)
        suites = json.loads(report.read_text())["testsuites"]
    return [case for one in suites for case in one["testsuite"]]


def name_of(case):
    return case["name"].split("/")[-1].replace("_", " ")


def mebibytes(text):
    return f"{float(text) / 2**20:.2f}"


print("| configuration | MiB of all workers, described | measured |\n|---|---|---|")
for case in cases("performance_test", "DescribedMemory"):
    print(f"| {name_of(case)} | {mebibytes(case['described_bytes'])} | {mebibytes(case['measured_bytes'])} |")
print("\n| layout | messages of a step, described | measured | MiB, described | measured | KiB that all add up |"
      "\n|---|---|---|---|---|---|")
for case in cases("step_traffic_test", "DescribedTraffic"):
    print(f"| {name_of(case)} | {case['messages_described']} | {case['messages_measured']} |"
          f" {mebibytes(case['bytes_described'])} | {mebibytes(case['bytes_measured'])} |"
          f" {int(case['reduced_bytes']) / 1024:.1f} |")
