#!/usr/bin/env python3
"""The whole comparison in one command: every method at every budget, then the report.

    python bench/eval/run.py -m model.gguf --mmproj mmproj.gguf --questions test.jsonl --calibrate validation.jsonl --out DIR

Adaptive methods get their lambda2 on the calibration questions, never on the ones that are asked. A run that was stopped goes
on where it ended. The results are in DIR/results.jsonl, the report in DIR/report.md. Flags that are not known here are handed to
occam-eval (-n 32, --types count, --encoder-type stored).
"""

import argparse
import pathlib
import subprocess
import sys

from report import Report
from results import Results

HERE = pathlib.Path(__file__).resolve().parent
ADAPTIVE = "occamtoken,no-stage-one,mean-register,mean"
STAGE_ONE = "cls,divprune,cdpruner,random"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", required=True)
    parser.add_argument("--mmproj")
    parser.add_argument("--questions", required=True)
    parser.add_argument("--calibrate", required=True)
    parser.add_argument("--out", required=True, type=pathlib.Path)
    parser.add_argument("--budgets", default="22%,11%,5.6%,2.8%")
    parser.add_argument("--limit", help="only the first questions")
    parser.add_argument("--calibrate-limit", help="how many of the calibration questions")
    parser.add_argument("--layer", help="text layer of stage II; several with commas are compared")
    parser.add_argument("--lambda1", help="stage I threshold; several with commas are compared")
    parser.add_argument("--lambda2", help="of the lambda curve, commas between (default: round those of the budgets)")
    parser.add_argument("-t", "--threads")
    parser.add_argument("--eval", default=str(HERE.parents[1] / ".build/release/occam-eval"), help="the tool")
    arguments, others = parser.parse_known_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    file = arguments.out / "results.jsonl"

    common = [arguments.eval, "-m", arguments.model, "--questions", arguments.questions, "--results", str(file), *others]
    for flag, value in (("--mmproj", arguments.mmproj), ("--limit", arguments.limit), ("-t", arguments.threads)):
        common += [flag, value] if value else []
    # OccamToken's own flags; FastV keeps the layer and the policy of its paper.
    ours = []
    for flag, value in (("--prune-layer", arguments.layer), ("--lambda1", arguments.lambda1)):
        ours += [word for each in value.split(",") for word in (flag, each)] if value else []
    calibrate = ["--calibrate", arguments.calibrate]
    if arguments.calibrate_limit:
        calibrate += ["--calibrate-limit", arguments.calibrate_limit]

    def ask(title, *flags):
        print(f"-- {title}", file=sys.stderr, flush=True)
        subprocess.run([*common, *flags], check=True)

    budgets = arguments.budgets
    ask("adaptive methods and fixed counts", "--methods", f"{ADAPTIVE},occamtoken-fixed", "--match-budget", budgets,
        "--method-budget", budgets, *calibrate, *ours)
    ask("rivals at the same counts", "--methods", f"{STAGE_ONE},fastv", "--method-budget", budgets)
    results = Results([file])
    # Rows a layer that OccamToken ran at each budget: counts at which methods with one stage cost as much. FastV runs all
    # tokens through its first layers, so that few budgets can be met.
    rows = {setting.per_layer for setting in results.of("occamtoken")}
    total, layers = results.baseline.total, len(results.baseline.records[0]["rows_per_layer"])
    counts = sorted({max(1, round(value)) for value in rows} | {max(1, round(value / 2 ** 0.5)) for value in rows})
    ask("rivals at equal compute", "--methods", STAGE_ONE, "--method-budget", ",".join(map(str, counts)))
    fastv = sorted({round((value * layers - 2 * total) / (layers - 2)) for value in rows if layers > 2})
    fastv = [count for count in fastv if count >= 1]
    if fastv:
        ask("FastV at equal compute", "--methods", "fastv", "--method-budget", ",".join(map(str, fastv)))
    ask("FastV without its cells", "--methods", "fastv", "--method-budget", budgets, "--kv-policy", "compact")
    ask("cells kept", "--methods", "occamtoken", "--match-budget", budgets, "--kv-policy", "keep", *calibrate, *ours)
    matched = [setting.lambda2 for setting in results.of("occamtoken")]
    grid = [0, *(share * min(matched) for share in (0.25, 0.5, 0.75, 0.9)), 1.5 * max(matched)]
    lambdas = arguments.lambda2.split(",") if arguments.lambda2 else [f"{value:.3g}" for value in grid]
    curve = [word for value in lambdas for word in ("--lambda2", value)]
    ask("lambda curve", "--methods", "occamtoken", *curve, *ours)
    Report(Results([file]), arguments.out).write()
    print(arguments.out / "report.md")


if __name__ == "__main__":
    main()
