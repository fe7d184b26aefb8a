"""What the clients' checks share: a service of their own, the shipped model's pictures and its right answers.

Every file of this folder runs alone, too: Tests/Clients/openai_client.py [--binary FILE] [--model FILE.gguf].
Python must be that of Tests/Clients/run.sh where a file needs a package.
"""

import argparse
import base64
import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PATIENCE = 120

parser = argparse.ArgumentParser()
parser.add_argument("--binary", default=f"{ROOT}/.build/release/occam-serve")
parser.add_argument("--model", default=f"{ROOT}/Models/scenes/scenes-Q8_0.gguf")
OPTIONS, _ = parser.parse_known_args()


def check(condition, text):
    if not condition:
        raise AssertionError(text)


def eventually(condition, what, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(0.02)
    raise AssertionError(f"waited in vain for {what}")


class Question:
    """One of the shipped model's sample questions, which it answers rightly."""

    def __init__(self, entry):
        self.text = entry["question"]
        self.answer = entry["answer"]
        with open(f"{ROOT}/Models/scenes/{entry['image']}", "rb") as file:
            self.png = base64.b64encode(file.read()).decode()
        self.url = "data:image/png;base64," + self.png

    def messages(self):
        """As chat completions take them."""
        picture = {"type": "image_url", "image_url": {"url": self.url}}
        return [{"role": "user", "content": [picture, {"type": "text", "text": self.text}]}]

    def check(self, text):
        check(text.strip() == self.answer, f"{self.text} {text!r}, not {self.answer!r}")


def questions():
    """Of the kinds that it answers rightly with pruning, too."""
    with open(f"{ROOT}/Models/scenes/questions.jsonl") as file:
        entries = [json.loads(line) for line in file]
    return [Question(entry) for entry in entries if entry["type"] in ("attribute", "existence", "relation")]


def yellow():
    """Which object is yellow? The car."""
    return next(question for question in questions() if question.answer == "car")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(port, path, host="127.0.0.1", method="GET", body=None, timeout=PATIENCE):
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


class Service:
    """One occam-serve on a port of its own; ended with the block."""

    def __init__(self, *arguments, port=None):
        self.log = tempfile.NamedTemporaryFile(prefix="occam-client-", suffix=".log")
        command = [OPTIONS.binary, "-m", OPTIONS.model, "--port", str(port or 0), *arguments]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.log)
        self.port = port
        try:
            eventually(lambda: self.process.poll() is not None or "ready" in self.said(), "the service")
            found = re.search(r"http://127\.0\.0\.1:(\d+)", self.said())
            check(found and self.process.poll() is None, f"it does not begin: {self.said()}")
        except AssertionError:
            self.end()
            raise
        self.port = int(found[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def said(self):
        with open(self.log.name, errors="replace") as file:
            return file.read()

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


@contextlib.contextmanager
def raises(kind, part=""):
    """Of a client's error class, with these words."""
    try:
        yield
    except kind as error:
        check(part in str(error), f"{kind.__name__} without {part!r}: {error}")
        return
    raise AssertionError(f"no {kind.__name__}")


def run(*checks):
    """Each check by itself, a line for each. Ends the process."""
    failures = 0
    for one in checks:
        start = time.monotonic()
        name = one.__name__.replace("_", " ")
        try:
            one()
            print(f"ok      {name} ({time.monotonic() - start:.1f} s)", flush=True)
        except Exception:  # noqa: BLE001
            failures += 1
            print(f"FAILED  {name}\n{traceback.format_exc()}", flush=True)
    sys.exit(1 if failures else 0)
