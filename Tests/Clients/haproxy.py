#!/usr/bin/env python3
"""HAProxy with the shipped haproxy.cfg before two workers, of which one is killed, told to stop, and begun again.

HAProxy is found by PATH. Its admin socket, which the shipped file does not open, tells what it thinks of the workers.
"""

import contextlib
import http.client
import json
import os
import socket
import tempfile
import threading

from support import ROOT, Process, Service, check, eventually, free_port, get, questions, run, streamed_text

QUESTIONS = questions()
TEXT = {"messages": [{"role": "user", "content": "Number 0"}], "temperature": 0, "ignore_eos": True, "max_tokens": 200}


class Farm:
    """HAProxy and two workers; ended with the block."""

    def __init__(self):
        self.workers = []
        # Whatever has begun is ended, also where the rest does not begin.
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            stack.callback(lambda: [worker.end() for worker in self.workers])
            for _ in range(2):
                self.workers.append(self.worker())
            self.port = free_port()
            self.admin = f"{folder}/admin"
            with open(f"{folder}/admin.cfg", "w") as file:
                file.write(f"global\n    stats socket {self.admin} mode 600 level admin\n")
            environment = dict(
                os.environ, OCCAM_BIND=f"127.0.0.1:{self.port}",
                OCCAM_WORKER_1=f"127.0.0.1:{self.workers[0].port}", OCCAM_WORKER_2=f"127.0.0.1:{self.workers[1].port}")
            shipped = f"{ROOT}/Sources/occam-serve/Deploy/haproxy.cfg"
            stack.enter_context(
                Process("haproxy", "-db", "-f", shipped, "-f", f"{folder}/admin.cfg", env=environment))
            self.until("UP", "UP")
            self.stack = stack.pop_all()

    def worker(self, port=None):
        return Service("--parallel", "4", "--drain-delay", "2", "--threads", "1", port=port)

    def states(self):
        """Of each worker: UP or DOWN, requests at work, requests so far, replies that it did not end."""
        with socket.socket(socket.AF_UNIX) as admin:
            admin.connect(self.admin)
            admin.sendall(b"show stat\n")
            rows = admin.makefile().read().splitlines()
        names = rows[0].lstrip("# ").split(",")
        rows = [dict(zip(names, row.split(","))) for row in rows[1:] if row]
        servers = [row for row in rows if row["svname"].startswith("worker")]
        return [(row["status"].split()[0], int(row["scur"]), int(row["stot"]), int(row["eresp"]) + int(row["srv_abrt"]))
                for row in servers]

    def until(self, *wanted):
        eventually(lambda: tuple(state[0] for state in self.states()) == wanted, f"workers that are {wanted}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stack.close()


class Load:
    """Clients that ask one question after another through the proxy, half of them as streams, until the block ends."""

    def __init__(self, port, clients=6):
        self.port = port
        self.isOver = False
        self.answered = 0
        self.failures = []
        self.threads = [threading.Thread(target=self.client, args=(index,)) for index in range(clients)]
        self.expected = self.ask(False, TEXT)

    def ask(self, isStream, body):
        """- Returns: the text; raises when there is none or it is cut off."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request("POST", "/v1/chat/completions", json.dumps({**body, "stream": isStream}))
            reply = connection.getresponse()
            data = reply.read()
            check(reply.status == 200, f"{reply.status} {data[:200]}")
            if not isStream:
                return json.loads(data)["choices"][0]["message"]["content"]
            return streamed_text(data.decode())
        finally:
            connection.close()

    def client(self, index):
        count = index
        while not self.isOver:
            question = QUESTIONS[count % len(QUESTIONS)] if count % 2 else None
            body = {"messages": question.messages(), "temperature": 0} if question else TEXT
            # More than the proxy's buffer holds: it cannot be given to the other worker once it has begun to go out.
            body = {**body, "padding": "x" * 200_000} if count % 3 == 0 else body
            try:
                text = self.ask(count % 4 < 2, body).strip()
                wanted = question.answer if question else self.expected.strip()
                check(text == wanted, f"{text!r}, not {wanted!r}")
                self.answered += 1
            except Exception as error:  # noqa: BLE001
                self.failures.append(f"{type(error).__name__}: {error}")
            count += 1

    def more(self, count=60):
        """Waits for so many further answers."""
        goal = self.answered + count
        eventually(lambda: self.answered >= goal, f"{count} answers more; failures: {self.failures}")

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.isOver = True
        for thread in self.threads:
            thread.join()


def killed_under_load_only_what_it_had_fails():
    with Farm() as farm, Load(farm.port) as load:
        load.more()
        check(not load.failures, load.failures)
        eventually(lambda: all(state[1] > 0 for state in farm.states()), "both workers at work")
        victim = farm.workers[1]
        victim.process.kill()
        victim.process.wait()
        farm.until("UP", "DOWN")
        load.more()
        broken = [state[3] for state in farm.states()]
        check(broken[0] == 0, "the other worker broke replies, too")
        check(len(load.failures) <= min(broken[1], len(load.threads)), f"{broken} broken, but {load.failures}")
        failed = len(load.failures)
        # Begun again on its port, it is taken in and gets work.
        farm.workers[1] = farm.worker(victim.port)
        farm.until("UP", "UP")
        before = farm.states()[1][2]
        load.more()
        check(farm.states()[1][2] > before, "the worker that came back gets no work")
        check(len(load.failures) == failed, load.failures[failed:])
        print(f"        {load.answered} answers, {failed} failed with the worker that was killed")


def told_to_stop_under_load_nothing_fails():
    with Farm() as farm, Load(farm.port) as load:
        for index in (0, 1):
            load.more()
            leaving = farm.workers[index]
            leaving.process.terminate()
            check(leaving.process.wait(120) == 0, f"exit code {leaving.process.returncode}: {leaving.said()}")
            load.more()
            farm.workers[index] = farm.worker(leaving.port)
            farm.until("UP", "UP")
        load.more()
        check(not load.failures, load.failures)
        print(f"        {load.answered} answers, none failed")


def the_proxy_passes_what_it_is_asked():
    with Farm() as farm:
        check(get(farm.port, "/health")[0] == 200, "health")
        check(b"<title>" in get(farm.port, "/")[1], "the page")
        status, body = get(farm.port, "/v1/chat/completions", method="POST", body={"messages": 7})
        check(status == 400 and b"messages" in body, body)


if __name__ == "__main__":
    run(the_proxy_passes_what_it_is_asked, killed_under_load_only_what_it_had_fails,
        told_to_stop_under_load_nothing_fails)
