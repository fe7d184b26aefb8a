#!/usr/bin/env python3
"""curl against the service: whole replies, server-sent events, a Unix socket, large and chunked bodies."""

import json
import os
import subprocess
import tempfile

from support import Serve, Service, check, run, streamed_text, yellow

SERVICE = Service("--alias", "scenes")


def curl(*arguments, body=None):
    """- Returns: what it wrote."""
    command = ["curl", "--silent", "--show-error", "--max-time", "60", *arguments]
    if body is not None:
        command += ["--header", "Content-Type: application/json", "--data-binary", "@-"]
    done = subprocess.run(command, input=json.dumps(body) if body else "", capture_output=True, text=True)
    check(done.returncode == 0, f"curl ended with {done.returncode}: {done.stderr}")
    return done.stdout


def asked(**more):
    return {"messages": yellow().messages(), "temperature": 0, **more}


def health():
    text = curl("--fail", "--write-out", " %{http_code}", SERVICE.url + "/health")
    check(text == '{"status":"ok"} 200', text)


def a_chat():
    reply = json.loads(curl("--fail", SERVICE.url + "/v1/chat/completions", body=asked()))
    yellow().check(reply["choices"][0]["message"]["content"])


def server_sent_events():
    text = curl("--fail", "--no-buffer", SERVICE.url + "/v1/chat/completions", body=asked(stream=True))
    yellow().check(streamed_text(text))


def a_body_in_chunks():
    reply = curl(
        "--fail", "--header", "Transfer-Encoding: chunked", "--header", "Expect: 100-continue",
        SERVICE.url + "/v1/chat/completions", body=asked())
    yellow().check(json.loads(reply)["choices"][0]["message"]["content"])


def one_connection_for_two_requests():
    health = SERVICE.url + "/health"
    counted = ("--write-out", "%{num_connects}", health)
    text = curl(*counted, "--next", "--silent", *counted)
    check(text == '{"status":"ok"}1{"status":"ok"}0', text)


def a_refusal():
    text = curl("--write-out", "\n%{http_code}", SERVICE.url + "/v1/chat/completions", body={"messages": 7})
    body, status = text.rsplit("\n", 1)
    check(status == "400" and "messages" in json.loads(body)["error"]["message"], text)


def a_unix_socket():
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/socket"
        with Serve("--unix", path) as service:
            service.until(lambda: "ready" in service.said(), "the service on its Unix socket")
            reply = json.loads(curl(
                "--fail", "--unix-socket", path, "http://localhost/v1/chat/completions", body=asked()))
            yellow().check(reply["choices"][0]["message"]["content"])
            service.process.terminate()
            check(service.code() == 0 and not os.path.exists(path), "its end leaves the socket behind")


if __name__ == "__main__":
    with SERVICE:
        run(health, a_chat, server_sent_events, a_body_in_chunks, one_connection_for_two_requests, a_refusal,
            a_unix_socket)
