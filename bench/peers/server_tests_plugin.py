"""pytest's side of server_tests.py: skips what does not apply, makes the assertions about another model's words and
token counts lenient where the lists say so, and reports a JSON line a test to OCCAM_REPORT."""
import fnmatch
import json
import os
import sys
from pathlib import Path

import pytest
from server_tests_lists import COUNTS, ENDLESS, NOT_APPLICABLE, PICTURES, WORDS

ROOT = Path(__file__).resolve().parents[2]


class AnyCount:
    """Equal to every count of tokens there is."""

    def __eq__(self, other):
        return isinstance(other, int) and other > 0

    def __repr__(self):
        return "some tokens"


def name(item) -> str:
    return item.nodeid.removeprefix("unit/")


def matches(patterns, test: str) -> bool:
    return any(fnmatch.fnmatchcase(test, pattern) for pattern in patterns)


def pytest_configure(config):
    sys.path.insert(0, os.getcwd())
    import requests
    import utils

    # The tests' own models are not there; nothing needs to be downloaded.
    utils.ServerPreset.load_all = staticmethod(lambda: None)
    exact, get = utils.match_regex, requests.get
    utils.match_regex = lambda regex, text: isinstance(text, str) if state["words"] else exact(regex, text)

    def picture_or_get(url, *arguments, **options):
        for end, file in PICTURES.items():
            if url.endswith(end):
                response = requests.Response()
                response.status_code = 200
                response._content = (ROOT / file).read_bytes()
                return response
        return get(url, *arguments, **options)

    requests.get = picture_or_get


# What holds for the test at work.
state = {"words": False}


def pytest_collection_modifyitems(items):
    for item in items:
        test = name(item)
        for pattern, reason in NOT_APPLICABLE:
            if fnmatch.fnmatchcase(test, pattern):
                item.add_marker(pytest.mark.skip(reason=reason))
        if matches(COUNTS, test) and hasattr(item, "callspec"):
            for parameter in ("n_prompt", "batch_count", "n_token_output"):
                if parameter in item.callspec.params:
                    item.callspec.params[parameter] = AnyCount()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    state["words"] = matches(WORDS, name(item))
    os.environ["OCCAM_IGNORE_EOS"] = "1" if matches(ENDLESS, name(item)) else "0"


def pytest_runtest_logreport(report):
    test = report.nodeid.removeprefix("unit/")
    if report.when == "call" or report.outcome != "passed" and report.when == "setup":
        if report.outcome == "skipped":
            reason = report.longrepr[2].removeprefix("Skipped: ")
        else:
            crash = getattr(report.longrepr, "reprcrash", None)
            reason = f"{crash.message.splitlines()[0]} (line {crash.lineno})" if crash else str(report.longrepr or "")
        with open(os.environ["OCCAM_REPORT"], "a") as file:
            print(json.dumps({"test": test, "outcome": report.outcome, "reason": reason[:300]}), file=file)
