"""Runs llama-server's own tests (llama.cpp, tools/server/tests) against occam-serve. README.md explains the table.

usage: python server_tests.py --tests DIR [--occam-serve .build/release/occam-serve] [--model FILE.gguf] [-k EXPRESSION]

Needs pytest, requests, openai, wget, filelock. The tests ask for models of their own; the model that is served instead
says other words in other tokens. What follows from that, and what Occam does not offer, stands in
server_tests_lists.py, test by test; every other failure is one, and makes the exit code 1.
"""
import argparse
import collections
import fnmatch
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))
from server_tests_lists import DIFFERS, NOT_APPLICABLE  # noqa: E402


def listed(entries, test: str):
    """The first entry whose pattern names the test."""
    return next((entry for entry in entries if fnmatch.fnmatchcase(test, entry[0])), None)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(options) -> list[dict]:
    """One row a test, as server_tests_plugin.py writes them."""
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as report:
        environment = {
            **os.environ, "LLAMA_SERVER_BIN_PATH": str(HERE / "occam_llama_server"), "PORT": str(free_port()),
            "OCCAM_SERVE": str(options.occam_serve.resolve()), "OCCAM_MODEL": str(options.model.resolve()),
            "OCCAM_REPORT": report.name, "PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [sys.executable, "-m", "pytest", "-p", "server_tests_plugin", "-p", "no:cacheprovider", "-q"]
        command += ["-k", options.k] if options.k else []
        with open(options.log, "w") as log:
            subprocess.run([*command, "unit"], cwd=options.tests, env=environment, stdout=log, stderr=log)
        return [json.loads(line) for line in open(report.name)]


def classified(row) -> tuple[str, str]:
    """Of a test: one of the headings, and why."""
    test, outcome, reason = row["test"], row["outcome"], row["reason"]
    if outcome == "skipped":
        entry = listed(NOT_APPLICABLE, test)
        if entry:
            return "not applicable", entry[1]
        return "skipped by the test itself", reason
    entry = listed(DIFFERS, test)
    if outcome == "passed":
        return "passed", f"though listed as: {entry[2]}" if entry else ""
    # A listed test may fail where the entry says, and nowhere else.
    if entry and re.search(entry[1], reason):
        return "differs", entry[2]
    return "failed", reason


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tests", type=Path, required=True, help="llama.cpp's tools/server/tests")
    parser.add_argument("--occam-serve", type=Path, default=ROOT / ".build/release/occam-serve")
    parser.add_argument("--model", type=Path, default=ROOT / "Models/scenes/scenes-Q8_0.gguf")
    parser.add_argument("--log", default=os.devnull, help="file for what pytest says")
    parser.add_argument("-k", help="only these tests, as pytest's -k")
    options = parser.parse_args()

    groups = collections.defaultdict(list)
    for row in run(options):
        heading, reason = classified(row)
        groups[heading].append((row["test"], reason))
    if not groups:
        sys.exit("server_tests: no test was run; see --log")
    for heading in ("differs", "not applicable", "skipped by the test itself", "failed", "passed"):
        rows = [row for row in groups[heading] if row[1]]
        reasons = collections.Counter(reason for _, reason in rows)
        if rows:
            print(f"\n{heading}")
        # Reasons that many tests share are said once.
        for reason, count in sorted(reasons.items()):
            tests = [test for test, why in rows if why == reason]
            name = tests[0] if count == 1 or heading == "failed" else f"{count} of {tests[0].split('::')[0]}, ..."
            for test in tests if heading == "failed" else [name]:
                print(f"  {test}: {reason}")
    print("\n" + ", ".join(f"{len(rows)} {heading}" for heading, rows in groups.items()))
    return 1 if groups["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
