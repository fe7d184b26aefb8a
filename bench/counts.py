#!/usr/bin/env python3
"""Counts instructions and heap allocations per token and compares them with bench/counts.json.

Unlike times, counts do not drift with the machine's load, so they can stop a change: an increase of instructions by more
than TOLERANCE fails, and so does any allocation in decoding. Runs bench/count-bench under `valgrind --tool=callgrind`
with a generated model. Differences between 8 and 40 tokens cancel what a call costs besides its tokens.

usage: bench/counts.py            compare; exit status 1 on a regression, 0 with a notice where valgrind is missing
       bench/counts.py --update   measure and write bench/counts.json: commit it with the change that explains it
"""
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXPECTED = ROOT / "bench" / "counts.json"
TOLERANCE = 0.03
PHASES = ["prefill8", "prefill40", "decode8", "decode40", "decode72", "reply8", "reply40"]  # as in count-bench
FIXTURE = ["demo", "--type", "Q4_0", "--mmproj-type", "F16"]
# Everything that takes memory from the C library goes through one of these, the Swift runtime included.
ALLOCATORS = {"malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc", "memalign", "valloc", "mmap"}
LOCKS = re.compile(r"pthread_(mutex|rwlock|spin|cond)_(\w*(try|timed|clock|rd|wr))?(lock|wait)$|_?dispatch_\w+$")


def swift(*arguments):
    subprocess.run(["swift", "build", "-c", "release", *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def prepare():
    """Builds what is needed. Returns the folder of the executables and the model's path."""
    for product in ["count-bench", "occam-fixture"]:
        swift("--product", product)
    show = ["swift", "build", "-c", "release", "--show-bin-path"]
    binaries = Path(subprocess.run(show, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip())
    folder = ROOT / ".build" / "counts"
    subprocess.run([binaries / "occam-fixture", FIXTURE[0], folder, *FIXTURE[1:]], check=True,
                   stdout=subprocess.DEVNULL)
    return binaries, folder / "demo-Q4_0.gguf"


def read_profile(path):
    """Instructions and calls by function name of one callgrind file (its manual, chapter "Callgrind Format")."""
    names, calls, instructions, callee = {}, Counter(), 0, None
    for line in path.read_text().splitlines():
        if line.startswith(("fn=", "cfn=")):
            number, name = re.match(r"c?fn=\((\d+)\)(?: (.*))?", line).groups()
            if name:
                names[number] = name.split("@")[0].removesuffix("'2")
            callee = names[number]
        elif line.startswith("calls="):
            calls[callee] += int(line[6:].split()[0])
        elif line.startswith("summary:"):
            instructions = int(line.split()[1])
    return {
        "instructions": instructions,
        "allocations": sum(count for name, count in calls.items() if name in ALLOCATORS),
        "locks": sum(count for name, count in calls.items() if LOCKS.match(name)),
    }


def measure(binaries, model, kernel, threads):
    """Counts of each phase, or None where this machine (or valgrind's) lacks the kernel set."""
    base = model.parent / f"{kernel}-{threads}"
    for old in model.parent.glob(base.name + ".*"):
        old.unlink()
    command = ["valgrind", "--tool=callgrind", "--fair-sched=yes", "--zero-before=occam_counted",
               "--dump-after=occam_counted", f"--callgrind-out-file={base}", binaries / "count-bench", model, str(threads)]
    # Hash tables are seeded by chance otherwise, and the chance shows.
    environment = dict(os.environ, OCCAM_KERNEL=kernel, SWIFT_DETERMINISTIC_HASHING="1")
    environment.pop("OCCAM_TIMING", None)
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    if "needs instructions this processor lacks" in run.stdout:
        return None
    if run.returncode != 0:
        sys.exit(f"counts: {kernel}, {threads} threads: count-bench failed\n{run.stdout}\n{run.stderr[-2000:]}")
    return {phase: read_profile(Path(f"{base}.{number + 1}")) for number, phase in enumerate(PHASES)}


def per_token(phases, stage, count):
    return (phases[stage + "40"][count] - phases[stage + "8"][count]) / 32


def main():
    if sys.argv[1:] not in ([], ["--update"]):
        sys.exit(__doc__)
    if shutil.which("valgrind") is None:
        print("counts: NOT CHECKED: valgrind is not installed (Debian: apt-get install valgrind)")
        return
    machine = platform.machine()
    kernels = {"x86_64": ["avx2", "portable"]}.get(machine, ["portable"])
    binaries, model = prepare()
    runs = [(kernel, 1) for kernel in kernels] + [(kernels[0], 2)]
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        measured = dict(zip(runs, pool.map(lambda run: measure(binaries, model, *run), runs)))

    expected = json.loads(EXPECTED.read_text()) if EXPECTED.exists() else {}
    known = expected.get(machine, {})
    found, failures = {}, []
    print(f"{'kernel':10} {'threads':>7} {'stage':8} {'instructions':>13} {'committed':>11} {'change':>7} "
          f"{'allocations':>11} {'locks':>6}   per token")
    for (kernel, threads), phases in measured.items():
        if phases is None:
            print(f"{kernel:10} NOT CHECKED: valgrind shows the program a processor without its instructions")
            continue
        for stage in ["prefill", "decode", "reply"]:
            instructions = round(per_token(phases, stage, "instructions"))
            allocations, locks = per_token(phases, stage, "allocations"), per_token(phases, stage, "locks")
            committed, change = None, ""
            # Two threads wait for each other in loops, so that only one's instructions are the same every time.
            if threads == 1 and stage != "reply":
                found.setdefault(kernel, {})[stage] = instructions
                committed = known.get(kernel, {}).get(stage)
                if committed:
                    ratio = instructions / committed - 1
                    change = f"{100 * ratio:+.1f}%"
                    if ratio > TOLERANCE:
                        failures.append(f"{kernel} {stage}: {change} instructions per token")
                # A pass takes its turn and gives it back; nothing else may lock or dispatch.
                if stage == "decode" and locks > 2:
                    failures.append(f"{kernel} decode: {locks:g} locks or Dispatch calls per token, 2 allowed")
            if stage == "decode" and allocations != 0:
                failures.append(f"{kernel}, {threads} threads, decode: {allocations:g} allocations per token")
            print(f"{kernel:10} {threads:7} {stage:8} {instructions if threads == 1 else '-':>13} {committed or '-':>11} "
                  f"{change:>7} {allocations:11g} {locks if threads == 1 else '-':>6}")
        block = phases["decode72"]["allocations"] - phases["decode40"]["allocations"]
        print(f"{'':18} a second block of 64 KV cells: {block} allocations")

    toolchain = subprocess.run(["swift", "--version"], capture_output=True, text=True).stdout
    toolchain = re.search(r"Swift version (\S+)", toolchain).group(1)
    if "--update" in sys.argv:
        expected["fixture"] = " ".join(FIXTURE)
        expected[machine] = {"toolchain": toolchain, **found}
        EXPECTED.write_text(json.dumps(expected, indent=2) + "\n")
        print(f"wrote {EXPECTED.relative_to(ROOT)}")
        failures = [text for text in failures if "instructions" not in text]
    elif not known:
        print(f"counts: instructions NOT CHECKED: bench/counts.json holds none for {machine}; bench/counts.py --update")
    elif known["toolchain"] != toolchain:
        print(f"counts: the committed figures are of Swift {known['toolchain']}, this is {toolchain}")
    if failures:
        sys.exit("counts: " + "\n        ".join(failures) + "\nIf this is meant: bench/counts.py --update, and say why.")


main()
