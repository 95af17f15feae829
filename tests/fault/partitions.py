#!/usr/bin/env python3
"""Partitions between two hosts, which are network namespaces, at random moments of runs that save every other step:
short ones, such that heal after the other side was given up, such that strike while workers are started, and such
that never heal. Of every run one epoch commits at a time, each step once, and it ends with the bits of a run that
nobody disturbed. Usage: scripts/partition_campaign.sh [--partitions N] [--seed S]"""
import argparse
import collections
import json
import os
import pathlib
import random
import re
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from fault_test import told  # noqa: E402
from hosts import missing  # noqa: E402
from hosts_test import SKIPPED, Cluster, epochs  # noqa: E402
from processes import descendants, send, wait_until  # noqa: E402

STEPS = 80
PARTITIONS_A_RUN = 8
KINDS = ["heals before anybody is given up", "heals after the other side was given up",
         "strikes while workers are started"]
FOR_GOOD = "never heals"
OPTIONS = ["--set", f"run.steps={STEPS}", "--set", "checkpoint.every=2", "--set", "checkpoint.keep=1000",
           "--set", "elastic.silence_seconds=2", "--set", "elastic.max_restarts=1000",
           "--set", "elastic.max_failures_per_step=1000"]
EPOCH_ENDS = re.compile(r"restart \d+: the run goes on")
COMMITTED = re.compile(r"step (\d+): checkpoint /")


def newest_step(run):
    """That metrics.jsonl tells of."""
    try:
        lines = (run.folder / "metrics.jsonl").read_text().splitlines()
    except FileNotFoundError:
        return 0
    return max((json.loads(line).get("step", 0) for line in lines[-3:] if line.endswith("}")), default=0)


def double_commits(run):
    """Steps that were committed twice, or by an epoch that was over: by the log in its order, which may know nothing of
    commits in the moment in which their epoch was given up, and by the manifests."""
    epoch, seen = 1, {}
    for line in (run.folder / "logs/coordinator.log").read_text().splitlines():
        epoch += 1 if EPOCH_ENDS.search(line) else 0
        if committed := COMMITTED.search(line):
            seen.setdefault(int(committed[1]), []).append(epoch)
    by_manifests = epochs(run)
    in_order = [by_manifests[step] for step in sorted(by_manifests)]
    assert in_order == sorted(in_order), f"an epoch that was over committed: {by_manifests}"
    return [step for step, found in seen.items() if found != [by_manifests[step]]]


class Campaign:
    def __init__(self, at):
        self.at, self.counts, self.failures = at, collections.Counter(), []
        self.checkpoints = self.restarts = self.doubles = 0
        at.config += OPTIONS

    def programs(self, host):
        return self.at.hosts.processes(host, pathlib.Path(self.at.troupe).name)

    def kill_a_worker(self, run):
        """On the coordinator's host: the next start has both hosts again, if they answer."""
        workers = [process for process in self.programs(self.at.near) if "worker" in
                   pathlib.Path(f"/proc/{process}/cmdline").read_text(errors="replace").split("\0")]
        send(workers[-1:], signal.SIGKILL)

    def restart_count(self, run):
        return told(run).count("warning: restart ")

    def wait(self, run, condition, what):
        wait_until(lambda: condition() or run.process.poll() is not None, f"{what}: {told(run)}", 120)
        return run.process.poll() is None

    def trains(self, run):
        text = told(run)
        return text.rfind("joined, training begins") > text.rfind("warning: restart ")

    def both_hosts_train(self, run):
        if not self.wait(run, lambda: self.trains(run), "training"):
            return False
        if self.programs(self.at.far):
            return True
        seen = self.restart_count(run)
        self.kill_a_worker(run)
        return self.wait(run, lambda: self.restart_count(run) > seen and self.trains(run), "both hosts")

    def strike(self, run, kind, numbers):
        """Whether it struck a run that was not over."""
        far, seen = self.at.far, self.restart_count(run)
        if kind == KINDS[2]:
            self.kill_a_worker(run)
            time.sleep(numbers.uniform(0.0, 1.5))
        self.at.hosts.cut_off(far)
        strikes = run.process.poll() is None
        if kind == KINDS[1]:
            self.wait(run, lambda: self.restart_count(run) > seen, "the other side to be given up")
            time.sleep(numbers.uniform(0.0, 1.0))
        elif kind != FOR_GOOD:
            time.sleep(numbers.uniform(0.1, 1.2))
        if kind != FOR_GOOD:
            self.at.hosts.join(far)
        self.counts[kind] += strikes
        return strikes

    def run(self, seed):
        """How many partitions struck."""
        numbers, struck = random.Random(seed), 0
        run = self.at.begin(f"seed-{seed}")
        kinds = [numbers.choice(KINDS) for _ in range(PARTITIONS_A_RUN - 1)] + [FOR_GOOD]
        try:
            for step, kind in zip(sorted(numbers.sample(range(1, STEPS - 4), len(kinds))), kinds):
                if not self.wait(run, lambda least=step: newest_step(run) >= least, f"step {step}"):
                    break
                if not self.both_hosts_train(run):
                    break
                time.sleep(numbers.uniform(0.0, 0.3))
                struck += self.strike(run, kind, numbers)
            self.judge(run)
        except AssertionError as failure:
            self.failures.append(f"seed {seed}: {failure}")
        finally:
            run.kill()
            self.at.hosts.kill(self.at.far)
            self.at.hosts.join(self.at.far)
        return struck

    def judge(self, run):
        code = run.end(300)
        assert code == 0, f"exit {code}: {told(run)}"
        self.at.expect_same(run)
        twice = double_commits(run)
        self.checkpoints += len(epochs(run))
        self.restarts += self.restart_count(run)
        self.doubles += len(twice)
        assert not twice, f"committed twice: steps {twice}"
        shutil.rmtree(run.folder)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("troupe")
    parser.add_argument("source")
    parser.add_argument("--partitions", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if reason := missing():
        print(f"SKIPPED: {reason}")
        return SKIPPED
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    work = pathlib.Path(tempfile.mkdtemp(prefix="troupe-partitions-"))
    (work / "tmp").mkdir()
    os.environ["TMPDIR"] = str(work / "tmp")
    troupe = os.path.abspath(arguments.troupe)
    os.chdir(arguments.source)
    at = Cluster(troupe, work)
    campaign, struck, seed = Campaign(at), 0, arguments.seed
    try:
        while struck < arguments.partitions:
            struck += campaign.run(seed)
            print(f"seed {seed}: {struck} partitions, {len(campaign.failures)} runs failed", flush=True)
            seed += 1
    except KeyboardInterrupt:
        print("stopped: the last seed was not finished")
    finally:
        at.hosts.close()
        for process in descendants(os.getpid())[1:]:
            send([process], signal.SIGKILL)
        if not campaign.failures:
            shutil.rmtree(work, ignore_errors=True)
    for kind, count in sorted(campaign.counts.items()):
        print(f"{count:5}  {kind}")
    print(f"{struck} partitions in {seed - arguments.seed} runs, seeds {arguments.seed} to {seed - 1}, "
          f"{campaign.restarts} restarts: {campaign.doubles} double commits among {campaign.checkpoints} checkpoints, "
          f"{len(campaign.failures)} runs ended otherwise than undisturbed")
    for failure in campaign.failures:
        print("FAILED:", failure, f"(its folder is in {work})")
    return 1 if campaign.failures else 0


if __name__ == "__main__":
    sys.exit(main())
