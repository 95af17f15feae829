"""What the tests of signals know of running processes: /proc, and runs of the program."""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

STOP_SIGNALS = [signal.SIGHUP, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM, signal.SIGXCPU]
FAULTS = sum(1 << (number - 1) for number in (
    signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGSYS, signal.SIGABRT))


def environment():
    result = dict(os.environ, NO_COLOR="1")
    if os.geteuid() == 0:
        result.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    return result


def descendants(root):
    """Process ids below a process, itself first."""
    children = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
        except OSError:
            continue  # gone
        children.setdefault(int(stat.rsplit(")", 1)[1].split()[1]), []).append(int(entry.name))
    found = [root]
    for process in found:
        found.extend(children.get(process, []))
    return found


def is_program(process, name):
    try:
        return pathlib.Path(f"/proc/{process}/exe").readlink().name == name
    except OSError:
        return False


def masks(status):
    return {key: int(value, 16) for key, value in re.findall(r"^(Sig\w+):\s*([0-9a-f]{16})$", status, re.M)}


def interruptible(process):
    """Threads of a process that a handler could interrupt, as text; those that have no handler cannot be."""
    found = []
    for task in pathlib.Path(f"/proc/{process}/task").iterdir():
        status = (task / "status").read_text()
        open_handlers = masks(status)["SigCgt"] & ~masks(status)["SigBlk"] & ~FAULTS
        if open_handlers & 0x7FFFFFFF:  # those above are the C library's own
            found.append(f"thread {task.name} of {process}: {open_handlers:#x}")
    return found


def listening(process):
    """Addresses at which a process waits for TCP connections."""
    inodes = set()
    for entry in pathlib.Path(f"/proc/{process}/fd").iterdir():
        try:
            inodes.update(re.findall(r"^socket:\[(\d+)\]$", str(entry.readlink())))
        except OSError:
            pass  # closed meanwhile
    found = set()
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in pathlib.Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] != "0A" or fields[9] not in inodes:
                continue
            words = bytes.fromhex(fields[1].split(":")[0])
            address = b"".join(words[at:at + 4][::-1] for at in range(0, len(words), 4))
            found.add(socket.inet_ntop(family, address))
    return found


def send(processes, number):
    for process in processes:
        try:
            os.kill(process, number)
        except ProcessLookupError:
            pass


def wait_until(condition, what, limit=90):
    """The only clock of these tests: how long a hang takes to be called one."""
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {limit} s for {what}")
        time.sleep(0.002)


class Run:
    """A training run in the background."""

    def __init__(self, troupe, folder, arguments, launcher=(), stdout=None):
        self.folder = pathlib.Path(folder)
        self.log = self.folder.with_suffix(".log")
        self.output = self.log.open("wb")
        self.process = subprocess.Popen(
            [*launcher, troupe, "train", *arguments, "--run-dir", str(folder)], stdout=stdout or self.output,
            stderr=self.output, stdin=subprocess.DEVNULL, env=environment(), start_new_session=True)

    def steps(self):
        try:
            return (self.folder / "metrics.jsonl").read_bytes().count(b"\n")
        except FileNotFoundError:
            return 0

    def wait_for(self, condition, what):
        wait_until(lambda: condition() or self.process.poll() is not None, f"{what} of {self.folder}")
        if not condition():
            raise AssertionError(f"{self.folder} ended before {what}: {self.text()}")

    def wait_for_steps(self, steps):
        self.wait_for(lambda: self.steps() >= steps, f"step {steps}")

    def wait_for_text(self, text):
        self.wait_for(lambda: text in self.text(), f"'{text}'")

    def members(self):
        return descendants(self.process.pid)

    def programs(self, troupe):
        """Every process of the program itself; in supervised mode the first is the coordinator."""
        name = pathlib.Path(troupe).resolve().name
        return [process for process in self.members() if is_program(process, name)]

    def end(self, limit=90):
        """Its exit code."""
        try:
            return self.process.wait(limit)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.folder} did not end: {self.text()}") from None

    def text(self):
        self.output.flush()
        return self.log.read_text(errors="replace")[-4000:]

    def kill(self):
        send(reversed(self.members()), signal.SIGKILL)
        self.process.wait()


def run_tests(tests, names, work, at, nothing_is_left):
    """Those of `names`, or all, each followed by nothing_is_left(at); says how each ended, and ends what is left of
    them. The exit status."""
    failures = 0
    try:
        for test in tests:
            if names and test.__name__ not in names:
                continue
            try:
                test(at)
                nothing_is_left(at)
                print("ok:", test.__name__, flush=True)
            except AssertionError as failure:
                failures += 1
                print("FAILED:", test.__name__, failure, flush=True)
    finally:
        for process in descendants(os.getpid())[1:]:
            send([process], signal.SIGKILL)
        shutil.rmtree(work)
    return 1 if failures else 0
