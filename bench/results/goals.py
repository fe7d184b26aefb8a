"""What Occam is to reach against llama.cpp on a machine with AVX2 and two cores, and the table of a run that measured it.

usage: python goals.py FILE.jsonl [--run RUN]      the table of a run of bench/peers/llama_cpp.py --goals
"""
import argparse
import json
from dataclasses import dataclass
from pathlib import Path

from table import OWN, PEER, amount, bandwidth, by_test, memory, seconds, shares, work


@dataclass
class Case:
    """A pair of generated files (occam-fixture), and the least ratio asked of each test."""
    name: str
    title: str
    shape: str
    type: str
    goals: dict[str, float]
    has_image: bool = False
    threads: int = 2
    # A round of the largest pair takes minutes.
    most_rounds: int = 99
    # Of the picture, a square; 0: the photo of the tests.
    side: int = 0
    # Visual tokens behind stage I and behind stage II in the pruned runs, where they are not the command's own.
    stage1: int | None = None
    budget: int | None = None


QWEN = {"pp512": 2.5, "encode": 3, "tg64": 1.2, "ttft": 3, "ttft-pruned": 5}
PAIR = {"pp512": 3, "tg64": 1.45, "encode": 2.5, "ttft-pruned": 6, "load": 1 / 1.2}
GOALS = [
    Case("q4_0", "1.1B, Q4_0", "bench-1b", "Q4_0", PAIR, has_image=True),
    Case("q4_k_m", "1.1B, Q4_K_M", "bench-1b", "Q4_K_M", {"pp512": 3, "tg64": 1.45, "load": 1 / 1.2}),
    Case("q8_0", "1.1B, Q8_0", "bench-1b", "Q8_0", {"pp512": 2, "tg64": 1.2, "load": 1 / 1.2}),
    Case("q6_k", "1.1B, Q6_K", "bench-1b", "Q6_K", {"pp512": 2, "load": 1 / 1.2}),
    Case("f16", "1.1B, F16", "bench-1b", "F16", {"pp512": 1.2, "load": 1 / 1.2}),
    Case("tile", "SigLIP-B/16 512 x 512", "bench-tile", "Q4_0", {"encode": 2.5}, has_image=True),
    Case("7b", "LLaVA-1.5-7B, Q4_0", "llava-1.5-7b", "Q4_0", {"ttft-pruned": 8}, has_image=True, most_rounds=1),
    Case(
        "smolvlm", "SmolVLM-500M, Q8_0, 17 tiles", "smolvlm-500m", "Q8_0", {"encode": 3, "ttft": 4}, has_image=True,
        side=1024),
    Case(
        "gemma3", "Gemma-3-4B, Q4_0, 896 x 896", "gemma-3-4b", "Q4_0", {"pp512": 2.5, "encode": 2.5}, has_image=True,
        side=896, most_rounds=1),
    # 1,024 visual tokens, of which 11 % are left.
    Case(
        "qwen3vl", "Qwen3-VL-2B, Q4_0, 1024 x 1024", "qwen3-vl-2b", "Q4_0", QWEN, has_image=True, side=1024, most_rounds=1,
        stage1=250, budget=113),
    Case(
        "qwen35", "Qwen3.5-2B, Q4_0, 1024 x 1024", "qwen3.5-2b", "Q4_0", QWEN, has_image=True, side=1024, most_rounds=1,
        stage1=250, budget=113),
    Case(
        "gemma4", "Gemma 4 E2B, Q4_0, 1024 x 1024", "gemma4-e2b", "Q4_0", {"pp512": 2.5}, has_image=True, side=1024,
        most_rounds=1),
    Case("one", "1.1B, Q4_0, 1 thread", "bench-1b", "Q4_0", PAIR, has_image=True, threads=1),
]


def goal(test: str, least: float | None) -> str:
    if least is None:
        return ""
    return "at most 1.2 times its time" if test == "load" else f"{least:g}x"


def goals_table(rows: list[dict]) -> str:
    """One row for each test of each pair. A ratio above 1: Occam is that many times faster or takes that much less."""
    lines = [
        "| model | work | asked | ratio | met | llama.cpp | Occam | of read bandwidth |", "|---|---|--:|--:|--:|--:|--:|--:|"]
    for case in GOALS:
        name = f"{case.shape}-{case.type}.gguf"
        mine = [row for row in rows if row["model"] == name and row["threads"] == case.threads]
        peer, own = by_test(mine, PEER), by_test(mine, OWN)
        most = bandwidth(mine)
        for test in ("pp512", "tg64", "encode", "ttft", "ttft-pruned", "load"):
            theirs, ours = peer.get(test.removesuffix("-pruned")), own.get(test)
            if not theirs or not ours or (case.shape == "bench-tile" and test in ("pp512", "tg64", "load")):
                continue
            ratio, least = seconds(theirs) / seconds(ours), case.goals.get(test)
            met = "" if least is None else "yes" if ratio >= least else "no"
            lines.append(
                f"| {case.title} | {work(test, ours)} | {goal(test, least)} | {ratio:.2f}x | {met} | "
                f"{amount(test, theirs)} | {amount(test, ours)} | {', '.join(shares(theirs, ours, most))} |")
        if "ttft" in own and "weights_bytes" in own["ttft"]:
            # Weights and 10 %, and the KV cells of the answer.
            limit = (1.1 * own["ttft"]["weights_bytes"] + own["ttft"]["kv_bytes"]) / 2**20
            theirs, ours = memory(peer), memory(own)
            lines.append(
                f"| {case.title} | peak RSS, unpruned | {limit:.0f} MiB | {theirs / ours:.2f}x | "
                f"{'yes' if ours <= limit else 'no'} | {theirs:.0f} MiB | {ours:.0f} MiB | |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description="Table of goals of a results file.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--run", help="the run's time, or its beginning (default: the last one)")
    options = parser.parse_args()
    rows = [json.loads(line) for line in options.file.read_text().splitlines() if line.strip()]
    runs = [run for run in dict.fromkeys(row["run"] for row in rows) if run.startswith(options.run or "")]
    print(goals_table([row for row in rows if runs and row["run"] == runs[-1]]))


if __name__ == "__main__":
    main()
