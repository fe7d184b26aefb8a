"""Counts the instructions of the NEON kernels' innermost loops, beside the bound that a Cortex-A76's ports set.

usage: python instruction_counts.py BINARY_OR_OBJECT... [--all]

Give it an aarch64 kernel-bench, or the objects of the targets OccamKernelsNEON, OccamKernelsNEONDot, OccamKernelsNEONI8MM. For
each set, format and kind (one token, or the four of a group): instructions of an iteration, those that multiply weights, loads,
stack accesses, multiply-adds, instructions a multiply-add, cycles at least, the port that says so, and what share of the multiply
instructions' own rate that leaves. Ends with an error where such a loop calls or can trap, or where one for several tokens
touches the stack. With --all also the float loops of attention and rows. Needs llvm-objdump or aarch64-linux-gnu-objdump, and
`swift demangle`.

The A76 decodes and renames four instructions a cycle, has two pipelines for loads and stores (L), two for vectors (V0, V1), of
which each takes most instructions; sdot and fmla go to either. Only V0 takes integer products, conversions and widening of halves
(two slots for whole registers of 32-bit products and conversions); only V1 shifts and pairwise accumulation. References: "Arm
Cortex-A76 Software Optimization Guide" (PJDOC-466751330-7215), chapters 2 and 3; the rows below were checked against LLVM's model
of Neoverse N1 (llvm/lib/Target/AArch64/AArch64SchedNeoverseN1.td), the same pipelines for servers. The A76 has no smmla: its rows
assume one that goes where sdot goes, as in Neoverse N2. Latencies, caches and branches are left out: a bound, no measurement.
"""
import argparse
import re
import shutil
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
import hot_loops  # noqa: E402

KERNELS = re.compile(r"OccamKernels(NEONI8MM|NEONDot|NEON)")
BRANCH = re.compile(r"^(?:b(?:\.\w+)?|cbn?z|tbn?z)\s+(?:.*,\s*)?(?:0x)?([0-9a-f]+)\b")
SETS = {"NEON": "neon", "NEONDot": "neon-dot", "NEONI8MM": "neon-i8mm"}
# Multiply-adds of an instruction; the widest kind in a loop is what multiplies weights there.
PRODUCTS = [("smmla", 32), ("sdot", 16), ("smlal", 8), ("smlal2", 8), ("smull", 8), ("smull2", 8), ("fmla", 4)]
# How many of them start in a cycle.
RATES = {"smmla": 2, "sdot": 2, "smlal": 1, "fmla": 2}
V0 = {"smull": 1, "smull2": 1, "smlal": 1, "smlal2": 1, "umull": 1, "mul": 2, "mla": 2, "mls": 2, "scvtf": 2, "fcvtl": 2,
      "fcvtl2": 2, "fcvtn": 2, "fcvtn2": 2, "fdiv": 10}
V1 = {"shl", "shll", "shll2", "sshl", "ushl", "sshr", "ushr", "sshll", "sshll2", "ushll", "ushll2", "ssra", "usra", "sli", "sri",
      "sadalp", "shrn"}


def text_of(instruction: str) -> str:
    """Mnemonic and operands, without what a disassembler adds about the target."""
    return re.sub(r"\s+", " ", instruction.split(" //")[0])


def ports(body) -> dict:
    """Slots of an iteration on each port, in cycles if nothing else were there."""
    slots = Counter()
    for text in body:
        name, _, operands = text.partition(" ")
        is_vector = re.match(r"[vqdsh]\d|\{", operands.strip()) is not None
        if name.startswith(("ld", "prf")):
            slots["L"] += 2 if name.startswith("ldp") and operands[0] in "qd" else 1
            slots["V"] += name == "ld1r"
        elif name.startswith("st"):
            slots["L"] += 2 if "q" in operands.split("[")[0] else 1
        elif is_vector:
            slots["V"] += V0.get(name, 1)
            slots["V0"] += V0.get(name, 0)
            slots["V1"] += name in V1
    return {"front end": len(body) / 4, "L": slots["L"] / 2, "V": slots["V"] / 2, "V0": slots["V0"], "V1": slots["V1"]}


class Loop:
    def __init__(self, function: str, instructions, first: int, last: int):
        self.set = SETS[KERNELS.search(function)[1]]
        long = hot_loops.demangled(function)
        format = re.search(r"\w+\.(Tile|Format)(\w+)>", long)
        short = hot_loops.demangled(function, "--simplified")
        if format:
            self.format = format[2]
            self.kind = "one token" if "closure" in short else "several"
        elif "addFloatPiece" in short:
            self.format, self.kind = "F32, F16, BF16", "several"
        else:
            self.format, self.kind = "", short
        self.body = [text_of(text) for _, text in instructions[first : last + 1]]
        names = Counter(text.split(" ")[0] for text in self.body)
        # Scales multiply, too: of weights are the products of the first kind that is there.
        kinds = [(name, adds) for name, adds in PRODUCTS if names[name]]
        self.product = kinds[0][0].replace("smull", "smlal").rstrip("2") if kinds else ""
        kinds = [kind for kind in kinds if kind[1] == kinds[0][1]]
        self.multiplies = sum(names[name] for name, _ in kinds)
        self.adds = sum(names[name] * adds for name, adds in kinds)
        self.loads = sum(text.startswith("ld") for text in self.body)
        self.stack = sum(re.search(r"\[(sp|x29)\b", text) is not None for text in self.body)
        self.calls = sum(re.match(r"blr? ", text) is not None for text in self.body)
        self.traps = sum(
            hot_loops.can_trap(instructions, index, BRANCH, ("brk", "udf")) for index in range(first, last + 1))

    def row(self) -> str:
        bounds = ports(self.body)
        port = max(bounds, key=bounds.get)
        share = self.multiplies / RATES[self.product] / bounds[port]
        return (f"{self.set:9} {self.format:14} {self.kind[:40]:9} {len(self.body):5} {self.multiplies:4} {self.product:5} "
                f"{self.loads:4} {self.stack:5} {self.adds:6} {len(self.body) / self.adds:6.3f} {bounds[port]:6.1f} "
                f"{port:9} {share:4.0%}")


def objdump():
    if shutil.which("llvm-objdump"):
        return ("llvm-objdump", "--mattr=+dotprod,+i8mm")
    return ("aarch64-linux-gnu-objdump",)


def main():
    parser = argparse.ArgumentParser(description="Instruction counts of the NEON kernels; see the head of this file.")
    parser.add_argument("binaries", nargs="+", metavar="BINARY_OR_OBJECT")
    parser.add_argument("--all", action="store_true", help="list the float loops of attention and rows, too")
    options = parser.parse_args()
    loops = {}
    for binary in options.binaries:
        for name, instructions in hot_loops.functions(binary, KERNELS, objdump()):
            for first, last in hot_loops.innermost(instructions, BRANCH):
                loop = Loop(name, instructions, first, last)
                if loop.adds:
                    loops.setdefault((loop.format == "", loop.set, loop.kind, loop.format), []).append(loop)
    print("set       format         kind      instr mult       load stack    MAC  /MAC  cycles port      share")
    bad = 0
    for (is_other, _, _, _), found in sorted(loops.items()):
        # Tails are found beside the main loop, and with it where it ends in two places.
        most = max(loop.adds for loop in found)
        main_loop = min(
            (loop for loop in found if 2 * loop.adds >= most), key=lambda loop: len(loop.body) / loop.adds)
        if is_other:
            if options.all:
                print(main_loop.row())
            continue
        print(main_loop.row())
        if main_loop.calls or main_loop.traps or (main_loop.stack and main_loop.kind == "several"):
            bad += 1
            print(f"  calls {main_loop.calls}, traps {main_loop.traps}, stack accesses {main_loop.stack}", file=sys.stderr)
    if not loops:
        sys.exit("no NEON kernels found")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
