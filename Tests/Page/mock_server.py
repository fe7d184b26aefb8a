"""Serves the page and answers it as occam-serve would, with texts of its own.

usage: python3 Tests/Page/mock_server.py [PORT]        (0, the default, takes a free port; the first line says which)
A word in the question chooses the answer: see `Handler.answer`. POST /mock {"loading": true, "key": "secret",
"vision": false} changes what the server is; GET /mock tells what it saw.
"""
import base64
import json
import struct
import sys
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

root = Path(__file__).resolve().parents[2]
ANSWER = " A cup of espresso on a red saucer – “crème” on top ☕, and a spoon beside it.\n\nThe table is wood: 木."
MARKUP = "Write <b>bold</b> or <img src=x onerror=\"document.title='hacked'\"> as & in HTML."


def read_png(path: Path) -> tuple[int, int, bytearray]:
    """8-bit RGB without interlacing: the test photos are that."""
    data, at, packed = path.read_bytes(), 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + size]
        if kind == b"IHDR":
            width, height = struct.unpack(">II", body[:8])
        elif kind == b"IDAT":
            packed += body
        at += size + 12
    lines, row, before, out = zlib.decompress(packed), width * 3, bytes(width * 3), bytearray()
    for y in range(height):
        method, *line = lines[y * (row + 1) : (y + 1) * (row + 1)]
        for x in range(row):
            left, up, corner = line[x - 3] if x > 2 else 0, before[x], before[x - 3] if x > 2 else 0
            if method == 4:
                guess = left + up - corner
                near = min((abs(guess - left), 0, left), (abs(guess - up), 1, up), (abs(guess - corner), 2, corner))[2]
            else:
                near = (0, left, up, (left + up) // 2)[method]
            line[x] = (line[x] + near) & 255
        out += bytes(line)
        before = line
    return width, height, out


def write_png(width: int, height: int, pixels: bytes) -> bytes:
    def part(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    lines = b"".join(b"\0" + bytes(pixels[y * width * 3 : (y + 1) * width * 3]) for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", zlib.compress(lines)) + part(b"IEND", b"")


def keep_map(name: str) -> tuple[str, dict]:
    """A keep map as drawKeepMap draws it: a disc of patches is kept, a ring was dropped by the question."""
    width, height, pixels = read_png(root / "Tests/Photos" / (name + ".png"))
    grid, out = 24, bytearray(pixels)

    def fate(column: int, row: int) -> int:
        distance = ((column - 10.5) ** 2 + (row - 9.5) ** 2) ** 0.5
        return 0 if distance < 4.4 else 2 if distance < 8.2 else 1

    for y in range(height):
        for x in range(width):
            column, row = x * grid // width, y * grid // height
            what, at = fate(column, row), (y * width + x) * 3
            if not what:
                continue
            luma = (299 * out[at] + 587 * out[at + 1] + 114 * out[at + 2]) // 1000
            sides = [(-1, 0), (1, 0), (0, -1), (0, 1)]
            if any(fate((x + dx) * grid // width, (y + dy) * grid // height) == 0 for dx, dy in sides):
                out[at : at + 3] = b"\xeb\xeb\xeb"
            else:
                tint = (90, 90, 90) if what == 1 else (50, 80, 165)
                out[at : at + 3] = bytes(luma * part // 255 for part in tint)
    fates = [fate(column, row) for row in range(grid) for column in range(grid)]
    counts = {"total": grid * grid, "stage1": sum(f != 1 for f in fates), "kept": fates.count(0)}
    return "data:image/png;base64," + base64.b64encode(write_png(width, height, out)).decode(), counts


MAPS = {name: keep_map(name) for name in ("cup", "cat")}
CAT = base64.b64encode((root / "Tests/Photos/cat.jpg").read_bytes()).decode()
world = {"loading": False, "key": "", "vision": True, "aborted": 0, "requests": [], "failures": 0}
lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def reply(self, status: int, body, kind: str = "application/json"):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def refused(self) -> bool:
        if world["loading"]:
            self.reply(503, {"error": {"message": "The model is being loaded"}})
        elif world["key"] and self.headers.get("Authorization") != "Bearer " + world["key"]:
            self.reply(401, {"error": {"message": "This server asks for an API key"}})
        else:
            return False
        return True

    def do_GET(self):
        path = self.path.removeprefix("/prefix")
        if path == "/":
            self.reply(200, (root / "Sources/occam-serve/index.html").read_bytes(), "text/html; charset=utf-8")
        elif path == "/health":
            self.reply(503 if world["loading"] else 200, {"status": "loading" if world["loading"] else "ok"})
        elif path == "/mock":
            self.reply(200, world)
        elif path == "/v1/models":
            if not self.refused():
                seen = ["completion"] + ["multimodal"] * world["vision"]
                model = {"id": "SmolVLM-500M-Instruct-Q8_0", "capabilities": seen}
                self.reply(200, {"object": "list", "data": [model]})
        else:
            self.reply(404, {"error": {"message": "Nothing here"}})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/mock":
            world.update(body)
            self.reply(200, world)
        elif self.path.removeprefix("/prefix") == "/v1/chat/completions" and not self.refused():
            self.answer(body)

    def write(self, data: bytes):
        """One chunk of HTTP's chunked coding."""
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def event(self, body, cut: int = 0):
        """An event, in two writes if `cut`: inside its line, or inside a character if it falls there."""
        data = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        line = b"data: " + data + b"\n\n"
        if cut:
            self.write(line[:cut])
            time.sleep(0.01)
        self.write(line[cut:])

    def token(self, text: str):
        body = {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": text}}]}
        data = json.dumps(body, ensure_ascii=False).encode()
        wide = next((at for at, byte in enumerate(data) if byte > 127), None)
        self.event(body, len("data: ") + wide + 1 if wide is not None else 0)

    def answer(self, request: dict):
        messages = request["messages"]
        parts = [p for m in messages for p in (m["content"] if isinstance(m["content"], list) else [])]
        pictures = [p["image_url"]["url"] for p in parts if p["type"] == "image_url"]
        last = messages[-1]["content"]
        question = last if isinstance(last, str) else "".join(p.get("text", "") for p in last)
        seen = {k: v for k, v in request.items() if k != "messages"}
        seen |= {"roles": [m["role"] for m in messages], "pictures": [p[:30] for p in pictures], "question": question}
        seen["lengths"] = [len(p) for p in pictures]
        with lock:
            world["requests"].append(seen)
        if "refuse" in question:
            return self.reply(400, {"error": {"message": "The picture has 0 x 0 pixels"}})
        if "once" in question and world["failures"] == 0:
            world["failures"] = 1
            return self.reply(500, {"error": {"message": "Out of memory, only once"}})
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            self.stream(request, question, pictures)
        except (BrokenPipeError, ConnectionResetError):
            with lock:
                world["aborted"] += 1
            self.close_connection = True

    def stream(self, request: dict, question: str, pictures: list):
        self.write(b": hello\n\n")
        self.event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
        again = len(request["messages"]) > 2
        shows = request.get("occam", {}).get("progress") and pictures and not again
        for phase in ["encode", "prefill"] if shows else []:
            for step in range(5):
                self.event({"choices": [], "occam": {"progress": {"phase": phase, "fraction": step / 4}}}, 20)
                time.sleep(0.12)
            self.write(b": still\n")
        text = MARKUP if "markup" in question else ANSWER
        if "long" in question:
            text = " ".join(f"Line {n} of a long answer that goes on and on.\n" for n in range(400))
        words = [text[at : at + 5] for at in range(0, len(text), 5)]
        for index, word in enumerate(words):
            if index == 6 and "broken" in question:
                self.event({"error": {"message": "The model broke in mid-answer"}})
                return self.write(b"")
            if index == 6 and "cut" in question:
                self.close_connection = True
                return
            self.token(word)
            time.sleep(0.03)
        finish = "length" if "short" in question else "stop"
        self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
        maps = [MAPS["cat" if p.endswith(CAT) else "cup"] for p in pictures]
        full, kept = sum(m[1]["total"] for m in maps), sum(m[1]["kept"] for m in maps)
        final = {
            "choices": [],
            "usage": {"prompt_tokens": kept + 20, "completion_tokens": len(words)},
            "timings": {
                "image_n": len(pictures), "image_tokens_full": full, "image_tokens_kept": kept,
                "image_encode_ms": 812.1, "image_cache_hit": again, "prompt_ms": 640.2, "ttft_ms": 1500.2,
                "predicted_per_second": 22.14, "kv_bytes": 123,
            },
        }
        if request.get("occam", {}).get("keep_map"):
            final["occam"] = {
                "pruning": [{"image": i, **m[1]} for i, m in enumerate(maps)],
                "keep_maps": [m[0] for m in maps],
            }
        self.event(final, 5)
        self.event(b"[DONE]", 3)
        self.write(b"")


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, address):
        pass  # a browser that closes a connection is no news


if __name__ == "__main__":
    server = Server(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0), Handler)
    print(f"http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()
