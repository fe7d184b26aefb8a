"""Lists the innermost loops of the kernels that multiply: instructions, multiplications, stack accesses, calls and traps.

usage: python hot_loops.py [BINARY] [--all]      (default: .build/release/kernel-bench)

A trap is a branch to `ud2`, which is what a bounds or overflow check compiles to. Ends with an error where a loop calls or can
trap. Loops with stack accesses are listed with them; without --all the others are only counted. Needs objdump.
"""
import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KERNELS = re.compile(r"OccamKernels(Portable|AVX2|AVXVNNI|AVX512VNNI)")
MULTIPLIES = re.compile(r"^(\{vex\} )?v?(pmaddubsw|pmaddwd|pdpbusd|pmulld|mulps|f(n?m)(add|sub)\d+[ps]s)")
JUMP = re.compile(r"^j\w+\s+([0-9a-f]+)")


def functions(binary: str, kernels=KERNELS, objdump=("objdump",)):
    """(name, [(address, text)]) of every kernel function."""
    listing = subprocess.run(
        [*objdump, "-d", "--no-show-raw-insn", binary], check=True, text=True, stdout=subprocess.PIPE).stdout
    for block in listing.split("\n\n"):
        head = re.match(r"\s*[0-9a-f]+ <(.+)>:\n", block)
        if head and kernels.search(head[1]):
            lines = re.findall(r"^\s*([0-9a-f]+):\s+(.*?)\s*$", block, re.M)
            yield head[1], [(int(address, 16), text) for address, text in lines]


def innermost(instructions, branch=JUMP):
    """Index ranges of the loops that hold no other loop. `branch`: a branch with its target as the first group."""
    place = {address: index for index, (address, _) in enumerate(instructions)}
    loops = set()
    for index, (_, text) in enumerate(instructions):
        jump = branch.match(text)
        first = place.get(int(jump[1], 16)) if jump else None
        if first is not None and first <= index:
            loops.add((first, index))
    return [a for a in sorted(loops) if not any(b != a and a[0] <= b[0] and b[1] <= a[1] for b in loops)]


def can_trap(instructions, index: int, branch=JUMP, trap="ud2") -> bool:
    place = {address: at for at, (address, _) in enumerate(instructions)}
    jump = branch.match(instructions[index][1])
    target = place.get(int(jump[1], 16)) if jump else None
    return target is not None and instructions[target][1].startswith(trap)


def demangled(name: str, *options: str) -> str:
    command = ["swift", "demangle", "--compact", *options, name]
    return subprocess.run(command, text=True, stdout=subprocess.PIPE).stdout.strip() or name


def short(name: str) -> str:
    """Kernel set, function, and the format that a generic function is specialised for."""
    format = re.search(r"<\w+\.((Tile|Format)\w+)>", demangled(name))
    return f"{KERNELS.search(name)[1]} {demangled(name, '--simplified')}{' ' + format[1] if format else ''}"


def main():
    parser = argparse.ArgumentParser(description="Innermost loops of the kernels; see the head of this file.")
    parser.add_argument("binary", nargs="?", default=str(ROOT / ".build/release/kernel-bench"))
    parser.add_argument("--all", action="store_true", help="list loops without stack accesses, too")
    options = parser.parse_args()
    total = bad = 0
    for name, instructions in functions(options.binary):
        for first, last in innermost(instructions):
            body = [text for _, text in instructions[first : last + 1]]
            multiplies = sum(bool(MULTIPLIES.match(text)) for text in body)
            if not multiplies:
                continue
            total += 1
            calls = sum(text.startswith("call") for text in body)
            traps = sum(can_trap(instructions, index) for index in range(first, last + 1))
            stack = sum("(%rsp" in text or "(%rbp" in text for text in body)
            bad += calls + traps > 0
            if options.all or calls or traps or stack:
                print(f"{len(body):4} instructions, {multiplies:3} multiply, {stack:3} on the stack, {calls} calls, {traps} traps: "
                      f"{short(name)[:110]}")
    print(f"{total} loops multiply; {bad} of them call or can trap")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
