#!/usr/bin/env python3
"""Trains every setting of a list with every seed, and keeps one JSON line per run.

    benchmarks/balancing/study.py benchmarks/balancing/frontier.json runs/balancing --seeds 1 2
    benchmarks/balancing/summarize.py runs/balancing

Runs of one seed have the same data and initial weights. Runs that finished are skipped, so a study may be
interrupted, and continued with more seeds or settings. A setting that `troupe validate` refuses is recorded with
its reason. Run from the repository, after building ($TROUPE names another program); the configuration names its corpus,
which `troupe data prepare` makes.

A list has: "config", a run configuration; "set", --set values for all runs (optional); and "settings", or "product":
lists of settings, of which every combination is a run. A setting has a name and its --set values.
"""
import argparse
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

PROGRAM = os.environ.get("TROUPE", "build/release/bin/troupe")


def settings_of(study):
    """[(name, --set values)], in the order of the list."""
    columns = study.get("product") or [study["settings"]]
    return [
        (" + ".join(part["name"] for part in parts), [value for part in parts for value in part["set"]])
        for parts in itertools.product(*columns)
    ]


def read_results(folder):
    path = folder / "results.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def key_of(run):
    return json.dumps([run["setting"], run["seed"], run["config"], run["set"]])


def planned_runs(study, seeds, more):
    """Seed by seed, so that an interrupted study is a whole one of fewer seeds."""
    return [
        {
            "setting": name,
            "seed": seed,
            "config": study["config"],
            "set": study.get("set", []) + values + more + [f"run.seed={seed}"],
        }
        for seed in seeds
        for name, values in settings_of(study)
    ]


def troupe(command, run, *arguments):
    sets = [word for value in run["set"] for word in ("--set", value)]
    return subprocess.run(
        [PROGRAM, command, run["config"], *arguments, *sets], capture_output=True, text=True, check=False
    )


def read_metrics(run_folder):
    """Held-out loss; MaxVio of the counts of the last 50 steps: of the worst layer and of the mean one; and how far
    experts keep to domains, mean over layers of the last evaluation."""
    lines = [json.loads(line) for line in (run_folder / "metrics.jsonl").read_text().splitlines()]
    last = [line for line in lines if line.get("layers")][-1]
    last_evaluation = [line for line in lines if "eval_loss" in line.get("metrics", {})][-1]
    evaluation = last_evaluation["metrics"]
    violations = last["layers"]["max_violation_window"]
    return {
        "eval_loss": evaluation["eval_loss"],
        "eval_bits_per_byte": evaluation["eval_bits_per_byte"],
        "max_violation_window": max(violations),
        "max_violation_window_mean": sum(violations) / len(violations),
        **mean_specialization(last_evaluation.get("evaluation_layers", [])),
    }


def mean_specialization(layers):
    names = ("mutual_information_bits", "mutual_information_limit_bits", "domain_distance")
    layers = [layer for layer in layers if names[0] in layer]
    return {name: sum(layer[name] for layer in layers) / len(layers) for name in names} if layers else {}


def new_folder(folder, run):
    """A folder that no other run has: `troupe train` would continue what is there."""
    name = re.sub(r"[^A-Za-z0-9.]+", "-", run["setting"])
    for number in itertools.count(1):
        path = folder / f"{name}-seed{run['seed']}-{number}"
        if not path.exists():
            return path


def perform(folder, run):
    checked = troupe("validate", run)
    if checked.returncode != 0:
        return {**run, "status": "refused", "reason": (checked.stdout + checked.stderr).strip()}
    run_folder = new_folder(folder, run)
    start = time.monotonic()
    trained = troupe("train", run, "--run-dir", str(run_folder))
    (folder / f"{run_folder.name}.log").write_text(trained.stdout + trained.stderr)
    if trained.returncode != 0:
        return {**run, "status": "failed", "reason": f"exit {trained.returncode}, see {run_folder.name}.log"}
    seconds = round(time.monotonic() - start, 1)
    return {**run, "status": "finished", **read_metrics(run_folder), "seconds": seconds}


def describe(result):
    name = f"{result['setting']}, seed {result['seed']}"
    if result["status"] != "finished":
        return f"{name}: {result['status']}: {result['reason']}"
    return (
        f"{name}: finished in {result['seconds']} s, held-out loss {result['eval_loss']:.4f}, "
        f"MaxVio {result['max_violation_window']:.3f}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("list", type=pathlib.Path, help="settings, such as benchmarks/balancing/frontier.json")
    parser.add_argument("folder", type=pathlib.Path, help="where runs and results.jsonl go")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--jobs", type=int, default=2, help="runs at once; each has what parallel.* says")
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE for all runs; may be repeated")
    arguments = parser.parse_args()

    study = json.loads(arguments.list.read_text())
    arguments.folder.mkdir(parents=True, exist_ok=True)
    (arguments.folder / "study.json").write_text(json.dumps({**study, "seeds": arguments.seeds}, indent=1))
    done = {key_of(result) for result in read_results(arguments.folder) if result["status"] == "finished"}
    runs = [run for run in planned_runs(study, arguments.seeds, arguments.set) if key_of(run) not in done]
    print(f"{len(runs)} runs, {len(done)} finished before", flush=True)

    failures = 0
    with ThreadPoolExecutor(arguments.jobs) as pool, (arguments.folder / "results.jsonl").open("a") as out:
        for future in as_completed([pool.submit(perform, arguments.folder, run) for run in runs]):
            result = future.result()
            print(json.dumps(result, ensure_ascii=False), file=out, flush=True)
            print(describe(result), flush=True)
            failures += result["status"] == "failed"
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
