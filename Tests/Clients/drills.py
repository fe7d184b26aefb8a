#!/usr/bin/env python3
"""Drills of occam-serve that need a process to be killed, starved or told to stop.

    Tests/Clients/drills.py [--binary .build/release/occam-serve] [--model FILE.gguf] [DRILL...]

Standard library only. Exit code 1 if a drill fails, 2 if none has the name. No drill judges speed; waits are bounded
and long.
"""

import contextlib
import http.client
import json
import os
import random
import re
import resource
import signal
import socket
import tempfile
import threading
import time

import support
from support import PATIENCE, check, eventually, free_port, run, streamed_text


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=PATIENCE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self.path)


class Serve(support.Serve):
    """One process; ended with the block."""

    def __init__(self, *arguments, port=0, unix=None, stderr=None, files=None, cores=None, wait=True):
        self.unix = unix
        self.port = port
        where = ["--unix", unix] if unix else ["--port", str(port)]

        def limit():
            if files:
                resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
            if cores:
                os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])

        super().__init__(*where, *arguments, stderr=stderr, preexec_fn=limit)
        if not wait:
            return
        if port == 0 and not unix:
            self.until(self.said_port, "the port")
            self.port = self.said_port()
        self.until(lambda: self.health() == 200, "the service to be ready")

    def connection(self):
        if self.unix:
            return UnixConnection(self.unix)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def ask(self, method, path, body=None, connection=None):
        own = connection or self.connection()
        try:
            own.request(method, path, None if body is None else json.dumps(body))
            reply = own.getresponse()
            return reply.status, reply.read()
        finally:
            if connection is None:
                own.close()

    def health(self, connection=None):
        return self.ask("GET", "/health", connection=connection)[0]

    def answer(self, text="What do you see?", tokens=12):
        status, body = self.ask("POST", "/v1/chat/completions", chat(text, tokens))
        check(status == 200, f"{status} {body[:300]}")
        return json.loads(body)["choices"][0]["message"]["content"]

    def metric(self, name):
        text = self.ask("GET", "/metrics")[1].decode()
        found = re.search(rf"^occam:{name} (\S+)$", text, re.M)
        check(found, f"no metric {name}")
        return float(found[1])

    def begun(self, text="Once", tokens=None):
        """A stream whose first events have come."""
        connection = self.connection()
        connection.request("POST", "/v1/chat/completions", json.dumps({**chat(text, tokens), "stream": True}))
        reply = connection.getresponse()
        check(reply.status == 200, f"no stream: {reply.status}")
        for _ in range(4):
            check(reply.readline(), "the stream ended at once")
        return connection, reply


def chat(text, tokens):
    body = {"messages": [{"role": "user", "content": text}], "temperature": 0, "ignore_eos": True}
    return {**body, "max_tokens": tokens} if tokens else body


def is_cut(reply):
    """Whether a stream ends without its proper end: a reply, or the connection where it has not begun yet."""
    try:
        if isinstance(reply, http.client.HTTPConnection):
            reply = reply.getresponse()
        return b"[DONE]" not in reply.read()
    except (http.client.HTTPException, OSError):
        return True


def killed_in_mid_stream_it_comes_back(unix):
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/socket" if unix else None
        with Serve(unix=path) as first:
            expected = first.answer()
            _, reply = first.begun()
            first.process.send_signal(signal.SIGKILL)
            check(first.code() == -signal.SIGKILL, "it was not killed")
            check(is_cut(reply), "a killed service's stream looks whole")
        check(path is None or os.path.exists(path), "nothing was left behind: the drill shows nothing")
        with Serve(unix=path, port=first.port) as second:
            check(second.answer() == expected, "another answer behind the restart")
            if not unix:
                return
            # The place of a living one is not taken.
            with Serve(unix=path, wait=False) as third:
                check(third.code() not in (0, None), "two services on one socket")
            check(second.answer() == expected, "a second service broke the first")
            second.process.terminate()
            check(second.code() == 0, "SIGTERM")
            check(not os.path.exists(path), "the socket file is left behind")


def kill_9_and_the_same_port():
    killed_in_mid_stream_it_comes_back(unix=False)


def kill_9_and_the_same_unix_socket():
    killed_in_mid_stream_it_comes_back(unix=True)


def sigterm_under_load_finishes_what_is_at_work():
    with Serve("-np", "2", "--drain-seconds", "600") as serve:
        expected = serve.answer("Number 0", 400)
        results = [None] * 8

        def ask(index):
            try:
                if index % 2:
                    results[index] = serve.answer("Number 0", 400)
                    return
                connection = serve.connection()
                connection.request(
                    "POST", "/v1/chat/completions", json.dumps({**chat("Number 0", 400), "stream": True}))
                results[index] = streamed_text(connection.getresponse().read().decode())
            except Exception as error:  # noqa: BLE001
                results[index] = error

        # Replies that keep both slots until the others wait.
        holders = [serve.begun() for _ in range(2)]
        idle = serve.connection()
        check(serve.health(idle) == 200, "no health")
        threads = [threading.Thread(target=ask, args=(index,)) for index in range(8)]
        for thread in threads:
            thread.start()
        eventually(lambda: serve.metric("requests_deferred") == 8, "eight that wait")
        serve.process.terminate()
        eventually(lambda: serve.ask("GET", "/health")[0] == 503, "a draining service")
        status, body = serve.ask("POST", "/v1/chat/completions", chat("late", 1))
        check(status == 503 and b"shutting down" in body, f"late: {status} {body[:200]}")
        for connection, reply in holders:
            reply.close()
            connection.close()
        for thread in threads:
            thread.join(PATIENCE)
        for index, result in enumerate(results):
            check(result == expected, f"request {index}: {result!r}")
        # The idle connection holds nobody up.
        check(serve.code() == 0, f"exit code {serve.process.returncode}")


def second_sigterm_ends_at_once():
    with Serve("-np", "1", "--drain-seconds", "3600") as serve:
        streams = [serve.begun()]
        for _ in range(40):
            connection = serve.connection()
            connection.request("POST", "/v1/chat/completions", json.dumps(chat("Number", None)))
            streams.append((connection, None))
        serve.process.terminate()
        eventually(lambda: "stopping" in serve.said(), "the first signal")
        check(not serve.ended(), "nothing was at work: the drill shows nothing")
        serve.process.terminate()
        check(serve.code() == 128 + signal.SIGTERM, f"exit code {serve.process.returncode}")


def drain_ends_at_its_time():
    with Serve(cores=1) as serve:
        start = time.monotonic()
        serve.answer(tokens=None)
        alone = time.monotonic() - start
    # Together on one core they take 20 s: they are at work 1 s after the signal, and 5 s later, which answers on their
    # way have; and would be done in the 30 s that they have without the flag.
    slots = min(256, max(4, round(20 / alone)))
    with Serve("-np", str(slots), "--drain-seconds", "1", cores=1) as serve:
        def ask(isStream):
            connection = serve.connection()
            body = {**chat("What do you see?", None), "stream": isStream}
            connection.request("POST", "/v1/chat/completions", json.dumps(body))
            return connection

        streams = [ask(True) for _ in range(slots)]
        eventually(lambda: serve.metric("requests_processing") == slots, f"{slots} at work")
        queue = [ask(False) for _ in range(4)]
        eventually(lambda: serve.metric("requests_deferred") == 4, "a queue")
        serve.process.terminate()
        check(serve.code() == 0, f"exit code {serve.process.returncode}")
        check(is_cut(streams[0]), "the first stream is whole: it had more time")
        with contextlib.suppress(http.client.HTTPException, OSError):
            reply = queue[-1].getresponse()
            check(reply.status != 200 or not reply.read(), "the last of the queue was answered whole")


def sigterm_at_any_moment_of_the_start():
    for index in range(25):
        with Serve(wait=False) as serve:
            time.sleep(random.Random(index).uniform(0, 0.15))
            serve.process.terminate()
            # Until its handler stands, the signal itself ends it.
            check(serve.code() in (0, -signal.SIGTERM), f"exit code {serve.process.returncode}: {serve.said()}")


def a_full_disk_for_messages_is_no_reason_to_stop():
    with open("/dev/full", "w") as full, Serve(port=free_port(), stderr=full) as serve:
        check(serve.answer(), "no answer")
        serve.process.terminate()
        check(serve.code() == 0, f"exit code {serve.process.returncode}")


def nobody_who_reads_messages_is_no_reason_to_stop():
    reading, writing = os.pipe()
    os.close(reading)
    with Serve(port=free_port(), stderr=writing) as serve:
        os.close(writing)
        check(serve.answer(), "no answer")
        serve.process.terminate()
        check(serve.code() == 0, f"exit code {serve.process.returncode}")


def descriptors_run_out_and_come_back():
    with Serve(files=64) as serve:
        expected = serve.answer()
        held = serve.connection()
        check(serve.health(held) == 200, "no health")
        crowd = []
        for _ in range(200):
            connection = socket.create_connection(("127.0.0.1", serve.port), PATIENCE)
            crowd.append(connection)
        # Whoever is in is served; whoever is not is told.
        for _ in range(20):
            check(serve.health(held) == 200, "no health")
        told = 0
        for connection in crowd:
            connection.settimeout(0.05)
            with contextlib.suppress(OSError):
                told += b" 503 " in connection.recv(4096)
        check(told > 100, f"only {told} of 200 were told")
        used = cpu_seconds(serve)
        time.sleep(2)
        check(cpu_seconds(serve) - used < 1.5, "it spins while it has no descriptor")
        check(serve.health(held) == 200, "no health")
        for connection in crowd:
            connection.close()
        eventually(lambda: serve.health() == 200, "a place")
        check(serve.answer() == expected, "another answer")


def cpu_seconds(serve):
    with open(f"/proc/{serve.process.pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def thousands_of_idle_connections():
    count = 3000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count + 200:
        count = hard - 200
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 200), hard))
    with Serve("--connections", "200") as serve:
        expected = serve.answer()
        held = serve.connection()
        check(serve.health(held) == 200, "no health")
        crowd = []
        refused = 0
        for index in range(count):
            connection = socket.create_connection(("127.0.0.1", serve.port), PATIENCE)
            connection.setblocking(False)
            crowd.append(connection)
            if index % 100 == 0:
                check(serve.health(held) == 200, "no health")
        deadline = time.monotonic() + PATIENCE
        waiting = crowd[300:]
        while waiting and time.monotonic() < deadline:
            still = []
            for connection in waiting:
                try:
                    refused += b" 503 " in connection.recv(4096)
                except BlockingIOError:
                    still.append(connection)
                except OSError:
                    refused += 1
            waiting = still
            check(serve.health(held) == 200, "no health")
            time.sleep(0.01)
        check(refused > count // 2, f"only {refused} of {count} were refused")
        for connection in crowd:
            connection.close()
        eventually(lambda: serve.health() == 200, "a place")
        check(serve.answer() == expected, "another answer")
        check(not serve.ended(), "it is gone")


def slow_clients_hold_nobody_up():
    with Serve("--connections", "100") as serve:
        expected = serve.answer()
        slow = []
        for index in range(40):
            connection = socket.create_connection(("127.0.0.1", serve.port), PATIENCE)
            if index % 2:
                connection.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n{")
            else:
                connection.send(b"POST /v1/chat/completions HTTP/1.1\r\n")
            connection.settimeout(0)
            slow.append(connection)
        deadline = time.monotonic() + PATIENCE
        cut = 0
        while slow and time.monotonic() < deadline:
            check(serve.answer() == expected, "another answer")
            still = []
            for connection in slow:
                try:
                    # Never silent for long.
                    connection.send(b"a")
                    received = connection.recv(4096)
                    check(b" 408 " in received or not received, f"{received[:100]}")
                    cut += 1
                except BlockingIOError:
                    still.append(connection)
                except OSError:
                    cut += 1
            slow = still
            time.sleep(0.25)
        check(not slow, f"{len(slow)} slow clients are still there, {cut} were cut")


def a_stopped_process_goes_on():
    with Serve() as serve:
        expected = serve.answer(tokens=200)
        connection, reply = serve.begun("What do you see?", 200)
        serve.process.send_signal(signal.SIGSTOP)
        time.sleep(1)
        serve.process.send_signal(signal.SIGCONT)
        check(b"[DONE]" in reply.read(), "the stream has no end")
        check(serve.answer(tokens=200) == expected, "another answer")
        connection.close()


def what_cannot_start_says_so():
    with Serve() as serve:
        with Serve(port=serve.port, wait=False) as second:
            check(second.code() not in (0, None), "two services on one port")
            check(str(serve.port) in second.said(), f"says: {second.said()}")
        for arguments in [["-m", "/nowhere.gguf"], ["--host", "999.999.999.999"], ["--unix", "/nowhere/socket"]]:
            with Serve(*arguments, wait=False) as other:
                check(other.code() not in (0, None) and other.process.returncode > 0, f"{arguments} starts")
                check(other.said().startswith("occam-serve: "), f"{arguments}: {other.said()}")
        check(serve.answer(), "no answer")


if __name__ == "__main__":
    run(kill_9_and_the_same_port, kill_9_and_the_same_unix_socket, sigterm_under_load_finishes_what_is_at_work,
        second_sigterm_ends_at_once, drain_ends_at_its_time, sigterm_at_any_moment_of_the_start,
        a_full_disk_for_messages_is_no_reason_to_stop, nobody_who_reads_messages_is_no_reason_to_stop,
        descriptors_run_out_and_come_back, thousands_of_idle_connections, slow_clients_hold_nobody_up,
        a_stopped_process_goes_on, what_cannot_start_says_so)
