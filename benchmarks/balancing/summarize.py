#!/usr/bin/env python3
"""Prints what benchmarks/balancing/study.py found, as Markdown.

    benchmarks/balancing/summarize.py runs/balancing

A study with a baseline gives two tables: held-out loss and MaxVio by setting and seed, with differences to the
baseline of the same seed and their 95 % confidence intervals (Student's t over seeds). A product of settings gives
one row per run: finished with its MaxVio, or refused with the reason.
"""
import argparse
import json
import math
import pathlib
import statistics
import sys

from study import read_results, settings_of

# 97.5 % quantiles of Student's t for 1, 2, … degrees of freedom; beyond, the normal one is close.
STUDENT_T = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145,
             2.131, 2.120, 2.110, 2.101, 2.093, 2.086]  # fmt: skip


def interval(values):
    """Half the width of the 95 % confidence interval of a mean; None of fewer than two values."""
    if len(values) < 2:
        return None
    freedom = len(values) - 1
    t = STUDENT_T[freedom - 1] if freedom <= len(STUDENT_T) else 1.96
    return t * statistics.stdev(values) / math.sqrt(len(values))


def latest(study, results):
    """The last result of each setting and seed: {setting: {seed: result}}, in the list's order."""
    table = {name: {} for name, _ in settings_of(study)}
    for result in results:
        if result["setting"] in table:
            table[result["setting"]][result["seed"]] = result
    return table


def metric_of(by_seed, metric):
    return {seed: result[metric] for seed, result in by_seed.items() if metric in result}


def difference(values, baseline):
    paired = [values[seed] - baseline[seed] for seed in values if seed in baseline]
    if not paired:
        return ""
    half = interval(paired)
    return f"{statistics.mean(paired):+.4f}" + (f" ± {half:.4f}" if half is not None else "")


def print_metric(title, metric, table, seeds, baseline_name):
    print(f"\n{title}\n")
    seed_columns = " | ".join(f"seed {seed}" for seed in seeds)
    print(f"| setting | {seed_columns} | mean | spread | difference to {baseline_name} |")
    print("|---" * (len(seeds) + 4) + "|")
    baseline = metric_of(table.get(baseline_name, {}), metric)
    for name, by_seed in table.items():
        values = metric_of(by_seed, metric)
        cells = [f"{values[seed]:.4f}" if seed in values else "" for seed in seeds]
        if values:
            spread = max(values.values()) - min(values.values())
            cells += [f"{statistics.mean(values.values()):.4f}", f"{spread:.4f}"]
        else:
            cells += ["", ""]
        print(f"| {name} | {' | '.join(cells)} | {difference(values, baseline)} |")


def print_frontier(study, results):
    table = latest(study, results)
    seeds = sorted({seed for by_seed in table.values() for seed in by_seed})
    baseline = study["baseline"]
    print_metric("Held-out loss, nats per token", "eval_loss", table, seeds, baseline)
    print_metric(
        "MaxVio of the counts of the last 50 steps, worst layer", "max_violation_window", table, seeds, baseline
    )
    if any("mutual_information_bits" in result for result in results):
        print_metric(
            "Mutual information of domain and expert, bits, mean layer", "mutual_information_bits", table, seeds, baseline
        )
        print_metric("Distance of two domains' shares of experts", "domain_distance", table, seeds, baseline)
    for result in results:
        if result["status"] == "failed":
            print(f"\n{result['setting']}, seed {result['seed']}: failed: {result['reason']}")


def print_matrix(study, results):
    print("| setting | seed | | MaxVio, last 50 steps | held-out loss |\n|---|---|---|---|---|")
    for name, by_seed in latest(study, results).items():
        for seed, result in sorted(by_seed.items()):
            if result["status"] == "finished":
                violation, loss = result["max_violation_window"], result["eval_loss"]
                print(f"| {name} | {seed} | finished | {violation:.3f} | {loss:.4f} |")
            else:
                reason = result["reason"].replace("\n", " ").replace("|", "\\|")
                print(f"| {name} | {seed} | {result['status']}: {reason} | | |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="the folder given to study.py")
    folder = parser.parse_args().folder
    study = json.loads((folder / "study.json").read_text())
    results = read_results(folder)
    if "baseline" in study:
        print_frontier(study, results)
    else:
        print_matrix(study, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
