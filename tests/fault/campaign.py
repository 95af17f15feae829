#!/usr/bin/env python3
"""Kills at random places: of workers and mpirun in every phase of a step, and of workers and the coordinator in
every part of a save; runs of odd seeds also take snapshots in memory. Every run must end with the bits of a run that nobody disturbed. A seed chooses the same
places again. Usage: scripts/fault_campaign.sh [--kills N] [--seed S] [--workers W]"""
import argparse
import collections
import os
import pathlib
import random
import re
import shutil
import signal
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from fault_test import PHASES, STEPS, Situation, told  # noqa: E402
from processes import descendants, send  # noqa: E402

SAVE = ["copied", "shard", "shard_synced", "shard_written"]
COMMIT = ["commit", "committed"]
KILLS_A_RUN = 5


SNAPSHOTS = ["--set", "checkpoint.snapshot_every=1"]


def places(random_numbers, workers, count, snapshots):
    """Faults at different places; each step once at most, so that each is reached."""
    faults = []
    for step in sorted(random_numbers.sample(range(1, STEPS + 1), count)):
        worker = random_numbers.randrange(workers)
        kind = random_numbers.random()
        if kind < 0.1:
            faults.append(f"worker{worker}:{random_numbers.choice(PHASES)}:step{step}:kill_launcher")
        elif kind < 0.4:
            point = random_numbers.choice([*SAVE, "snapshot", "snapshot"] if snapshots else SAVE)
            step = step if point == "snapshot" else max(4, step - step % 4)
            faults.append(f"worker{worker}:{point}:step{step}:kill")
        elif kind < 0.5:
            step = max(4, step - step % 4)
            faults.append(f"coordinator:{random_numbers.choice(COMMIT)}:step{step}:kill")
        else:
            faults.append(f"worker{worker}:{random_numbers.choice(PHASES)}:step{step}:kill")
    return list(dict.fromkeys(faults))


def quantile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else float("nan")


class Campaign:
    def __init__(self, at, arguments):
        self.at, self.workers = at, arguments.workers
        self.counts, self.seconds, self.failures = collections.Counter(), [], []
        self.lost = {False: [], True: []}  # steps, by whether there were snapshots in memory

    def run(self, seed, count):
        name = f"seed-{seed}"
        snapshots = seed % 2 == 1
        faults = places(random.Random(seed), self.workers, count, snapshots)
        code = -signal.SIGKILL
        while code == -signal.SIGKILL:  # the coordinator: the same command again
            run = self.at.start(name, "--set", "elastic.max_restarts=1000", "--set", "elastic.max_failures_per_step=1000",
                                *(SNAPSHOTS if snapshots else []), faults=faults, workers=self.workers)
            code = run.end(600)
        fired = [mark.name for mark in (self.at.work / f"{name}-marks").iterdir()]
        for fault in fired:
            who, point, _, action = fault.split(":")
            self.counts[f"{'mpirun' if action == 'kill_launcher' else who.rstrip('0123456789')} in {point}"] += 1
        log = (run.folder / "logs/coordinator.log").read_text()
        went_on = re.findall(r"the run goes on at step ([0-9]+), .*; step ([0-9]+) was the last", log)
        self.lost[snapshots] += [int(last) - int(first) for first, last in went_on]
        self.seconds += [float(time) for time in re.findall(r"is finished, ([0-9.]+) s after workers were lost", log)]
        try:
            assert code == 0, f"exit {code}: {told(run)}"
            self.at.expect_same(run)
            shutil.rmtree(run.folder)
        except AssertionError as failure:
            self.failures.append(f"seed {seed} {faults}: {failure}")
        return len(fired)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("troupe")
    parser.add_argument("source")
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    work = pathlib.Path(tempfile.mkdtemp(prefix="troupe-campaign-"))
    (work / "tmp").mkdir()
    os.environ["TMPDIR"] = str(work / "tmp")
    at = Situation(os.path.abspath(arguments.troupe), work)
    os.chdir(arguments.source)
    campaign = Campaign(at, arguments)
    kills, seed, left = 0, arguments.seed, []
    try:
        while kills < arguments.kills:
            kills += campaign.run(seed, KILLS_A_RUN)
            print(f"seed {seed}: {kills} kills, {len(campaign.failures)} runs differ", flush=True)
            seed += 1
        left = list((work / "tmp").iterdir())
    except KeyboardInterrupt:
        print("stopped: the last seed was not finished")
    finally:
        for process in descendants(os.getpid())[1:]:
            send([process], signal.SIGKILL)
        shutil.rmtree(work, ignore_errors=True)
    for place, count in sorted(campaign.counts.items()):
        print(f"{count:5}  {place}")
    print(f"{kills} kills in {seed - arguments.seed} runs of {arguments.workers} workers, seeds {arguments.seed} to "
          f"{seed - 1}: {len(campaign.failures)} runs ended otherwise than undisturbed, {len(left)} files left behind")
    print(f"from the loss of workers to the next finished step: p50 {quantile(campaign.seconds, 0.5):.2f} s, "
          f"p99 {quantile(campaign.seconds, 0.99):.2f} s, most {max(campaign.seconds, default=float('nan')):.2f} s "
          f"of {len(campaign.seconds)}")
    for snapshots, lost in campaign.lost.items():
        print(f"steps computed again by a restart, {'with' if snapshots else 'without'} snapshots in memory: "
              f"mean {sum(lost) / max(1, len(lost)):.2f}, most {max(lost, default=0)} of {len(lost)}")
    for failure in campaign.failures:
        print("FAILED:", failure)
    return 1 if campaign.failures or left else 0


if __name__ == "__main__":
    sys.exit(main())
