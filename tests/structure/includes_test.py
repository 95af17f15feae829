#!/usr/bin/env python3
"""Checks the arrows of docs/architecture.md ("Folders"): who may include whom, and where the
headers of MPI, HDF5, Asio and YAML may appear. Usage: includes_test.py SOURCE_DIR"""
import pathlib
import re
import sys
import tempfile

MAY_INCLUDE = {
    "base": set(),
    "layout": set(),
    "tensor": set(),
    "layers": {"tensor"},
    "actors": set(),
    "comm/collectives": {"tensor", "layout"},
    "comm/control": {"actors", "layout"},
    "storage": {"tensor"},
    "data": {"storage", "tensor"},
    "experts": {"layers", "tensor", "layout", "comm/collectives"},
    "model": {"experts", "layers", "tensor", "comm/collectives", "layout"},
    "optimizer": {"tensor", "layout"},
    "workers": {"comm/collectives", "comm/control", "actors", "storage", "model", "optimizer", "experts", "data",
                "layout", "tensor"},
    "coordinator": {"comm/control", "actors", "storage", "dashboard", "layout"},
    "dashboard": {"actors", "layout"},
    "configs": set(),  # and the options of every module
    "conversion": {"configs", "data", "model", "storage", "tensor", "workers"},
    "tasks": {"data", "model", "tensor"},
    "cli": {"*"},
    "benchmarks": {"*"},
}
OUTSIDE = {
    r"mpi\.h": ["comm/collectives/mpi/"],
    r"hdf5(_hl)?\.h": ["storage/hdf5/"],
    r"boost/(asio|beast).*": ["actors/", "comm/control/", "dashboard/"],
    r"yaml-cpp/.*": ["base/"],
    r"dnnl.*": ["tensor/ops/"],
    r"hwy/.*": ["tensor/ops/", "experts/"],
    r"openssl/.*": ["comm/control/", "coordinator/", "base/"],
}
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')


def module_of(path):
    parts = path.split("/")
    return "/".join(parts[:2]) if parts[0] == "comm" else parts[0]


def violations(root):
    found = []
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root).as_posix()
        module = module_of(relative)
        if path.suffix not in (".h", ".cpp", ".cu", ".inc") or module not in MAY_INCLUDE:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            match = INCLUDE.match(line)
            if match:
                reason = refused(module, relative, match[1] == '"', match[2])
                if reason:
                    found.append(f"{relative}:{number}: {reason}")
    return found


def refused(module, file, ours, target):
    if not ours:
        for pattern, rooms in OUTSIDE.items():
            if re.fullmatch(pattern, target) and not any(file.startswith(room) for room in rooms):
                return f"<{target}> belongs to {', '.join(rooms)} only"
        return None
    wanted = module_of(target)
    allowed = MAY_INCLUDE[module]
    if wanted in (module, "base") or "*" in allowed or wanted in allowed or target.endswith("/options.h"):
        return None
    return f"{module} may not include {wanted} ({target})"


def check_that_it_can_fail():
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / "base").mkdir()
        (root / "base/bad.h").write_text('#include "tensor/tensor.h"\n#include <mpi.h>\n#include "base/good.h"\n')
        assert len(violations(root)) == 2, "the check itself is broken"


check_that_it_can_fail()
problems = violations(pathlib.Path(sys.argv[1]))
print("\n".join(problems) or "every include follows the arrows")
sys.exit(1 if problems else 0)
