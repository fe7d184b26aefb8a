"""What the clients' checks share: a service of their own, the shipped model's pictures and its right answers.

Every file of this folder runs alone, too:

    Tests/Clients/openai_client.py [--binary FILE] [--model FILE.gguf] [CHECK...]

Python must be that of Tests/Clients/run.sh where a file needs a package.
"""

import argparse
import atexit
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
parser.add_argument("--pictures", metavar="FOLDER", help="page.py keeps screenshots there")
parser.add_argument("checks", nargs="*", metavar="CHECK", help="a function of the file; default: all of them")
OPTIONS = parser.parse_args()


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


def streamed_text(data):
    """The text of a chat that came as a whole event stream."""
    # Other characters that Python takes for line ends may stand in a text.
    events = [line[6:] for line in data.split("\n") if line.startswith("data: ")]
    check(events and events[-1] == "[DONE]", f"a stream without its end: {events[-1:]}")
    deltas = [json.loads(event)["choices"][0]["delta"] for event in events[:-1]]
    return "".join(delta.get("content") or "" for delta in deltas)


class Process:
    """A command; killed with the block, and with this program at the latest."""

    def __init__(self, *command, stderr=None, **more):
        self.log = tempfile.NamedTemporaryFile(prefix="occam-client-", suffix=".log")
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr or self.log, **more)
        atexit.register(self.end)

    def until(self, condition, what):
        """Waits for a condition, in vain where the process ends; it is killed then."""
        try:
            eventually(lambda: self.ended() or condition(), what)
            check(not self.ended(), f"it ended with {self.process.returncode}: {self.said()}")
        except BaseException:
            self.end()
            raise

    def said(self):
        with open(self.log.name, errors="replace") as file:
            return file.read()

    def ended(self):
        return self.process.poll() is not None

    def code(self, seconds=PATIENCE):
        """The exit code of a process that ends by itself."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError("it does not end") from None

    def end(self):
        if not self.ended():
            self.process.kill()
        self.process.wait()
        atexit.unregister(self.end)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


class Serve(Process):
    """One occam-serve, which may not listen yet."""

    def __init__(self, *arguments, **more):
        super().__init__(OPTIONS.binary, "-m", OPTIONS.model, *arguments, **more)

    def said_port(self):
        """The port, when it has said one."""
        found = re.search(r"http://127\.0\.0\.1:(\d+)", self.said())
        return int(found[1]) if found else None


class Service(Serve):
    """One occam-serve that is ready, on a port of its own."""

    def __init__(self, *arguments, port=None):
        super().__init__("--port", str(port or 0), *arguments)
        self.until(lambda: "ready" in self.said(), "the service")
        self.port = self.said_port()
        self.url = f"http://127.0.0.1:{self.port}"


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
    """Each check by itself, a line for each; of all, those that the command line names. Ends the process."""
    names = [one.__name__ for one in checks]
    unknown = sorted(set(OPTIONS.checks) - set(names))
    if unknown:
        parser.error(f"no {', '.join(unknown)}; there are: {', '.join(names)}")
    failures = 0
    for one in checks:
        if OPTIONS.checks and one.__name__ not in OPTIONS.checks:
            continue
        start = time.monotonic()
        name = one.__name__.replace("_", " ")
        try:
            one()
            print(f"ok      {name} ({time.monotonic() - start:.1f} s)", flush=True)
        except Exception:  # noqa: BLE001
            failures += 1
            print(f"FAILED  {name}\n{traceback.format_exc()}", flush=True)
    sys.exit(1 if failures else 0)
