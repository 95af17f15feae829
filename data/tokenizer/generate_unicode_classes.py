#!/usr/bin/env python3
"""Writes unicode_classes.inc: the code points of \\p{L}, \\p{N} and White_Space as sorted ranges.

Run by hand when the Unicode version shall change: python3 data/tokenizer/generate_unicode_classes.py
The version is that of Python's unicodedata (3.11: 14.0.0, the version of PCRE2 10.42 as well).
"""
import pathlib
import sys
import unicodedata

# White_Space in Unicode's PropList.txt: the separators and these controls.
CONTROL_SPACES = {0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x85}


def class_of(code_point):
    category = unicodedata.category(chr(code_point))
    if category[0] == "L":
        return "kLetter"
    if category[0] == "N":
        return "kNumber"
    if category[0] == "Z" or code_point in CONTROL_SPACES:
        return "kSpace"
    return None


def ranges():
    first, current = 0, None
    for code_point in range(sys.maxunicode + 2):
        kind = class_of(code_point) if code_point <= sys.maxunicode else None
        if kind != current:
            if current is not None:
                yield first, code_point - 1, current
            first, current = code_point, kind


def main():
    lines = [f"// Unicode {unicodedata.unidata_version}. Written by generate_unicode_classes.py; do not edit."]
    lines += [f"{{0x{first:X}, 0x{last:X}, CharacterClass::{kind}}}," for first, last, kind in ranges()]
    pathlib.Path(__file__).with_name("unicode_classes.inc").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
