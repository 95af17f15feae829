#!/usr/bin/env python3
"""Checks that every option that a module describes is read by someone: by code that is neither a
description, nor a rule between options, nor a test. Usage: options_test.py SOURCE_DIR

An option counts as read where its member is taken from its struct: as GROUP.MEMBER, or as X.MEMBER in a
file that names the struct or takes the group, itself or in a header that it includes."""
import pathlib
import re
import sys
import tempfile

NOT_READERS = ("tests/", "configs/", "build/")
# Their rule is all they do: mha and mqa state what kv_heads must be.
STATEMENTS = {("AttentionOptions", "kind")}
DESCRIBE = re.compile(r"^void describe\(Fields& \w+, (\w+)& (\w+)\) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
FIELD = r'\.(?:flag|integer|real|text|optional_integer|optional_text|schedule|reals|texts|real_map|text_map|choice|group)\(\s*"(\w+)",\s*'
LIST = re.compile(r'\.list\(\s*"(\w+)",.*?describe\(\w+, (?:\w+)\.([\w.]+)\[', re.DOTALL)


def descriptions(root):
    """(struct, member path, option name, file) of every described field and group."""
    fields = []
    for path in sorted(root.rglob("*.cpp")):
        relative = path.relative_to(root).as_posix()
        if path.name != "options.cpp" and relative != "configs/run_config.cpp":
            continue
        for struct, variable, body in DESCRIBE.findall(path.read_text(encoding="utf-8")):
            found = re.findall(FIELD + re.escape(variable) + r"\.([\w.]+)", body) + LIST.findall(body)
            fields += [(struct, member, name, relative) for name, member in found]
    return fields


def strip(text):
    return re.sub(r'//[^\n]*|"(?:[^"\\\n]|\\.)*"', "", text)


def readers(root):
    """(text, text of the headers it includes) of every file that may read options."""
    texts = {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in sorted(root.rglob("*"))
             if path.suffix in (".h", ".cpp", ".inc") and path.name not in ("options.h", "options.cpp")}
    texts = {path: text for path, text in texts.items() if not path.startswith(NOT_READERS)}
    stripped = {path: strip(text) for path, text in texts.items()}
    for path, text in texts.items():
        included = re.findall(r'^#include "([^"]+)"', text, re.MULTILINE)
        yield stripped[path], "\n".join(stripped.get(header, "") for header in included)


def is_read(field, groups, texts):
    struct, member, _, _ = field
    last = re.escape(member.split(".")[-1])
    holder = "|".join({re.escape(group) for group in groups.get(struct, ())} | {struct})
    direct = re.compile(rf"\b(?:{holder})_?(?:\(\))?(?:\.|->){last}\b")
    owner = re.compile(rf"\b(?:{holder})\b")
    owner_outside = re.compile(rf"\b{struct}\b")
    taken = re.compile(rf"(?:\.|->){last}\b")
    return any(direct.search(text) or (taken.search(text) and (owner.search(text) or owner_outside.search(headers)))
               for text, headers in texts)


def unread(root):
    fields = descriptions(root)
    structs = {struct for struct, *_ in fields}
    groups = {}  # struct: the members that hold it
    for header in root.rglob("*.h"):
        if header.name not in ("options.h", "run_config.h"):
            continue
        text = strip(header.read_text(encoding="utf-8"))
        for struct in structs:
            for name in re.findall(rf"\b{struct}>? (\w+)(?:;| =|\{{)", text):
                groups.setdefault(struct, set()).add(name)
    texts = list(readers(root))
    return [field for field in fields if field[:2] not in STATEMENTS and not is_read(field, groups, texts)], len(fields)


def check_that_it_can_fail():
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / "room").mkdir()
        (root / "room/options.h").write_text("struct TeaOptions {\n  int cups = 1;\n  int sugar = 0;\n};\n")
        (root / "room/options.cpp").write_text(
            'void describe(Fields& fields, TeaOptions& options) {\n'
            '  fields.integer("cups", options.cups, {}, "Cups");\n'
            '  fields.integer("sugar", options.sugar,\n                 {}, "Sugar");\n}\n')
        (root / "room/kettle.cpp").write_text("int fill(const TeaOptions& tea) { return tea.cups; }  // tea.sugar\n")
        (root / "room/cake.cpp").write_text("int sweeten(const Cake& cake) { return cake.sugar; }\n")
        found, count = unread(root)
        assert count == 2 and [field[2] for field in found] == ["sugar"], "the check itself is broken"


check_that_it_can_fail()
problems, count = unread(pathlib.Path(sys.argv[1]))
for struct, member, name, where in problems:
    print(f"{where}: nobody reads the option '{name}' ({struct}::{member}): read it, or remove it")
assert count > 80 or problems, f"only {count} options are found: the descriptions are written in another way"
print(f"{count} described options and groups, {len(problems)} that nobody reads")
sys.exit(1 if problems else 0)
