#!/usr/bin/env python3
"""Every test that docs/tests.md names is there. Usage: tests_page_test.py SOURCE_DIR"""
import pathlib
import re
import sys

GTEST = re.compile(r"^TEST(?:_F|_P)?\((\w+),\s*(\w+)\)", re.M)
FUNCTION = re.compile(r"^\s*def (\w+)\(", re.M)
# Registered by name, by troupe_test, or for an item of a list.
SUITE = re.compile(r"(?:add_test\(NAME|troupe_test\()\s*(\w+)")


def known(tests):
    cases = {match for file in tests.rglob("*.cpp") for match in GTEST.findall(file.read_text(encoding="utf-8"))}
    functions = {name for file in tests.rglob("*.py") for name in FUNCTION.findall(file.read_text(encoding="utf-8"))}
    suites = {name for file in tests.rglob("CMakeLists.txt") for name in SUITE.findall(file.read_text(encoding="utf-8"))}
    return cases, functions, suites | {"signals_program_test", "ending_program_test"}


def missing(page, cases, functions, suites):
    """Names of the right column that nothing has."""
    groups = {group for group, _ in cases}
    for row in re.findall(r"^\|[^|]*\|([^|]*)\|$", page, re.M):
        group = None
        for first, name in re.findall(r"(?<![\w/])([A-Z]\w+)?\.(\*|[A-Z]\w+)", row):
            group = first or group
            if group not in groups or (name != "*" and (group, name) not in cases):
                yield f"{group}.{name}"
        for name in re.findall(r"\b[a-z]+(?:_[a-z0-9]+)+\b", row):
            if name not in functions | suites:
                yield name


def main(source):
    page = (source / "docs/tests.md").read_text(encoding="utf-8")
    names = known(source / "tests")
    assert all(len(found) > 10 for found in names), "the tests were not found"
    stale = list(missing(page, *names))
    for name in stale:
        print(f"docs/tests.md: no test is called {name}")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
