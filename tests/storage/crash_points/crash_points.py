#!/usr/bin/env python3
"""Kills a commit of a checkpoint at its system calls, lets them fail, and loses writes that no fsync covers; what a run
finds afterwards must be the old checkpoint or the new one, whole, and after the commit has returned the new one.
Usage: crash_points.py CRASH_SUBJECT [--kills N] [--errors N] [--states N] [--seed S]    (N: at most so many; 0: every
kill, no error, no state)"""
import argparse
import collections
import hashlib
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lost_writes import Recorder, materialize  # noqa: E402

SKIPPED = 77
SCENARIOS = ("first", "next", "again")
TRACED = "%file,%desc"
BATCH = 200
ERRORS = ("ENOSPC", "EIO")
MAY_FAIL = re.compile(r"p?(write|read)v?(64)?|openat|open|mkdir(at)?|rename(at2?)?|f?truncate|fallocate|f(data)?sync|close")
DRAWS_A_STATE = 10  # most are a disk that was seen before


def before(scenario):
    return "none" if scenario == "first" else "old"


class Subject:
    def __init__(self, program, work):
        self.program, self.work = program, work
        self.made = self.drawn = 0

    def prepared(self, scenario, workers):
        self.made += 1
        store = self.work / f"store-{self.made}"
        store.mkdir()
        subprocess.run([self.program, "prepare", store, scenario, str(workers)], check=True)
        return store

    def trace(self, store, scenario, workers):
        """Every call of a commit, whole."""
        log = self.work / "trace"
        subprocess.run(["strace", "-f", "-qq", "-xx", "-s", str(1 << 24), "-o", log, "-e", f"trace={TRACED}", self.program,
                        "commit", store, scenario, str(workers)], check=True)
        lines = log.read_text().splitlines()
        log.unlink()
        return lines

    def found(self, stores):
        """What a run would go on from, for each."""
        answers = subprocess.run([self.program, "check"], input="".join(f"{store}\n" for store in stores), text=True,
                                 capture_output=True, check=True).stdout.splitlines()
        assert len(answers) == len(stores), answers
        return answers


def marks(lines):
    """Where the commit begins, where it has returned, and where all is over."""
    names = ["/mark/begin", "/mark/committed", "/mark/end"]
    hexadecimal = ["".join(f"\\x{byte:02x}" for byte in name.encode()) for name in names]
    return [next(at for at, line in enumerate(lines) if text in line) for text in hexadecimal]


# ---- kills ---------------------------------------------------------------------------------------


def places(lines):
    """(call, how many times it came before, whether the commit had returned) of every call that could be the last."""
    begin, committed, end = marks(lines)
    counts, found = collections.Counter(), []
    for at, line in enumerate(lines[:end]):
        match = re.match(r"^(?:\d+ +)?(\w+)\(", line)
        if not match:
            continue
        counts[match[1]] += 1
        if at > begin:
            found.append((match[1], counts[match[1]], at > committed))
    return found


def struck_at(subject, place, what):
    """The store after a commit one of whose calls is struck, and whether that commit said that it was well."""
    scenario, workers, call, number = place[:4]
    store = subject.prepared(scenario, workers)
    struck = subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e",
                             f"inject={call}:{what}:when={number}", subject.program, "commit", store, scenario,
                             str(workers)], capture_output=True, check=False)
    return store, struck.returncode == 0


def kill_at(subject, place):
    store, survived = struck_at(subject, place, "signal=KILL")
    assert not survived, f"{place} was not reached"
    return store


def places_of_all(subject):
    all_places = []
    for scenario in SCENARIOS:
        for workers in (1, 2, 3, 4):
            store = subject.prepared(scenario, workers)
            all_places += [(scenario, workers, *place) for place in places(subject.trace(store, scenario, workers))]
            shutil.rmtree(store)
    return all_places


def fail_anywhere(subject, chance, most):
    """A full disk, or a broken one: what a commit that says that it was well has written is the new checkpoint."""
    all_places = [place for place in places_of_all(subject) if MAY_FAIL.fullmatch(place[2])]
    chosen = [(*place, chance.choice(ERRORS)) for place in chance.sample(all_places, min(most, len(all_places)))]
    bad, found = [], collections.Counter()
    for begin in range(0, len(chosen), BATCH):
        batch = chosen[begin:begin + BATCH]
        stores = [struck_at(subject, place, f"error={place[-1]}") for place in batch]
        for place, (_, well), answer in zip(batch, stores, subject.found([store for store, _ in stores])):
            found[answer, "said well" if well else "failed"] += 1
            if answer not in (("new",) if well or place[4] else (before(place[0]), "new")):
                bad.append(f"{place}, {'said well' if well else 'failed'}: {answer}")
        for store, _ in stores:
            shutil.rmtree(store)
    print(f"{len(chosen)} commits with a call that failed, at {len(all_places)} places in all: "
          f"{ {' and '.join(kind): count for kind, count in found.items()} }")
    return bad


def kill_everywhere(subject, chance, most):
    all_places = places_of_all(subject)
    chosen = all_places if most == 0 else sorted(chance.sample(all_places, min(most, len(all_places))))
    bad, found = [], collections.Counter()
    for begin in range(0, len(chosen), BATCH):
        batch = chosen[begin:begin + BATCH]
        stores = [kill_at(subject, place) for place in batch]
        for place, answer in zip(batch, subject.found(stores)):
            scenario, _, _, _, returned = place
            found[answer] += 1
            if answer not in (("new",) if returned else (before(scenario), "new")):
                bad.append(f"killed at {place}: {answer}")
        for store in stores:
            shutil.rmtree(store)
    print(f"{len(chosen)} commits killed, at {len(all_places)} places in all: {dict(found)}")
    return bad


# ---- lost writes ---------------------------------------------------------------------------------


def states(subject, scenario, workers, chance, wanted):
    """(tree, whether the commit had returned) after every call, as the disk may hold them; each once, about `wanted`."""
    store = subject.prepared(scenario, workers)
    recorder, foreseen = Recorder(store), Recorder(store)
    lines = subject.trace(store, scenario, workers)
    begin, committed, end = marks(lines)
    moments = {at for at in range(end) if foreseen.follow(lines[at]) or at == committed} - set(range(begin))
    draws = max(2, DRAWS_A_STATE * wanted // len(moments))
    seen = set()
    for at in range(end):
        recorder.follow(lines[at])
        if at not in moments:
            continue
        for number in range(draws):
            subject.drawn += 1
            tree = recorder.survivors(chance if number > 0 else None)
            key = (hashlib.sha256(repr(tree).encode()).digest(), at >= committed)
            if key not in seen:
                seen.add(key)
                yield tree, at >= committed
    shutil.rmtree(store)


def lose_writes(subject, chance, most):
    cases = [(scenario, workers) for scenario in SCENARIOS for workers in (1, 2, 3, 5)]
    bad, found, count = [], collections.Counter(), 0

    def look(batch):
        stores = []
        for number, (_, tree, _) in enumerate(batch):
            stores.append(subject.work / f"state-{number}")
            materialize(tree, stores[-1])
        for (scenario, _, returned), answer in zip(batch, subject.found(stores)):
            found[answer] += 1
            if answer not in (("new",) if returned else (before(scenario), "new")):
                bad.append(f"{scenario}, {'after' if returned else 'before'} the commit returned: {answer}")
        for store in stores:
            shutil.rmtree(store)

    for scenario, workers in cases:
        batch = []
        for tree, returned in states(subject, scenario, workers, chance, most // len(cases)):
            batch.append((scenario, tree, returned))
            count += 1
            if len(batch) == BATCH:
                look(batch)
                batch = []
        look(batch)
    print(f"{subject.drawn} crashes that lost unsynced writes, {count} different disks after them: {dict(found)}")
    return bad


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("subject")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--errors", type=int, default=0)
    parser.add_argument("--states", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if shutil.which("strace") is None:
        print("SKIPPED: strace is not here; apt-get install strace")
        return SKIPPED
    if subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode != 0:
        print("SKIPPED: strace may not trace here (ptrace is refused)")
        return SKIPPED
    work = pathlib.Path(tempfile.mkdtemp(prefix="troupe-crash-"))
    try:
        subject = Subject(str(pathlib.Path(arguments.subject).resolve()), work)
        chance = random.Random(arguments.seed)
        bad = kill_everywhere(subject, chance, arguments.kills)
        if arguments.errors > 0:
            bad += fail_anywhere(subject, chance, arguments.errors)
        if arguments.states > 0:
            bad += lose_writes(subject, chance, arguments.states)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    for problem in bad[:20]:
        print("FAILED:", problem)
    print(f"{len(bad)} bad, seed {arguments.seed}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
