"""Writes the hashes of the page's style and script into its Content-Security-Policy.

usage: python3 Tests/Page/csp.py            after a change of Sources/occam-serve/index.html
       python3 Tests/Page/csp.py --check    only compares, and says what else a change may have broken
"""
import base64
import hashlib
import re
import sys
from pathlib import Path

LIMIT = 40 * 1024  # bytes
page = Path(__file__).resolve().parents[2] / "Sources/occam-serve/index.html"
text = page.read_bytes().decode()


def digest(tag: str) -> str:
    (body,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.S)
    return base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()


wanted = text
for tag in ("style", "script"):
    wanted, count = re.subn(rf"{tag}-src 'sha256-[^']*'", f"{tag}-src 'sha256-{digest(tag)}'", wanted)
    assert count == 1, f"one {tag}-src with a hash is expected"

wrong = [f"line {n} has more than 120 columns" for n, line in enumerate(text.splitlines(), 1) if len(line) > 120]
if len(text.encode()) > LIMIT:
    wrong.append(f"{len(text.encode())} bytes, more than {LIMIT}")
for name in re.findall(r"\b(?:innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval)\b", text):
    wrong.append(f"{name} is not used here: text goes in as text nodes")
for link in re.findall(r"(?:src|href)\s*=\s*[\"'](?!data:)[^\"']*|url\(|@import", text):
    wrong.append(f"reference to another resource: {link}")
if "--check" in sys.argv:
    if wanted != text:
        wrong.append("hashes are not those of style and script: run Tests/Page/csp.py")
else:
    page.write_bytes(wanted.encode())
for line in wrong:
    print(f"{page.name}: {line}")
print(f"{page.name}: {len(wanted.encode())} bytes")
sys.exit(bool(wrong))
