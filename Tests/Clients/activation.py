#!/usr/bin/env python3
"""systemd's protocols: a listening socket handed over, notifications, and systemd-socket-activate where it is."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile

from support import OPTIONS, check, eventually, free_port, get, run, yellow


def right_answer(port):
    body = {"messages": yellow().messages(), "temperature": 0}
    status, reply = get(port, "/v1/chat/completions", method="POST", body=body)
    check(status == 200, f"{status} {reply[:200]}")
    yellow().check(json.loads(reply)["choices"][0]["message"]["content"])


def begin(listener, notify):
    """With the socket as descriptor 3, as the service manager does it; LISTEN_PID is known behind the fork only."""
    child = os.fork()
    if child:
        return child
    try:
        os.dup2(listener.fileno(), 3)
        os.set_inheritable(3, True)
        environment = dict(os.environ, LISTEN_FDS="1", LISTEN_PID=str(os.getpid()), NOTIFY_SOCKET=notify)
        os.execve(OPTIONS.binary, [OPTIONS.binary, "-m", OPTIONS.model], environment)
    finally:
        os._exit(127)


def a_socket_is_handed_over():
    with tempfile.TemporaryDirectory() as folder, socket.socket() as listener:
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        manager.bind(f"{folder}/notify")
        manager.settimeout(60)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        # This one comes before the process that answers it.
        early = socket.create_connection(("127.0.0.1", port), 60)
        early.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        child = begin(listener, f"{folder}/notify")
        ended = False
        try:
            check(manager.recv(256) == b"READY=1", "no READY=1")
            check(early.makefile("rb").readline().startswith(b"HTTP/1.1 "), "the early request got no answer")
            right_answer(port)
            os.kill(child, signal.SIGTERM)
            check(manager.recv(256) == b"STOPPING=1", "no STOPPING=1")
            _, status = os.waitpid(child, 0)
            ended = True
            check(os.waitstatus_to_exitcode(status) == 0, f"status {status}")
            # The manager's own socket is still there: the next process would take it.
            socket.create_connection(("127.0.0.1", port), 5).close()
        finally:
            if not ended:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
            manager.close()


def systemd_socket_activate():
    if not shutil.which("systemd-socket-activate"):
        print("        systemd-socket-activate is not installed: skipped")
        return
    port = free_port()
    process = subprocess.Popen(
        ["systemd-socket-activate", "--listen", f"127.0.0.1:{port}", OPTIONS.binary, "-m", OPTIONS.model],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: get(port, "/health")[0] == 200, "the activated service")
        right_answer(port)
        process.terminate()
        check(process.wait(60) == 0, f"exit code {process.returncode}")
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    run(a_socket_is_handed_over, systemd_socket_activate)
