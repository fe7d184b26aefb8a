"""Times llama.cpp on a model, a mmproj and a photo; one JSON object a line on stdout. README.md explains the rows.

usage: python llama_cpp_bench.py -m MODEL --mmproj MMPROJ --image PHOTO
           [-t 2] [-r 3] [-p 512] [-n 64] [--occam "occam-bench ..."]

Needs llama-cpp-python 0.3.36 (llama.cpp 0c1e57098), numpy, Pillow.
"""
import argparse
import json
import resource
import shlex
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

QUESTION = "USER: <__media__>\nWhat is in the picture? ASSISTANT:"


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def timed(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def one_round(options) -> None:
    """All tests once, in this process."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Tests/Goldens/llava"))
    import numpy as np
    from mtmd import Pair
    from PIL import Image

    image = np.asarray(Image.open(options.image).convert("RGB"))
    baseline = peak()

    def report(test: str, n: int, seconds: float):
        row = {"test": test, "n": n, "seconds": [seconds], "rss": peak(), "rss_baseline": baseline}
        print(json.dumps(row), flush=True)

    start = time.perf_counter()
    pair = Pair(
        Path(options.model), Path(options.mmproj), threads=options.threads, flash=None,
        context=max(2048, options.prompt + options.generate), batch=512)
    report("load", 1, time.perf_counter() - start)

    def first_token():
        chunks, _ = pair.tokenize(QUESTION, image)
        rows = pair.encode(next(c for c in chunks if pair.is_image(c)))
        int(np.argmax(pair.evaluate(chunks, rows)))
        return len(rows)

    count = first_token()
    report("ttft", count, timed(first_token))
    chunks, keep = pair.tokenize("<__media__>", image)
    chunk = next(c for c in chunks if pair.is_image(c))
    report("encode", count, timed(lambda: pair.encode(chunk)))
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
            report(f"{name}{n}", n, timed(work))


def command_rows(command: list[str]) -> list[dict]:
    lines = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout.splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def summary(runtime: str, release: str, model: str, threads: int, rounds: list[list[dict]]) -> list[dict]:
    rows = []
    for index, first in enumerate(rounds[0]):
        same = [round[index] for round in rounds]
        assert all(row["test"] == first["test"] for row in same), "rounds differ in their tests"
        seconds = [s for row in same for s in row["seconds"]]
        mean = sum(seconds) / len(seconds)
        rows.append({
            "runtime": runtime, "version": release, "model": Path(model).name, "threads": threads,
            "test": first["test"], "n": first["n"], "repetitions": len(seconds), "seconds_mean": mean,
            "seconds_min": min(seconds), "seconds_max": max(seconds), "tokens_per_s": first["n"] / mean,
            "rss": max(row["rss"] for row in same), "rss_baseline": first.get("rss_baseline", 0),
        })
    return rows


def table(rows: list[dict]) -> str:
    """Both runtimes side by side; gain = llama.cpp's seconds over Occam's, a pruned test against the unpruned one."""
    llama = {row["test"]: row for row in rows if row["runtime"] == "llama.cpp"}
    lines = [f'{"test":14}{"llama.cpp s":>13}{"occam s":>11}{"gain":>8}{"llama.cpp MiB":>15}{"occam MiB":>11}']
    for row in rows:
        other = llama.get(row["test"].removesuffix("-pruned"))
        if row["runtime"] == "llama.cpp" or not other:
            continue
        seconds, theirs = row["seconds_mean"], other["seconds_mean"]
        memory = [(r["rss"] - r["rss_baseline"]) / 2**20 for r in (other, row)]
        lines.append(f'{row["test"]:14}{theirs:13.4f}{seconds:11.4f}{theirs / seconds:7.2f}x{memory[0]:15.0f}{memory[1]:11.0f}')
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description="Times llama.cpp; see the head of this file.")
    parser.add_argument("-m", "--model", required=True)
    parser.add_argument("--mmproj", required=True)
    parser.add_argument("--image", required=True)
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("-r", "--rounds", type=int, default=3)
    parser.add_argument("-p", "--prompt", type=int, default=512)
    parser.add_argument("-n", "--generate", type=int, default=64)
    parser.add_argument("--occam", help="command to alternate with")
    parser.add_argument("--one-round", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    # Generated tokens are taken from the prompt's.
    options.prompt = max(options.prompt, options.generate)
    if options.one_round:
        return one_round(options)
    own = [sys.executable, __file__, *sys.argv[1:], "--one-round"]
    values = {name: getattr(options, name) for name in ("model", "mmproj", "image", "threads", "prompt", "generate")}
    peer = [word.format(**values) for word in shlex.split(options.occam)] if options.occam else None
    rounds: dict[str, list[list[dict]]] = {"llama.cpp": [], "occam": []}
    for _ in range(options.rounds):
        rounds["llama.cpp"].append(command_rows(own))
        if peer:
            rounds["occam"].append(command_rows(peer))
    rows = summary("llama.cpp", f'llama-cpp-python {version("llama_cpp_python")}', options.model, options.threads,
                   rounds["llama.cpp"])
    if peer:
        rows += summary("occam", "", options.model, options.threads, rounds["occam"])
    for row in rows:
        print(json.dumps(row))
    if peer:
        print(table(rows), file=sys.stderr)


if __name__ == "__main__":
    main()
