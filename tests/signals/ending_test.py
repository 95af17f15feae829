#!/usr/bin/env python3
"""How the program ends: a pipe that closes, output that cannot be written, a signal before and after its time,
workers that fail; and what it shows and leaves behind. Usage: ending_test.py TROUPE SOURCE_DIR MPIRUN"""
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

from processes import Run, environment, is_program, listening, run_tests, send

HANG = 25  # seconds; what this is about took 31


class Situation:
    def __init__(self, troupe, mpirun, work):
        self.troupe, self.work = troupe, work
        self.tiny = ["configs/tiny.yaml", "--set", "run.steps=100000",
                     "--set", "checkpoint.every=0"]
        self.mpirun = [mpirun, "--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1", "-n", "3"]

    def start(self, name, *arguments, launcher=(), **streams):
        return Run(self.troupe, self.work / name, [*self.tiny, *arguments], launcher=launcher, **streams)

    def quick(self, *arguments, **streams):
        return subprocess.run([self.troupe, *arguments], env=environment(), capture_output=not streams, text=True,
                              timeout=60, **streams)


def saved(run):
    return sorted(path.name for path in (run.folder / "checkpoints").glob("step-*"))


def expect(run, code, **limits):
    ended = run.end(**limits)
    assert ended == code, f"exit {ended}, not {code}: {run.text()}"


def a_closed_pipe_saves(at):
    """… | head -1, and … | tee whose tee dies of the same Ctrl-C."""
    reader, writer = os.pipe()
    run = at.start("pipe", "--set", "parallel.backend=inproc", stdout=writer)
    os.close(writer)
    run.wait_for_steps(2)
    os.close(reader)
    expect(run, 75)
    assert len(saved(run)) == 1, run.text()
    assert "the output cannot be written any more: Broken pipe" in run.text()


def ctrl_c_while_the_pipe_closes_saves(at):
    reader, writer = os.pipe()
    run = at.start("tee", stdout=writer)
    os.close(writer)
    run.wait_for_steps(2)
    os.close(reader)
    send([run.process.pid], signal.SIGINT)
    expect(run, 75)
    assert len(saved(run)) == 1, run.text()


def a_full_device_costs_only_the_text(at):
    with open("/dev/full", "w", encoding="utf-8") as full:
        run = at.start("full", "--set", "run.steps=12", "--set", "checkpoint.every=10",
                       "--set", "parallel.backend=inproc", stdout=full)
        expect(run, 0)
    assert saved(run) == ["step-00000010", "step-00000012"]
    for place in (run.text(), (run.folder / "logs/coordinator.log").read_text()):
        assert "No space left on device" in place, place


def a_closed_stdout_takes_no_files_place(at):
    run = at.start("closed", "--set", "parallel.backend=inproc", launcher=["sh", "-c", 'exec "$@" >&-', "sh"])
    run.wait_for_steps(2)
    stdout = pathlib.Path(f"/proc/{run.process.pid}/fd/1").readlink()
    send([run.process.pid], signal.SIGTERM)
    expect(run, 75)
    assert str(stdout) == "/dev/null", f"{stdout} has the number of stdout, and gets its text"
    for line in (run.folder / "metrics.jsonl").read_text().splitlines():
        assert line.startswith("{"), line


def output_that_is_lost_is_an_error(at):
    with open("/dev/full", "w", encoding="utf-8") as full:
        result = at.quick("config", stdout=full, stderr=subprocess.PIPE)
    assert result.returncode == 1 and "No space left on device" in result.stderr, result
    closed = subprocess.run(["sh", "-c", f'"{at.troupe}" config >&-'], capture_output=True, text=True, check=False)
    assert closed.returncode == 1 and "cannot be written" in closed.stderr, closed
    piped = subprocess.run(["bash", "-c", f'"{at.troupe}" config | true; exit ${{PIPESTATUS[0]}}'],
                           capture_output=True, text=True, check=False)
    assert piped.returncode in (0, 141) and not piped.stderr, piped  # 0: all of it fitted into the pipe


def a_signal_before_the_workers_join_ends_at_once(at):
    for number in (signal.SIGTERM, signal.SIGUSR1):
        run = at.start(f"early-{number}", "--set", "launch.mpirun_args=[-x, A=1]")
        run.wait_for(lambda: (run.folder / "contact.json").exists(), "the coordinator")
        send([run.process.pid], number)
        expect(run, 75, limit=HANG)
        assert not saved(run)


def a_second_ctrl_c_ends_without_waiting(at):
    # A step of minutes.
    run = at.start("impatient", "--set", "batch.sequences=240000", "--set", "parallel.backend=inproc")
    run.wait_for_text("training begins")
    while run.process.poll() is None:
        send([run.process.pid], signal.SIGINT)
        try:
            run.process.wait(0.05)
        except subprocess.TimeoutExpired:
            pass
    expect(run, 130)


def a_broken_worker_has_the_last_word(at):
    for mode in ("mpi", "inproc"):
        run = at.start(f"broken-{mode}", "--set", f"parallel.backend={mode}", "--set", "elastic.max_restarts=0")
        run.wait_for_steps(2)
        worker = run.programs(at.troupe)[-1]
        send([worker], signal.SIGSEGV)
        expect(run, 1, limit=HANG)
        assert "is gone in step" in run.text(), run.text()
        assert "troupe: segmentation fault" in run.text(), run.text()
        assert "mpirun noticed" not in run.text() and "Backtrace" not in run.text(), run.text()
        assert "failed at step 0" not in run.text(), run.text()
        assert "exit code 1 at step" in (run.folder / "logs/coordinator.log").read_text()


def classic_exit_codes_are_the_documented_ones(at):
    wrong = at.start("wrong", "--set", "model.moe.top_k=1000", launcher=at.mpirun)
    expect(wrong, 2)
    run = at.start("classic-broken", launcher=at.mpirun)
    run.wait_for_steps(2)
    send([run.programs(at.troupe)[-1]], signal.SIGKILL)
    assert run.end() in (1, 137), run.text()  # mpirun may be first
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        run = at.start(f"classic-{number}", launcher=at.mpirun)
        run.wait_for_steps(2)
        send([run.process.pid], number)  # mpirun passes these on
        expect(run, 75)
        assert len(saved(run)) == 1, run.text()


def classic_sigterm_saves_however_long_a_step_takes(at):
    """mpirun's own exit code is 1 then, whatever the ranks say."""
    for name, everything in (("one", False), ("all", True)):
        run = at.start(f"classic-term-{name}", "--set", "batch.sequences=6000", launcher=at.mpirun)
        run.wait_for_text("training begins")
        send(run.members() if everything else [run.process.pid], signal.SIGTERM)
        expect(run, 1)
        assert len(saved(run)) == 1, run.text()
        assert "exit code 75 at step 1" in (run.folder / "logs/coordinator.log").read_text(), run.text()


def a_job_on_one_machine_listens_on_loopback_only(at):
    run = at.start("ports")
    run.wait_for_steps(1)
    addresses = {address for process in run.members() for address in listening(process)}
    send([run.process.pid], signal.SIGTERM)
    expect(run, 75)
    assert addresses, "the coordinator listens at least"
    assert addresses <= {"127.0.0.1", "::1"}, addresses


def nothing_is_left(at, before):
    left = [process for process in map(int, filter(str.isdigit, os.listdir("/proc")))
            if process not in before and is_program(process, pathlib.Path(at.troupe).resolve().name)
            and str(at.work) in pathlib.Path(f"/proc/{process}/cmdline").read_text(errors="replace")]
    assert not left, left


TESTS = [a_closed_pipe_saves, ctrl_c_while_the_pipe_closes_saves, a_full_device_costs_only_the_text,
         a_closed_stdout_takes_no_files_place, output_that_is_lost_is_an_error,
         a_signal_before_the_workers_join_ends_at_once, a_second_ctrl_c_ends_without_waiting,
         a_broken_worker_has_the_last_word, classic_exit_codes_are_the_documented_ones,
         classic_sigterm_saves_however_long_a_step_takes, a_job_on_one_machine_listens_on_loopback_only]


def main():
    troupe, source, mpirun, *names = sys.argv[1:]
    work = pathlib.Path(tempfile.mkdtemp(prefix="troupe-ending-"))
    troupe = os.path.abspath(troupe)
    os.chdir(source)
    at = Situation(troupe, mpirun, work)
    before = set(map(int, filter(str.isdigit, os.listdir("/proc"))))
    return run_tests(TESTS, names, work, at, lambda at: nothing_is_left(at, before))


if __name__ == "__main__":
    sys.exit(main())
