#!/usr/bin/env python3
"""Signals at workers that compute: hundreds of every kind, in every mode, with kernels of oneDNN that move the
stack pointer into the heap. Each run must end with 75, a checkpoint, and the bits of a run that nobody disturbed.
Usage: signals_test.py TROUPE SOURCE_DIR MPIRUN [--rounds N]"""
import argparse
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from processes import STOP_SIGNALS, Run, interruptible, send

# Hidden size 128: products large enough for the kernels in question. Nothing else takes long.
CONFIG = ["--set", "model.hidden_size=128", "--set", "model.layers=2", "--set", "model.moe.experts=8",
          "--set", "model.attention.head_dim=32", "--set", "model.ffn.intermediate_size=256",
          "--set", "model.moe.expert_size=64", "--set", "data.sequence_length=64",
          "--set", "batch.sequences=24", "--set", "batch.grad_lanes=12", "--set", "batch.expert_lanes=12",
          "--set", "run.steps=1000", "--set", "evaluation.final_sequences=8"]
REFERENCE_STEPS = 24
MANY = 200  # of each signal


class Campaign:
    def __init__(self, arguments, work):
        self.troupe = arguments.troupe
        self.config = ["configs/tiny.yaml", *CONFIG]
        self.mpirun = [arguments.mpirun, "--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1",
                       "-n", "3"]
        self.work = work
        self.digests = self.reference_digests()

    def digest(self, checkpoint):
        out = subprocess.run([self.troupe, "checkpoint", "verify", checkpoint, "--digest"], check=True,
                             capture_output=True, text=True)
        return out.stdout.split()[0]

    def reference_digests(self):
        run = Run(self.troupe, self.work / "reference",
                  [*self.config, "--set", "parallel.backend=inproc", "--workers", "1", "--set", "checkpoint.every=1",
                   "--set", "checkpoint.keep=1000", "--set", f"run.stop_after={REFERENCE_STEPS}"])
        assert run.end() == 75, run.text()
        return {path.name: self.digest(path) for path in (run.folder / "checkpoints").glob("step-*")}

    def start(self, name, mode):
        arguments = [*self.config, "--set", "checkpoint.every=0"]
        if mode == "classic":
            return Run(self.troupe, self.work / name, arguments, launcher=self.mpirun)
        return Run(self.troupe, self.work / name,
                   [*arguments, "--workers", "2", "--set", f"parallel.backend={mode}"])

    def expect_saved(self, run, expected_code=75):
        code = run.end()
        assert code == expected_code, f"exit {code}, not {expected_code}: {run.text()}"
        saved = [path for path in (run.folder / "checkpoints").glob("step-*")]
        assert len(saved) == 1, f"checkpoints {saved}: {run.text()}"
        assert self.digest(saved[0]) == self.digests[saved[0].name], f"{saved[0]}: other bits than undisturbed"


def storm(campaign, run, workers):
    """Every kind to every worker, until each was sent many or they are done."""
    for _ in range(MANY):
        for number in STOP_SIGNALS:
            send(workers, number)
        if run.process.poll() is not None:
            return
        time.sleep(0.001)  # so that they arrive one by one


def no_thread_can_be_interrupted(campaign, run, mode):
    everyone = run.programs(campaign.troupe)
    expected = {"mpi": 3, "inproc": 2, "classic": 3}[mode]
    assert len(everyone) == expected, everyone
    found = [text for process in everyone for text in interruptible(process)]
    assert not found, found


def workers_in_a_storm(campaign, name, mode):
    run = campaign.start(name, mode)
    try:
        run.wait_for_steps(2)
        no_thread_can_be_interrupted(campaign, run, mode)
        programs = run.programs(campaign.troupe)
        storm(campaign, run, programs if mode == "classic" else programs[1:])
        campaign.expect_saved(run)
    finally:
        run.kill()


def everything_at_once(campaign, name, mode):
    """As scancel and systemd do: one signal to every process of the job; and a warning before the order."""
    for numbers in ([signal.SIGTERM], [signal.SIGUSR1, signal.SIGTERM]):
        run = campaign.start(f"{name}-{len(numbers)}", mode)
        try:
            run.wait_for_steps(2)
            everyone = run.members()
            for number in numbers:
                send(everyone, number)
            campaign.expect_saved(run)
        finally:
            run.kill()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("troupe")
    parser.add_argument("source")
    parser.add_argument("mpirun")
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    work = pathlib.Path(tempfile.mkdtemp(prefix="troupe-signals-"))
    failures = 0
    arguments.troupe = os.path.abspath(arguments.troupe)
    os.chdir(arguments.source)
    try:
        campaign = Campaign(arguments, work)
        for number in range(arguments.rounds):
            for test, modes in ((workers_in_a_storm, ("mpi", "classic", "inproc")),
                                (everything_at_once, ("mpi",))):
                for mode in modes:
                    name = f"{test.__name__}-{mode}-{number}"
                    try:
                        test(campaign, name, mode)
                        print("ok:", name, flush=True)
                    except AssertionError as failure:
                        failures += 1
                        print("FAILED:", name, failure, flush=True)
    finally:
        shutil.rmtree(work)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
