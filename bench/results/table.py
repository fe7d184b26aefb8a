"""Markdown table of one run of bench/peers/llama_cpp.py --results, for the README.

usage: python table.py FILE.jsonl [--run RUN] [--list]

Without --run the last run in the file. A run's medians stand side by side; a ratio above 1 means that Occam is that many
times faster, or takes that many times less memory. The pruned time to first token is held against llama.cpp's, which
does not prune.
"""
import argparse
import json
import sys
from pathlib import Path
from statistics import median

PEER, OWN, MEMORY = "llama.cpp", "occam", "memory"


def seconds(row: dict) -> float:
    return row.get("seconds_median", row["seconds_mean"])


def by_test(rows: list[dict], runtime: str) -> dict[str, dict]:
    return {row["test"]: row for row in rows if row["runtime"] == runtime}


def work(test: str, row: dict) -> str:
    if test.startswith("pp"):
        return f'prefill, {row["n"]} tokens'
    if test.startswith("tg"):
        return f'decode, {row["n"]} tokens'
    return {
        "load": "load", "encode": f'image encode, {row["n"]} tokens', "ttft": "time to first token",
        "ttft-pruned": "time to first token, pruned",
    }.get(test, test)


def amount(test: str, row: dict | None) -> str:
    if row is None:
        return "-"
    if test[:2] in ("pp", "tg"):
        return f"{row['n'] / seconds(row):.1f} tok/s"
    return f"{seconds(row):.2f} s" if seconds(row) < 10 else f"{seconds(row):.1f} s"


def memory(rows: dict[str, dict]) -> float:
    """Peak of the unpruned tests above what the process took before it loaded anything, MiB."""
    return max((r["rss"] - r["rss_baseline"]) / 2**20 for t, r in rows.items() if not t.endswith("-pruned"))


def bandwidth(rows: list[dict]) -> float:
    """Median bytes a second that the memory gave between the rounds; 0: not measured."""
    rates = [rate for row in rows if row["runtime"] == MEMORY for rate in row["bytes_per_s"]]
    return median(rates) if rates else 0


def shares(theirs: dict | None, ours: dict | None, most: float) -> list[str]:
    """Of `most` bytes a second, what reading the weights for each token takes; nothing for other tests than decoding."""
    if not most or not ours or "bytes_per_token" not in ours:
        return []
    return [f'{row["n"] / seconds(row) * ours["bytes_per_token"] / most:.0%}' if row else "-" for row in (theirs, ours)]


def order(test: str) -> tuple:
    kinds = ["pp", "tg", "encode", "ttft", "ttft-pruned", "load"]
    kind = test[:2] if test[:2] in kinds else test
    return (kinds.index(kind) if kind in kinds else len(kinds), test)


def markdown(rows: list[dict]) -> str:
    """Rows of one run, one model and one number of threads."""
    peer, own = by_test(rows, PEER), by_test(rows, OWN)
    most = bandwidth(rows)
    lines = ["| work | llama.cpp | Occam | ratio |", "|---|--:|--:|--:|"]
    for test in sorted({**peer, **own}, key=order):
        theirs, ours = peer.get(test.removesuffix("-pruned")), own.get(test)
        ratio = f"{seconds(theirs) / seconds(ours):.2f}x" if theirs and ours else "-"
        lines.append(f"| {work(test, ours or theirs)} | {amount(test, theirs)} | {amount(test, ours)} | {ratio} |")
        if share := shares(theirs, ours, most):
            lines.append(f"| its weights, of the {most / 1e9:.1f} GB/s that memory gives | {share[0]} | {share[1]} | |")
    if peer and own:
        theirs, ours = memory(peer), memory(own)
        lines.append(f"| peak RSS, unpruned | {theirs:.0f} MiB | {ours:.0f} MiB | {theirs / max(ours, 1e-9):.2f}x |")
    return "\n".join(lines)


def heading(rows: list[dict]) -> str:
    def facts(runtime: str) -> str:
        row = next((r for r in rows if r["runtime"] == runtime), None)
        if row is None:
            return ""
        build = f' ({row["build"]})' if row.get("build") else ""
        return f'; {row["version"] or runtime}{build}' if runtime == PEER else f'; Occam {row["version"]}{build}'

    first = next(row for row in rows if row["runtime"] != MEMORY)
    place = f', {first["cpu"]}' if first.get("cpu") else ""
    return (
        f'{first["model"]}, {first["threads"]} threads, median of {first["repetitions"]}{place}'
        f'{", " + first["run"][:10] if first.get("run") else ""}{facts(PEER)}{facts(OWN)}')


def report(rows: list[dict]) -> str:
    groups: dict[tuple, list[dict]] = {}
    for row in rows:
        groups.setdefault((row["model"], row["threads"]), []).append(row)
    return "\n\n".join(f"{heading(group)}\n\n{markdown(group)}" for group in groups.values())


def summary(samples: list[float]) -> dict:
    return {
        "repetitions": len(samples), "seconds_median": median(samples), "seconds_mean": sum(samples) / len(samples),
        "seconds_min": min(samples), "seconds_max": max(samples),
    }


def main():
    parser = argparse.ArgumentParser(description="Markdown table of a results file.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--run", help="the run's time, or its beginning (default: the last one)")
    parser.add_argument("--list", action="store_true", help="list the runs in the file")
    options = parser.parse_args()
    rows = [json.loads(line) for line in options.file.read_text().splitlines() if line.strip()]
    runs = list(dict.fromkeys(row["run"] for row in rows))
    if options.list:
        print("\n".join(runs))
        return
    chosen = [run for run in runs if run.startswith(options.run or "")][-1:]
    if not chosen:
        sys.exit(f"table.py: {options.file} holds no run {options.run or ''}")
    print(report([row for row in rows if row["run"] == chosen[0]]))


if __name__ == "__main__":
    main()
