#!/usr/bin/env python3
"""Loads occam-serve, and llama-server if it is given, with clients that stream, and says what they got:

    decode    tokens a second of one client, and of several together
    gaps      time between two tokens of a client, alone and while another client sends a photo

usage: bench/serve/load.py -m MODEL --mmproj MMPROJ --image PHOTO [--llama-server PATH] [--clients 8] [--rounds 3]

Needs aiohttp. Servers are started in turn, each round anew, on two threads. JSON lines on stdout, a table on stderr.
llama-server is of llama.cpp 0c1e57098, the tree in llama-cpp-python 0.3.36's source package.
"""
import argparse
import asyncio
import base64
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import aiohttp

ROOT = Path(__file__).resolve().parents[2]


class Server:
    """A server process, from its start to its end."""

    def __init__(self, command, port):
        self.base = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    async def ready(self, session):
        for _ in range(600):
            if self.process.poll() is not None:
                raise SystemExit(f"{self.process.args[0]} ended with {self.process.returncode}")
            try:
                async with session.get(self.base + "/health") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.2)
        raise SystemExit("the server does not get ready")

    def stop(self):
        self.process.kill()
        self.process.wait()


async def stream(session, base, body):
    """Times at which tokens came."""
    times = []
    async with session.post(base + "/completion", json=dict(body, stream=True)) as answer:
        if answer.status != 200:
            raise SystemExit(await answer.text())
        async for line in answer.content:
            if line.startswith(b"data: ") and not json.loads(line[6:]).get("stop"):
                times.append(time.perf_counter())
    return times


def text_request(index, tokens):
    # No two prompts share a beginning that a cache could know; pieces of text that are no whole characters come late.
    prompt = f"{index} " + "the cat sat on the mat and looked at the dog. " * 4
    return {"prompt": prompt, "n_predict": tokens, "ignore_eos": True, "temperature": 0, "cache_prompt": False,
            "n_probs": 1}


async def decode_rate(session, base, clients, tokens):
    """Tokens a second of all clients together, while all of them decode."""
    all_times = await asyncio.gather(
        *(stream(session, base, text_request(index, tokens)) for index in range(clients)))
    start = max(times[0] for times in all_times)
    end = min(times[-1] for times in all_times)
    count = sum(sum(start < moment <= end for moment in times) for times in all_times)
    return count / (end - start)


async def gaps(session, base, clients, tokens, photo=None, marker=""):
    """Milliseconds between tokens of each client; with a photo, those that ended while it was answered."""
    decoding = [asyncio.create_task(stream(session, base, text_request(index, tokens))) for index in range(clients)]
    span = (0.0, float("inf"))
    if photo:
        await asyncio.sleep(2)
        begin = time.perf_counter()
        body = {"prompt": {"prompt_string": f"USER: {marker} What is it? ASSISTANT:", "multimodal_data": [photo]},
                "n_predict": 4, "ignore_eos": True, "temperature": 0, "cache_prompt": False}
        await stream(session, base, body)
        span = (begin, time.perf_counter())
    result = []
    for task in decoding:
        times = await task
        result += [1000 * (b - a) for a, b in zip(times[1:], times[2:]) if a < span[1] and b > span[0]]
    return result, span[1] - span[0]


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def measure(name, command, options, photo):
    port = options.port
    server = Server([part.replace("{port}", str(port)) for part in command], port)
    timeout = aiohttp.ClientTimeout(total=None)
    try:
        # Each request has its connection: llama-server closes idle ones while the next request is on its way.
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            await server.ready(session)
            async with session.get(server.base + "/props") as answer:
                marker = (await answer.json()).get("media_marker", "<__media__>")
            await decode_rate(session, server.base, 1, 16)
            one = await decode_rate(session, server.base, 1, options.tokens)
            many = await decode_rate(session, server.base, options.clients, options.tokens)
            alone, _ = await gaps(session, server.base, options.gap_clients, options.tokens)
            with_photo, seconds = await gaps(
                session, server.base, options.gap_clients, options.gap_tokens, photo, marker)
            return {
                "server": name, "one_tok_s": one, "many_tok_s": many, "clients": options.clients,
                "gap_clients": options.gap_clients, "gap_p50_ms": percentile(alone, 0.5),
                "gap_p99_ms": percentile(alone, 0.99), "photo_gap_p50_ms": percentile(with_photo, 0.5),
                "photo_gap_p99_ms": percentile(with_photo, 0.99), "photo_gap_max_ms": max(with_photo),
                "photo_seconds": seconds,
            }
    finally:
        server.stop()


def table(rows):
    lines = ["| server | one client | together | ratio | gap alone p50 / p99 | with a photo p50 / p99 | p99, photo / alone | photo |",
             "|---|--:|--:|--:|--:|--:|--:|--:|"]
    for name in dict.fromkeys(row["server"] for row in rows):
        mine = [row for row in rows if row["server"] == name]
        m = {key: statistics.median(row[key] for row in mine) for key in mine[0] if key != "server"}
        lines.append(
            f"| {name} | {m['one_tok_s']:.1f} tok/s | {m['many_tok_s']:.1f} tok/s | {m['many_tok_s'] / m['one_tok_s']:.2f}x"
            f" | {m['gap_p50_ms']:.0f} / {m['gap_p99_ms']:.0f} ms"
            f" | {m['photo_gap_p50_ms']:.0f} / {m['photo_gap_p99_ms']:.0f} ms"
            f" | {m['photo_gap_p99_ms'] / m['gap_p99_ms']:.2f}x | {m['photo_seconds']:.1f} s |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-m", "--model", required=True)
    parser.add_argument("--mmproj", required=True)
    parser.add_argument("--image", required=True)
    parser.add_argument("--occam-serve", default=str(ROOT / ".build/release/occam-serve"))
    parser.add_argument("--llama-server")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--gap-clients", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--gap-tokens", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--port", type=int, default=18090)
    options = parser.parse_args()
    photo = base64.b64encode(Path(options.image).read_bytes()).decode()
    common = ["-m", options.model, "--mmproj", options.mmproj, "--port", "{port}", "-t", str(options.threads)]
    slots = max(options.clients, options.gap_clients + 1)
    servers = [("occam-serve", [options.occam_serve, *common, "-np", str(slots)])]
    servers.append(("occam-serve, unpruned", [options.occam_serve, *common, "-np", str(slots), "--no-prune"]))
    if options.llama_server:
        servers.append(("llama-server", [options.llama_server, *common, "-np", str(slots), "-c", str(slots * 2048),
                                         "-tb", str(options.threads), "--no-webui", "-fa", "auto"]))
    rows = []
    for _ in range(options.rounds):
        for name, command in servers:
            rows.append(asyncio.run(measure(name, command, options, photo)))
            print(json.dumps(rows[-1]), flush=True)
    print(table(rows), file=sys.stderr)


if __name__ == "__main__":
    main()
