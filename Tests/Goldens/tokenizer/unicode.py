"""Writes Sources/Tokenizer/PreTokenizer/UnicodeTable.swift: general categories of Unicode 15.1.0, run by run.

    python unicode.py                       needs unicodedata2 15.1.0; writes the table
    python unicode.py unicode-data.cpp      compares with llama.cpp's own table and writes unicode.json beside this file

What counts for pre-tokenisers is the first letter of a category (L, M, N, P, S; all else is O). llama.cpp's table of
llama-cpp-python 0.3.36 (src/unicode-data.cpp) is the oracle for behaviour: unicode.json is made from it alone.
"""
import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
TARGET = HERE.parents[2] / "Sources/Tokenizer/PreTokenizer/UnicodeTable.swift"
COUNT = 0x110000


def runs(letters):
    """"O21P3S1": each run's letter and its length in lowercase hexadecimal."""
    result, start = [], 0
    for point in range(1, COUNT + 1):
        if point == COUNT or letters[point] != letters[start]:
            result.append(f"{letters[start]}{point - start:x}")
            start = point
    return result


def write_table():
    import unicodedata2

    assert unicodedata2.unidata_version == "15.1.0", unicodedata2.unidata_version
    letters = [unicodedata2.category(chr(point))[0] for point in range(COUNT)]
    letters = [letter if letter in "LMNPS" else "O" for letter in letters]
    lines, line = [], ""
    for run in runs(letters):
        if len(line) + len(run) > 110:
            lines.append(line)
            line = ""
        line += run
    lines.append(line)
    body = "\\\n    ".join(lines)
    TARGET.write_text(
        "// Made by Tests/Goldens/tokenizer/unicode.py from Unicode 15.1.0; do not edit.\n\n"
        "enum UnicodeTable {\n"
        "  /// Runs of scalars from 0 to U+10FFFF: the category's first letter (O: none of L, M, N, P, S) and the run's\n"
        "  /// length in hexadecimal.\n"
        f'  static let runs: StaticString = """\n    {body}\n    """\n}}\n')


def oracle(path):
    source = pathlib.Path(path).read_text()
    table = source.split("unicode_ranges_flags = {")[1].split("};")[0]
    ranges = [(int(a, 16), int(b, 16)) for a, b in re.findall(r"\{0x([0-9A-Fa-f]+), 0x([0-9A-Fa-f]+)\}", table)]
    names = {2: "N", 4: "L", 16: "M", 32: "P", 64: "S"}
    letters = ["O"] * COUNT
    for (start, flags), (end, _) in zip(ranges, ranges[1:]):
        for point in range(start, end):
            letters[point] = names.get(flags & 0xFF, "O")
    spaces = source.split("unicode_set_whitespace = {")[1].split("};")[0]
    spaces = [int(point, 16) for point in re.findall(r"0x([0-9A-Fa-f]+)", spaces)]
    checksum = 0xCBF29CE484222325  # FNV-1a of all letters
    for letter in letters:
        checksum = (checksum ^ ord(letter)) * 0x100000001B3 % (1 << 64)
    content = {
        "made_with": "llama-cpp-python 0.3.36, src/unicode-data.cpp", "checksum": f"{checksum:016x}",
        "counts": {letter: letters.count(letter) for letter in "LMNPSO"}, "spaces": spaces,
    }
    (HERE / "unicode.json").write_text(json.dumps(content, indent=1) + "\n")


oracle(sys.argv[1]) if len(sys.argv) == 2 else write_table()
