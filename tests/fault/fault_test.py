#!/usr/bin/env python3
"""Runs that lose workers, mpirun or their coordinator at chosen places, and go on as the same run, bit for bit;
and those that must not go on. Usage: fault_test.py TROUPE_WITH_FAULTS SOURCE_DIR [TEST...]"""
import hashlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "signals"))
from processes import Run, environment, is_program, run_tests, send, wait_until  # noqa: E402

STEPS = 16
PHASES = ["load", "forward", "router", "dispatch", "all_to_all_v", "expert", "combine", "backward", "reduce",
          "all_reduce_sum", "update", "all_gather_v"]


class Situation:
    def __init__(self, troupe, work):
        self.troupe, self.work = troupe, work
        self.config = ["configs/tiny.yaml", "--set", f"run.steps={STEPS}", "--set", "checkpoint.every=4",
                       "--set", "evaluation.final_sequences=8", "--set", "evaluation.every=8",
                       "--set", "sampling.every=0", "--set", "elastic.backoff_seconds=0"]
        self.wanted = None

    def start(self, name, *arguments, faults=(), once=True, workers=2):
        os.environ["TROUPE_FAULT"] = ",".join(faults)
        marks = self.work / f"{name}-marks"
        marks.mkdir(exist_ok=True)
        os.environ.pop("TROUPE_FAULT_MARKS", None)
        if once:
            os.environ["TROUPE_FAULT_MARKS"] = str(marks)
        if not faults:
            del os.environ["TROUPE_FAULT"]
        return Run(self.troupe, self.work / name, [*self.config, "--workers", str(workers), *arguments])

    def digest(self, run):
        out = subprocess.run([self.troupe, "checkpoint", "verify", str(run.folder), "--digest"], check=True,
                             capture_output=True, text=True)
        return out.stdout

    def undisturbed(self):
        if self.wanted is None:
            run = self.start("undisturbed", "--set", "parallel.backend=inproc", workers=1)
            expect(run, 0)
            self.wanted = self.digest(run), metrics(run)
        return self.wanted

    def expect_same(self, run):
        digest, lines = self.undisturbed()
        assert self.digest(run) == digest, f"{run.folder}: other bits than undisturbed: {run.text()}"
        assert metrics(run) == lines, f"{run.folder}: other losses than undisturbed: {run.text()}"


def metrics(run):
    """Every step's and evaluation's loss, in order."""
    lines = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    return [(line["step"], line["metrics"].get("loss", line["metrics"].get("eval_loss")))
            for line in lines if "restart" not in line]


def restarts(run):
    lines = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    return [line["restart"] for line in lines if "restart" in line]


def told(run):
    """What the terminal said."""
    return run.log.read_text(errors="replace")


def processes_of(at, run=None):
    """Of the program for tests, in a run's folder or in any of this test's."""
    folder = str(run.folder if run else at.work)
    found = []
    for process in map(int, filter(str.isdigit, os.listdir("/proc"))):
        try:
            arguments = pathlib.Path(f"/proc/{process}/cmdline").read_text(errors="replace")
        except OSError:
            continue  # gone
        if is_program(process, pathlib.Path(at.troupe).name) and folder in arguments:
            found.append(process)
    return found


def expect(run, code, limit=90):
    ended = run.end(limit)
    assert ended == code, f"exit {ended}, not {code}: {run.text()}"


def expect_told(run, *texts):
    log = (run.folder / "logs/coordinator.log").read_text()
    for text in texts:
        assert text in told(run), f"'{text}' was not said: {told(run)}"
        assert text in log, f"'{text}' is not in coordinator.log: {log}"


def survives(at, name, faults, *arguments, by_deadline=False, **how):
    """Every fault strikes, once. Two that strike the same start (saves go on beside steps) are one restart;
    by_deadline: on a machine that is busy enough, a short deadline may pass once more than it should."""
    run = at.start(name, *arguments, "--set", "elastic.max_restarts=100", faults=faults, **how)
    expect(run, 0)
    struck = len(os.listdir(at.work / f"{name}-marks"))
    assert struck == len(faults), f"{struck} of {len(faults)} faults struck: {told(run)}"
    seen = told(run).count("warning: restart ")
    assert 1 <= seen <= len(faults) or (by_deadline and seen > len(faults)), f"{seen} restarts: {told(run)}"
    at.expect_same(run)
    return run


def expect_goes_on_at(run, *steps):
    """At a checkpoint that may have been written by then: it is written beside the next steps."""
    assert any(f"the run goes on at step {step}," in told(run) for step in steps), told(run)


def a_kill_in_every_phase_of_a_step_changes_no_bit(at):
    survives(at, "phases", [f"worker{at_ % 2}:{phase}:step{3 + at_}:kill" for at_, phase in enumerate(PHASES)])


def a_kill_in_every_part_of_a_save_changes_no_bit(at):
    survives(at, "saves", ["worker0:copied:step2:kill", "worker1:shard:step4:kill", "worker0:shard_synced:step6:kill",
                           "worker1:shard_written:step8:kill", "worker0:shard_written:step10:kill",
                           "worker1:shard:step16:kill"], "--set", "checkpoint.every=2")


def a_kill_before_anything_was_saved_begins_anew(at):
    run = survives(at, "early", ["worker1:begin:step1:kill", "worker0:backward:step1:kill"])
    expect_told(run, "the run goes on at step 0, from its beginning")


def workers_as_threads_are_replaced(at):
    run = survives(at, "threads", ["worker1:dispatch:step6:crash", "worker0:update:step11:kill"],
                   "--set", "parallel.backend=inproc")
    expect_told(run, "workers 0-1 (host ", "is gone in step ")
    expect_goes_on_at(run, 0, 4)
    first, second = [one["failed_step"] for one in restarts(run)]
    assert first in (4, 5) and second in (9, 10), restarts(run)  # a report may have died with its worker
    assert [one["epoch"] for one in restarts(run)] == [2, 3], restarts(run)


def a_killed_mpirun_is_replaced(at):
    run = survives(at, "launcher", ["worker1:forward:step6:kill_launcher"])
    expect_goes_on_at(run, 0, 4)


def a_worker_that_hangs_is_named_and_replaced(at):
    """Its heartbeats go on."""
    run = survives(at, "hang", ["worker1:dispatch:step7:hang"], "--set", "elastic.stall_seconds=3",
                   by_deadline=True)
    expect_told(run, "no worker got any further for ", "worker 1 (host ", "stands in step 7, dispatch, layer ",
                "waits for it")


def a_worker_that_is_stopped_for_ever_is_replaced(at):
    run = survives(at, "stopped", ["worker0:combine:step6:stop"], "--set", "elastic.silence_seconds=3",
                   "--set", "elastic.stall_seconds=0", by_deadline=True)
    # The step is that of its last heartbeat, which may be from before it began the sixth.
    expect_told(run, "worker 0 (host ", "(training): it was silent for 3 s")
    assert "is gone in step 6 " in told(run) or "is gone in step 5 " in told(run), told(run)
    # What a stopped process has sent may still need it, to be received: then the other waits in the collective before.
    # Where it stands itself is only known when its last heartbeat came from within the step.
    assert re.search(r"it was silent for 3 s: (worker 0 .* and is silent; )?worker 1 .* (is|stands) in step 6, "
                     r"(dispatch|combine), layer \d+, \w+", told(run)), told(run)


def fewer_workers_go_on_where_all_cannot_be_started(at):
    run = survives(at, "fewer", ["worker0:forward:step6:kill", "worker1:begin:step2:exit", "worker1:begin:step3:exit"])
    expect_told(run, "with 2 workers", "with 1 worker;")
    assert [one["workers"] for one in restarts(run)][-1] == 1, restarts(run)


def what_fails_at_the_same_step_again_and_again_ends(at):
    run = at.start("hopeless", faults=["worker1:backward:step6:kill"], once=False)
    expect(run, 1)
    assert told(run).count("warning: restart ") == 2, told(run)
    expect_told(run, "this was failure 3 without a step after step 5: the run is given up")


def what_workers_call_impossible_is_not_tried_again(at):
    """As values that are not finite, step after step."""
    run = at.start("impossible", faults=["worker1:update:step6:refuse"])
    expect(run, 1)
    assert "restart" not in told(run) and "this run is impossible" in told(run), told(run)


def no_restart_where_none_is_wanted(at):
    run = at.start("none", "--set", "elastic.max_restarts=0", faults=["worker1:backward:step6:kill"])
    expect(run, 1)
    assert "restart" not in told(run), told(run)


def a_request_to_stop_between_two_starts_is_heard(at):
    run = at.start("asked", "--set", "elastic.backoff_seconds=1000", faults=["worker1:backward:step6:kill"], once=False)
    run.wait_for_text("the workers are started again in 1000.0 s")
    send([run.process.pid], signal.SIGTERM)
    expect(run, 75)
    assert "SIGTERM before the workers were started again" in told(run), told(run)


def a_coordinator_that_is_killed_goes_on_by_the_same_command(at):
    faults = ["coordinator:commit:step4:kill", "coordinator:committed:step8:kill", "coordinator:commit:step16:kill"]
    for _ in faults:
        run = at.start("coordinator", faults=faults)
        expect(run, -signal.SIGKILL)
    run = at.start("coordinator", faults=faults)
    expect(run, 0)
    at.expect_same(run)


def what_a_killed_job_left_is_ended_by_the_next_start(at):
    run = at.start("leftover", faults=["worker1:forward:step6:fork", "coordinator:commit:step8:kill"])
    expect(run, -signal.SIGKILL)
    wait_until(lambda: len(processes_of(at, run)) == 1, "all but the leftover to end", 20)
    run = at.start("leftover")
    expect(run, 0)
    assert "of the run's last start, a process was still there: ended" in told(run), told(run)
    assert not processes_of(at, run)
    at.expect_same(run)


def an_intruder_is_turned_away_and_the_run_goes_on(at):
    run = at.start("intruder", "--set", "run.steps=100000", "--set", "checkpoint.every=0")
    run.wait_for_steps(2)
    stray = subprocess.run([at.troupe, "worker", "--run-dir", str(run.folder)], env=environment(), text=True,
                           capture_output=True, timeout=60, check=False)
    assert stray.returncode != 0 and "does not belong to the run's job" in stray.stderr, stray
    seen = run.steps()
    run.wait_for_steps(seen + 5)
    send([run.process.pid], signal.SIGTERM)
    expect(run, 75)
    assert "restart" not in told(run), told(run)
    expect_told(run, "tried to join, but does not belong to the run's job: refused")


def rolled_back(run):
    return [(one["failed_step"], one["epoch"]) for one in restarts(run) if one["rolled_back"]]


def a_run_that_diverges_goes_back_alike_on_every_layout(at):
    """From step 10 on the weights are not finite: after two skipped steps the weights of step 9, of which there is no
    checkpoint, are left for those of step 8, and the batches of steps 9 to 11 are not seen again, also when workers
    are lost before anything was saved with the new ones."""
    options = ["--set", "run.max_skipped_steps=2"]
    one = at.start("diverged-1", *options, "--set", "parallel.backend=inproc", workers=1,
                   faults=["worker0:weights:step10:nan"])
    expect(one, 0)
    two = at.start("diverged-2", *options, faults=["worker1:weights:step10:nan", "worker0:backward:step9:kill",
                                                   "worker1:backward:step14:kill"])
    expect(two, 0)
    assert [step for step, _ in rolled_back(one)] == [step for step, _ in rolled_back(two)] == [11], restarts(two)
    assert len(restarts(two)) == 3, restarts(two)
    for run in (one, two):
        expect_told(run, "roll-back 1 of 3: 2 steps in a row were skipped, up to step 11: not finite: ",
                    "the run goes on at step 8, from ", "the batches up to sequence ")
    assert at.digest(one) == at.digest(two) != at.undisturbed()[0]
    assert metrics(one) == metrics(two)
    assert metrics(one)[:10] == at.undisturbed()[1][:10] and len(metrics(one)) == len(at.undisturbed()[1])


def a_run_that_diverges_again_and_again_ends(at):
    """Fresh batches do not help: the weights break at each start anew."""
    run = at.start("diverging", "--set", "run.max_skipped_steps=2", "--set", "run.max_roll_backs=1", once=False,
                   faults=["worker1:weights:step10:nan"])
    expect(run, 1)
    assert len(rolled_back(run)) == 1, restarts(run)
    expect_told(run, "2 steps in a row were skipped", "it was rolled back 1 time before (run.max_roll_backs)")


def a_disk_that_fills_while_a_save_is_written_costs_that_save(at):
    """In the background, after everything was written: nothing of it stays, and the checkpoint before is gone on from."""
    run = survives(at, "full", ["worker1:shard_synced:step8:full", "worker0:backward:step11:kill"])
    expect_told(run, "the checkpoint of step 8 could not be written: worker 1: a fault: No space left on device",
                "the run goes on at step 4, from ")
    assert not list((run.folder / "checkpoints").glob(".tmp-*"))


def a_resume_passes_over_a_damaged_checkpoint_and_says_why(at):
    run = at.start("damaged", "--set", "run.stop_after=12")
    expect(run, 75)
    newest = run.folder / "checkpoints/step-00000012"
    with (newest / "worker-00001.h5").open("r+b") as file:
        file.seek(5000)
        byte = file.read(1)
        file.seek(5000)
        file.write(bytes([byte[0] ^ 1]))
    run = at.start("damaged")
    expect(run, 0)
    expect_told(run, f"checkpoint {newest} is not used; damaged: ", "worker-00001.h5 was changed")
    assert re.search(r"steps +8 to 16", told(run)), told(run)
    at.expect_same(run)


MEMORY = ["--set", "checkpoint.snapshot_every=2", "--set", "checkpoint.every=100"]


def a_restart_goes_on_from_memory(at):
    """Also with other workers, and when a worker died while it copied."""
    run = survives(at, "memory", ["worker1:backward:step7:kill", "worker0:snapshot:step10:kill",
                                  "worker1:begin:step3:exit", "worker1:begin:step4:exit"], *MEMORY)
    expect_told(run, "the run goes on at step 6, from /dev/shm/troupe-snapshots-",
                "the run goes on at step 8, from /dev/shm/troupe-snapshots-", "with 1 worker;")


def workers_as_threads_go_on_from_memory(at):
    run = survives(at, "memory-threads", ["worker1:backward:step7:kill", "worker0:update:step13:kill"], *MEMORY,
                   "--set", "parallel.backend=inproc")
    expect_told(run, "the run goes on at step 6, from /dev/shm/", "the run goes on at step 12, from /dev/shm/")


def a_coordinator_that_is_killed_goes_on_from_memory(at):
    faults = ["coordinator:commit:step8:kill"]
    options = ["--set", "checkpoint.snapshot_every=1", "--set", "checkpoint.every=8"]
    run = at.start("memory-coordinator", *options, faults=faults)
    expect(run, -signal.SIGKILL)
    run = at.start("memory-coordinator", *options, faults=faults)
    expect(run, 0)
    assert re.search(r"steps +([89]|1[0-6]) to 16 of .* from /dev/shm/", told(run)), told(run)
    at.expect_same(run)


def a_snapshot_that_was_changed_is_not_used(at):
    """Two slots are: the one of step 8 is intact on both workers."""
    run = survives(at, "memory-flip", ["worker1:snapshot_taken:step10:flip", "worker0:update:step11:kill"], *MEMORY)
    expect_told(run, "the run goes on at step 8, from /dev/shm/")
    log = (run.folder / "logs/coordinator.log").read_text()
    assert re.search("the snapshot of step 10 in memory is not used: .*worker-00001-[01]: '.*' was changed", log), log


def numbers_that_one_worker_computes_wrong_are_found_and_it_is_left_out(at):
    run = survives(at, "deviates", ["worker1:weights:step7:flip"], "--set", "elastic.verify_every=1", workers=3)
    expect_told(run, "worker 1 (host ", "in step 7, worker 1 holds other dense parameters than the other workers",
                "with 2 workers;")


def of_two_workers_with_different_numbers_both_are_named(at):
    run = survives(at, "disagree", ["worker1:weights:step7:flip"], "--set", "elastic.verify_every=1", *MEMORY)
    expect_told(run, "in step 7, workers 0, 1 hold other dense parameters", "which of them is right cannot be told",
                "the run goes on at step 6, from /dev/shm/", "with 2 workers;")


def memory_of(run):
    """The folder of a run's snapshots."""
    name = hashlib.sha256(((run / "id").read_text().strip() + str(run)).encode()).hexdigest()[:24]
    return pathlib.Path("/dev/shm") / f"troupe-snapshots-{name}"


def nothing_is_left(at):
    wait_until(lambda: not processes_of(at), "the last process to end", 20)
    files = list((at.work / "tmp").iterdir())
    assert not files, files
    for run in at.work.glob("*/id"):
        assert not memory_of(run.parent).exists(), memory_of(run.parent)
    for log in at.work.glob("*/logs/coordinator.log"):
        for folder in re.findall(r"btl_vader_backing_directory (\S+)", log.read_text()):
            assert not os.path.exists(folder), folder


TESTS = [a_kill_in_every_phase_of_a_step_changes_no_bit, a_kill_in_every_part_of_a_save_changes_no_bit,
         a_kill_before_anything_was_saved_begins_anew, workers_as_threads_are_replaced, a_killed_mpirun_is_replaced,
         a_worker_that_hangs_is_named_and_replaced, a_worker_that_is_stopped_for_ever_is_replaced,
         fewer_workers_go_on_where_all_cannot_be_started, what_fails_at_the_same_step_again_and_again_ends,
         what_workers_call_impossible_is_not_tried_again, no_restart_where_none_is_wanted,
         a_request_to_stop_between_two_starts_is_heard, a_coordinator_that_is_killed_goes_on_by_the_same_command,
         what_a_killed_job_left_is_ended_by_the_next_start, an_intruder_is_turned_away_and_the_run_goes_on,
         a_run_that_diverges_goes_back_alike_on_every_layout, a_run_that_diverges_again_and_again_ends,
         a_disk_that_fills_while_a_save_is_written_costs_that_save,
         a_resume_passes_over_a_damaged_checkpoint_and_says_why, a_restart_goes_on_from_memory, workers_as_threads_go_on_from_memory,
         a_coordinator_that_is_killed_goes_on_from_memory, a_snapshot_that_was_changed_is_not_used,
         numbers_that_one_worker_computes_wrong_are_found_and_it_is_left_out,
         of_two_workers_with_different_numbers_both_are_named]


def main():
    troupe, source, *names = sys.argv[1:]
    work = pathlib.Path(tempfile.mkdtemp(prefix="troupe-fault-"))
    (work / "tmp").mkdir()
    os.environ["TMPDIR"] = str(work / "tmp")
    troupe = os.path.abspath(troupe)
    os.chdir(source)
    at = Situation(troupe, work)
    return run_tests(TESTS, names, work, at, nothing_is_left)


if __name__ == "__main__":
    sys.exit(main())
