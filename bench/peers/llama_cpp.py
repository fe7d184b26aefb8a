"""Times llama.cpp and Occam in turn on a model, a mmproj and a photo, or on every row of the table of goals. README.md
explains rows and tables.

usage: python llama_cpp.py (-m MODEL --mmproj MMPROJ [--image PHOTO] | --goals FOLDER [--only NAME,...])
           [-t 2] [-r 3] [-p 512] [-n 64] [--occam .build/release/occam-bench] [--stage1 250] [--budget 32]
           [--kernel-bench .build/release/kernel-bench] [--peer-python VENV/bin/python] [--results [FOLDER]]

JSON lines on stdout, with --occam or --goals tables on stderr. Needs llama-cpp-python 0.3.36 (llama.cpp 0c1e57098), numpy,
Pillow in the interpreter that runs llama.cpp.
"""
import argparse
import datetime
import json
import os
import resource
import shlex
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Without this folder, where `import llama_cpp` would find this very file.
sys.path = [str(ROOT / "bench/results")] + [p for p in sys.path if Path(p or ".").resolve() != Path(__file__).resolve().parent]
from goals import GOALS, goals_table  # noqa: E402
from table import MEMORY, OWN, PEER, report, summary  # noqa: E402

QUESTION = "USER: <__media__>\nWhat is in the picture? ASSISTANT:"
EXTRAS = ("stage1", "kept", "bytes_per_token", "weights_bytes", "kv_bytes")
OCCAM_ARGUMENTS = " -m {model} -mm {mmproj} -t {threads} -p {prompt} -n {generate} -r 1 -o jsonl"
OCCAM_IMAGE_ARGUMENTS = " --image {image} --lambda1 0 --stage1-tokens {stage1} --lambda2 0 --max-visual-tokens {budget}"


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def timed(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def instruction_sets(system: str) -> str:
    """The SIMD part of llama.cpp's system info: "AVX2 = 1 | FMA = 1 | ..." as "AVX2 FMA"."""
    pairs = (part.split(":")[-1].split("=") for part in system.split("|") if "=" in part)
    on = [name.strip() for name, value in pairs if value.strip() == "1"]
    return " ".join(name for name in on if name.startswith(("AVX", "AMX", "NEON", "SVE", "DOTPROD", "MATMUL")))


def one_round(options) -> None:
    """All tests once, in this process."""
    # The goldens' layer over llama.cpp has its threads wait without spinning; here they are to be as fast as they can.
    os.environ.setdefault("OMP_WAIT_POLICY", "active")
    sys.path.insert(0, str(ROOT / "Tests/Goldens/peer"))
    import llama_cpp
    import numpy as np
    from mtmd import Pair
    from PIL import Image

    image = np.asarray(Image.open(options.image).convert("RGB")) if options.image else None
    baseline = peak()
    facts = {
        "version": f'llama-cpp-python {version("llama_cpp_python")}',
        "build": instruction_sets(llama_cpp.llama_print_system_info().decode()),
    }

    def emit(test: str, n: int, seconds: float):
        row = {"test": test, "n": n, "seconds": [seconds], "rss": peak(), "rss_baseline": baseline, **facts}
        print(json.dumps(row), flush=True)

    start = time.perf_counter()
    pair = Pair(
        Path(options.model), Path(options.mmproj), threads=options.threads, flash=None,
        context=max(4096, options.prompt + options.generate), batch=512)
    emit("load", 1, time.perf_counter() - start)

    def encode(chunks):
        """All tiles of the picture."""
        return [pair.encode(chunk) for chunk in chunks if pair.is_image(chunk)]

    def first_token():
        chunks, _ = pair.tokenize(QUESTION, [image])
        rows = encode(chunks)
        int(np.argmax(pair.evaluate(chunks, rows)))
        return sum(map(len, rows))

    if image is not None:
        count = first_token()
        emit("ttft", count, timed(first_token))
        chunks, keep = pair.tokenize("<__media__>", [image])
        emit("encode", count, timed(lambda: encode(chunks)))
    generator = np.random.default_rng(1)
    tokens = [int(t) for t in generator.integers(3, pair.vocabulary, options.prompt)]

    def prefill():
        for first in range(0, len(tokens), 512):
            pair.decode(tokens[first : first + 512])

    def generate():
        for token in tokens[: options.generate]:
            pair.step(token)

    for name, n, work in [("pp", options.prompt, prefill), ("tg", options.generate, generate)]:
        if n > 0:
            pair.clear()
            pair.decode(tokens[:1])
            pair.clear()
            emit(f"{name}{n}", n, timed(work))


def command_rows(command: list[str]) -> list[dict]:
    run = subprocess.run(command, text=True, stdout=subprocess.PIPE)
    if run.returncode:
        sys.exit(f"llama_cpp.py: {shlex.join(command)} ended with {run.returncode}")
    return [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]


def summarise(runtime: str, rounds: list[list[dict]], facts: dict) -> list[dict]:
    rows = []
    for index, first in enumerate(rounds[0]):
        same = [round[index] for round in rounds]
        assert all(row["test"] == first["test"] for row in same), "rounds differ in their tests"
        timing = summary([s for row in same for s in row["seconds"]])
        rows.append({
            "runtime": runtime, "version": first.get("version", facts["occam_commit"]),
            "build": first.get("build", first.get("kernel", "")), **facts, "test": first["test"], "n": first["n"],
            **timing, "tokens_per_s": first["n"] / timing["seconds_median"],
            "rss": max(row["rss"] for row in same), "rss_baseline": first.get("rss_baseline", 0),
            **{key: first[key] for key in EXTRAS if key in first},
        })
    return rows


def read_bandwidth(tool: str, threads: int) -> float:
    """Bytes a second that the memory gives to `threads` threads, the median pass of kernel-bench."""
    arguments = ["-t", str(threads), "--formats", "F32", "--shapes", "16x64", "--tokens", "1", "--seconds", "0.01"]
    rows = command_rows([tool, *arguments, "--json"])
    return max(row["read_gbs_median"] for row in rows if row["type"] == "bounds") * 1e9


def cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("model name", "Model")):
            return line.split(":", 1)[1].strip()
    return "unknown processor"


def commit() -> str:
    """The checked-out commit; a plus sign marks changes that it does not hold."""
    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", str(ROOT), *words], text=True, stdout=subprocess.PIPE).stdout.strip()

    return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")


def child(options) -> list[str]:
    """One round of llama.cpp in a process of its own."""
    words = ["--one-round", "-m", options.model, "--mmproj", options.mmproj, "-t", options.threads]
    words += ["-p", options.prompt, "-n", options.generate] + (["--image", options.image] if options.image else [])
    return [options.peer_python, __file__, *map(str, words)]


def measure(options) -> list[dict]:
    """Rows of both on one pair of files."""
    commands = {PEER: child(options)}
    if options.occam:
        more = OCCAM_ARGUMENTS + (OCCAM_IMAGE_ARGUMENTS if options.image else "")
        text = options.occam if "{" in options.occam else options.occam + more
        commands[OWN] = [word.format(**vars(options)) for word in shlex.split(text)]
    rounds: dict[str, list[list[dict]]] = {runtime: [] for runtime in commands}
    bandwidths = []
    for index in range(options.rounds):
        if options.kernel_bench:
            bandwidths.append(read_bandwidth(options.kernel_bench, options.threads))
        # Who goes first changes, so that a drift of the machine's speed meets both.
        for runtime in list(commands)[:: -1 if index % 2 else 1]:
            rounds[runtime].append(command_rows(commands[runtime]))
    facts = {
        "run": options.run, "cpu": cpu_model(), "occam_commit": commit(), "model": Path(options.model).name,
        "mmproj": Path(options.mmproj).name, "threads": options.threads,
    }
    rows = [row for runtime in commands for row in summarise(runtime, rounds[runtime], facts)]
    if bandwidths:
        rows.append({"runtime": MEMORY, **facts, "test": "read", "bytes_per_s": bandwidths})
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    print(lines, end="", flush=True)
    if options.results:
        folder = Path(options.results)
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / f"{options.run[:10]}.jsonl", "a") as file:
            file.write(lines)
    return rows


def picture(case, folder: Path) -> str:
    """A photo, or for a case that names a side a square of noise, whose tiles are those of any square photo."""
    if not case.side:
        return str(ROOT / "Tests/Photos/cat.jpg")
    path = folder / f"noise-{case.side}.png"
    if not path.exists():
        import numpy as np
        from PIL import Image

        samples = np.random.default_rng(1).integers(0, 256, (case.side, case.side, 3), np.uint8)
        Image.fromarray(samples).save(path)
    return str(path)


def measure_goals(options) -> list[dict]:
    """Every pair of the table of goals; files that are missing are made."""
    folder = Path(options.goals)
    rows = []
    for case in GOALS:
        if options.only and case.name not in options.only.split(","):
            continue
        model, mmproj = folder / f"{case.shape}-{case.type}.gguf", folder / f"mmproj-{case.shape}-F16.gguf"
        if not (model.exists() and mmproj.exists()):
            maker = Path(shlex.split(options.occam)[0]).parent / "occam-fixture"
            subprocess.run(
                [maker, case.shape, folder, "--type", case.type, "--mmproj-type", "F16"], check=True, stdout=sys.stderr)
        chosen = dict(
            model=str(model), mmproj=str(mmproj), threads=case.threads,
            image=picture(case, folder) if case.has_image else None,
            rounds=min(options.rounds, case.most_rounds), stage1=case.stage1 or options.stage1,
            budget=case.budget or options.budget)
        measured = measure(argparse.Namespace(**{**vars(options), **chosen}))
        print(report(measured) + "\n", file=sys.stderr, flush=True)
        rows += measured
    return rows


def main():
    parser = argparse.ArgumentParser(description="Times llama.cpp and Occam in turn; see the head of this file.")
    parser.add_argument("-m", "--model")
    parser.add_argument("--mmproj")
    parser.add_argument("--image", help="without it only the text model is timed, on prefill and decoding")
    parser.add_argument("--goals", metavar="FOLDER", help="measure all rows of the table of goals; models lie or are made in FOLDER")
    parser.add_argument("--only", help=f"with --goals: only these: {', '.join(case.name for case in GOALS)}")
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("-r", "--rounds", type=int, default=3)
    parser.add_argument("-p", "--prompt", type=int, default=512)
    parser.add_argument("-n", "--generate", type=int, default=64)
    parser.add_argument("--budget", type=int, default=32, help="visual tokens that Occam's pruned runs end with")
    parser.add_argument("--stage1", type=int, default=250, help="visual tokens behind stage I in Occam's pruned runs")
    parser.add_argument("--occam", help="occam-bench, or a whole command to alternate with (README.md)")
    parser.add_argument("--kernel-bench", help="kernel-bench, to measure the read bandwidth between the rounds")
    parser.add_argument(
        "--peer-python", default=sys.executable, help="interpreter that has llama-cpp-python (default: this one)")
    parser.add_argument(
        "--results", nargs="?", const=str(ROOT / "bench/results"), help="append the rows to FOLDER/YYYY-MM-DD.jsonl")
    parser.add_argument("--one-round", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    # Generated tokens are taken from the prompt's.
    options.prompt = max(options.prompt, options.generate)
    options.run = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    if options.goals:
        if not options.occam:
            parser.error("--goals needs --occam")
        print(goals_table(measure_goals(options)), file=sys.stderr)
        return
    if not options.model or not options.mmproj:
        parser.error("--model and --mmproj, or --goals, must be given")
    if options.one_round:
        return one_round(options)
    rows = measure(options)
    if options.occam:
        print(report(rows), file=sys.stderr)


if __name__ == "__main__":
    main()
