#!/usr/bin/env python3
"""What docs/reliability.md has figures of, beside the campaigns of kills and partitions:
  layouts      a run that is stopped and goes on with other workers, all ordered pairs of 1, 2, 3, 4 and 8
  damage       checkpoints with a flipped bit, a shard that is cut off, gone, or another's: each resume passes over it
  frozen       workers that stop for ever at random places of a step: each is named, with where the other waits for it,
               which is the collective before where what was sent still needs the stopped process, to be received
  configs      configurations with random mistakes: each is read or refused, within a second and 64 MiB
  connections  the page with 1000 connections that send their request byte by byte, and readers that never read
Usage: scripts/reliability_measures.sh layouts|damage|frozen|configs|connections [--count N] [--seed S]"""
import argparse
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from fault_test import Situation, expect, told  # noqa: E402
from processes import descendants, send  # noqa: E402

WORKERS = [1, 2, 3, 4, 8]
INPROC = ["--set", "parallel.backend=inproc"]


class Check(Situation):
    """Runs of six steps, with threads as workers."""

    def __init__(self, troupe, work):
        super().__init__(troupe, work)
        self.config += [*INPROC, "--set", "run.steps=6", "--set", "checkpoint.every=2", "--set", "checkpoint.keep=9",
                        "--set", "parallel.threads=1"]

    def stopped(self, name, workers, step):
        run = self.start(name, "--set", f"run.stop_after={step}", workers=workers)
        expect(run, 75)
        return run.folder

    def go_on(self, name, folder, workers):
        shutil.rmtree(self.work / name, ignore_errors=True)
        shutil.copytree(folder, self.work / name)
        run = self.start(name, workers=workers)
        expect(run, 0)
        return run


def layouts(at, _):
    """The digests, and every loss, of all pairs."""
    pairs = 0
    for before in WORKERS:
        folder = at.stopped(f"from-{before}", before, 3)
        for after in WORKERS:
            at.expect_same(at.go_on("pair", folder, after))
            pairs += before != after
    print(f"{pairs} ordered pairs of {WORKERS} workers: every digest and loss that of the undisturbed run")


def flip(folder, numbers):
    path = numbers.choice(sorted(folder.iterdir()))
    with path.open("r+b") as file:
        at = numbers.randrange(path.stat().st_size)
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1 << numbers.randrange(8)]))


def shards(folder):
    return sorted(folder.glob("worker-*.h5"))


def truncate(folder, numbers):
    path = numbers.choice(sorted(folder.iterdir()))
    os.truncate(path, numbers.randrange(path.stat().st_size))


def swap(folder, numbers):
    one, two = numbers.sample(shards(folder), 2)
    one.rename(folder / "x")
    two.rename(one)
    (folder / "x").rename(two)


def take_older(folder, numbers):
    path = numbers.choice(shards(folder))
    shutil.copyfile(folder.parent / "step-00000002" / path.name, path)


def lose(folder, numbers):
    numbers.choice(sorted(folder.iterdir())).unlink()


DAMAGES = {"bit flipped": flip, "file cut off": truncate, "two shards swapped": swap,
           "shard of an older checkpoint": take_older, "file missing": lose}


def damage(at, arguments):
    numbers = random.Random(arguments.seed)
    folder = at.stopped("whole", 3, 4)
    counts = dict.fromkeys(DAMAGES, 0)
    for number in range(arguments.count):
        kind = list(DAMAGES)[number % len(DAMAGES)]
        shutil.rmtree(at.work / "damaged", ignore_errors=True)
        shutil.copytree(folder, at.work / "damaged")
        DAMAGES[kind](at.work / "damaged/checkpoints/step-00000004", numbers)
        verified = subprocess.run([at.troupe, "checkpoint", "verify", str(at.work / "damaged")], capture_output=True,
                                  check=False)
        assert verified.returncode == 1, f"{kind}: verify says {verified}"
        run = at.start("damaged", workers=numbers.choice([1, 3]))
        expect(run, 0)
        assert "checkpoint" in told(run) and "step-00000004 is not used; damaged: " in told(run), f"{kind}: {told(run)}"
        assert re.search(r"steps +2 to 6", told(run)), told(run)
        at.expect_same(run)
        counts[kind] += 1
    for kind, count in counts.items():
        print(f"{count:5}  {kind}")
    print(f"{sum(counts.values())} of {arguments.count} damages found by verify and by the resume, which went on from the "
          f"checkpoint before, to the undisturbed digest; seed {arguments.seed}")


WAITED_FOR = ["dispatch", "combine", "reduce"]  # phases that begin after work of one's own, and wait for all
FREEZES_A_RUN = 5


def frozen(at, arguments):
    """Of two real processes."""
    numbers, seen, seed = random.Random(arguments.seed), 0, arguments.seed
    named = same_phase = 0
    at.config += ["--set", "run.steps=16", "--set", "parallel.backend=mpi", "--set", "elastic.silence_seconds=2",
                  "--set", "elastic.max_restarts=1000"]
    while seen < arguments.count:
        stops = [(numbers.randrange(2), numbers.choice(WAITED_FOR), step)
                 for step in sorted(numbers.sample(range(2, 16), FREEZES_A_RUN))]
        run = at.start(f"frozen-{seed}", faults=[f"worker{rank}:{phase}:step{step}:stop" for rank, phase, step in stops])
        expect(run, 0, 600)
        for rank, phase, step in stops:  # of its last heartbeat, which may be from before it began the step
            said = re.search(rf"error: worker {rank} \(.* is gone in step ({step}|{step - 1}) .*: it was silent for 2 s: worker "
                             rf"{rank} .* and is silent; worker {1 - rank} .* is in step \d+, (\w+).* and waits for it", told(run))
            named += bool(said)
            same_phase += said is not None and said[2] == phase
        seen += len(stops)
        seed += 1
        at.expect_same(run)
    print(f"{named} of {seen} frozen workers named, with where the other waits; in the phase in which it stopped: {same_phase}; "
          f"seeds {arguments.seed} to {seed - 1}")


HOSTILE = ["9" * 30, "-1", "0", "1e999", ".nan", "-.inf", "[" * 200, "{" * 200, "\x00", "\xff", "&a [*a]", "!!binary x", "'",
           '"', "null", "~", "1_000", "0x7fffffffffffffff", "9223372036854775807", "a: b: c", "\t", "- " * 300, "x" * 5000,
           "run: {}\n", "<<: *x", "../" * 40, "%s%n", "{{{}}}", "true"]


def mutate(texts, numbers):
    """One to four mistakes in one of the configurations."""
    text = numbers.choice(texts)
    for _ in range(numbers.randrange(1, 5)):
        at, more = numbers.randrange(len(text) + 1), numbers.randrange(1, 40)
        kind = numbers.randrange(7)
        if kind == 0:
            text = text[:at] + text[at + more:]
        elif kind == 1:
            text = text[:at] + numbers.choice(HOSTILE) + text[at:]
        elif kind == 2:
            text = text[:at] + chr(numbers.randrange(256)) + text[at + 1:]
        elif kind == 3:  # another value
            places = list(re.finditer(r"[-\w.]+(?=[,}\n])", text))
            if places:
                place = numbers.choice(places)
                text = text[:place.start()] + numbers.choice(HOSTILE) + text[place.end():]
        elif kind == 4:  # another key
            places = list(re.finditer(r"\w+(?=:)", text))
            if places:
                place = numbers.choice(places)
                text = text[:place.start()] + numbers.choice(places).group() + text[place.end():]
        elif kind == 5:
            lines = text.splitlines(keepends=True)
            numbers.shuffle(lines)
            text = "".join(lines)
        else:
            other = numbers.choice(texts)
            text = text[:at] + other[numbers.randrange(len(other)):]
    return text


def run_measured(command):
    """Exit code (negative: the signal), what it printed, seconds, KiB."""
    begun = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        took = time.monotonic() - begun
        output.seek(0)
        return process.returncode, output.read().decode(errors="replace"), took, usage


def configs(at, arguments):
    numbers = random.Random(arguments.seed)
    texts = [path.read_text() for path in sorted(pathlib.Path("configs").glob("*.yaml"))]
    path, codes, seconds, processor, kilobytes = at.work / "mutated.yaml", {}, [], [], []
    for number in range(arguments.count):
        path.write_bytes(mutate(texts, numbers).encode("latin-1", errors="replace"))
        code, text, took, usage = run_measured([at.troupe, "validate", "--no-corpus", str(path)])
        codes[code] = codes.get(code, 0) + 1
        seconds.append(took)
        processor.append(usage.ru_utime + usage.ru_stime)
        kilobytes.append(usage.ru_maxrss)
        if code not in (0, 2) or (code == 2 and str(path) not in text) or processor[-1] > 1 or kilobytes[-1] > 64 << 10:
            shutil.copyfile(path, f"/tmp/troupe-config-{arguments.seed}-{number}.yaml")
            raise AssertionError(f"{number}: exit {code} after {took:.2f} s with {kilobytes[-1]} KiB: {text[-2000:]}")
    print(f"{arguments.count} configurations, seed {arguments.seed}: exit codes {codes}; at most {max(seconds):.2f} s, "
          f"{max(processor):.3f} s of processor time (median {statistics.median(processor):.3f} s), "
          f"{max(kilobytes) / 1024:.1f} MiB")


class Lorises:
    """Connections that send a request byte by byte, and are there again when they are closed; and such that ask for the
    page, or its events, and never read."""

    def __init__(self, port, count):
        self.port, self.count, self.over, self.opened = port, count, threading.Event(), 0
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def open(self, number):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.settimeout(0.2)
        try:
            connection.connect(("127.0.0.1", self.port))
            self.opened += 1
            paths = {0: "/", 1: "/api/events"}
            path = paths.get(number % 10)
            if path:
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            return connection, path is not None
        except OSError:
            connection.close()
            return None

    def run(self):
        """All of them say a byte once a second."""
        connections = [None] * self.count
        while not self.over.is_set():
            begun = time.monotonic()
            for number in range(self.count):
                if self.over.is_set():
                    break
                if connections[number] is None:
                    connections[number] = self.open(number)
                    continue
                connection, is_stuck = connections[number]
                try:
                    if not is_stuck:
                        connection.send(b"G")
                except OSError:
                    connection.close()
                    connections[number] = None
            self.over.wait(max(0.0, 1 - (time.monotonic() - begun)))
        for entry in filter(None, connections):
            entry[0].close()

    def end(self):
        self.over.set()
        self.thread.join()


def processor_seconds(process):
    fields = pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def answered(port):
    """Milliseconds."""
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(b"GET /api/state HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200"), answer
        return 1000 * (time.monotonic() - begun)


def connections(at, arguments):
    """Turns with and without them. Who opens them takes processor time from the steps, too, where it is the same
    machine; what answering them takes is the coordinator's."""
    run = at.start("page", "--set", "run.steps=1000000", "--set", "checkpoint.every=0", "--set", "dashboard.enabled=true",
                   "--set", "dashboard.port=0", "--set", "evaluation.every=0")
    run.wait_for_text("dashboard")
    port = int(re.search(r"dashboard +http://127.0.0.1:(\d+)", told(run))[1])
    run.wait_for_steps(20)
    waits, spans, opened, spent = {False: [], True: []}, [], 0, {False: 0.0, True: 0.0}
    for turn in range(arguments.count):
        attacked = turn % 2 == 1
        lorises = Lorises(port, 1000) if attacked else None
        time.sleep(1)
        begun, before = time.time(), processor_seconds(run.process.pid)
        for _ in range(50):
            waits[attacked].append(answered(port))
            time.sleep(0.1)
        spans.append((attacked, begun, time.time()))
        spent[attacked] += processor_seconds(run.process.pid) - before
        if lorises:
            lorises.end()
            opened += lorises.opened
        time.sleep(1)
    send([run.process.pid], signal.SIGTERM)
    expect(run, 75)
    times = [json.loads(line)["time"] for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    steps = {False: [], True: []}
    for attacked, begun, ended in spans:
        inside = [moment for moment in times if begun <= moment <= ended]
        steps[attacked] += [later - earlier for earlier, later in zip(inside, inside[1:])]
    without, with_them = (statistics.median(steps[attacked]) for attacked in (False, True))
    print(f"steps: median {1000 * without:.2f} ms without ({len(steps[False])}), {1000 * with_them:.2f} ms with 1000 "
          f"connections ({len(steps[True])}), which came back {opened} times: {100 * (with_them / without - 1):+.1f} %")
    for attacked, name in ((False, "without"), (True, "with")):
        lasted = sum(ended - begun for kind, begun, ended in spans if kind == attacked)
        print(f"the coordinator {name} them: {100 * spent[attacked] / lasted:.2f} % of a core")
        ordered = sorted(waits[attacked])
        print(f"a client {name} them: {len(ordered)} answers, median {ordered[len(ordered) // 2]:.1f} ms, "
              f"p99 {ordered[int(0.99 * len(ordered))]:.1f} ms, most {ordered[-1]:.1f} ms")


MEASURES = {"layouts": (layouts, 0), "damage": (damage, 100), "frozen": (frozen, 100), "configs": (configs, 10000), "connections": (connections, 20)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("troupe")
    parser.add_argument("source")
    parser.add_argument("measure", choices=MEASURES)
    parser.add_argument("--count", type=int)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    measure, count = MEASURES[arguments.measure]
    arguments.count = count if arguments.count is None else arguments.count
    work = pathlib.Path(tempfile.mkdtemp(prefix="troupe-measures-"))
    troupe = os.path.abspath(arguments.troupe)
    os.chdir(arguments.source)
    try:
        measure(Check(troupe, work), arguments)
    finally:
        for process in descendants(os.getpid())[1:]:
            send([process], signal.SIGKILL)
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
