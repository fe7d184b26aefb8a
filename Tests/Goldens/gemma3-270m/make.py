"""Goldens of llama.cpp for Gemma 3 270M, Q4_K_M.

usage: python make.py          (after Tests/RealModels/fetch.py)
"""
import json
import sys
import tempfile
import zlib
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "peer"))

from mtmd import Pair  # noqa: E402
import llama_cpp as lib  # noqa: E402
import numpy as np  # noqa: E402
from weights import dequantized  # noqa: E402

NAME = "gemma-3-270m-q4_k_m.gguf"
MODEL = HERE.parent.parent / "RealModels" / "weights" / NAME
TOP, ANSWER = 20, 32
TEXTS = [
    "", " ", "Hello, world!", " Hello,  world!   ", "The quick brown fox\njumps over\n\n\nthe lazy dog.\n\n\n\n\n",
    "1234567890 3.14159 1,000,000", "caf\u00e9 na\u00efve \u00fcber \u732b\u306f\u53ef\u611b\u3044 \u043a\u043e\u0448\u043a\u0430",
    "\U0001f408\u200d\u2b1b \U0001f1e9\U0001f1ea e\u0301", "def f(x):\n    return x  # twice\n\tand a tab", "<start_of_turn>user\nHi<end_of_turn>\n",
    "<b>bold</b> &amp; <unused5> [multimodal]", "\x00\x07\x7f", "don't DON'T I'm we've", "a" * 100, "  two\n  spaces\n      six",
]
PARAGRAPH = (
    "The lighthouse stood at the end of the pier, and every evening the keeper climbed its one hundred and ninety-nine steps to "
    "light the lamp. He had done so for thirty years, in calm and in storm, and he knew the sea as others know their garden. ")
PROMPTS = [
    "The capital of France is", "Once upon a time, there was a small cat who", "2 + 2 =",
    "<start_of_turn>user\nName three colors.<end_of_turn>\n<start_of_turn>model\n",
    # Longer than a window of 512 positions.
    PARAGRAPH * 12 + "Every evening the keeper climbed",
]
GREEDY = 1


def run(path: Path, exact: bool) -> list[dict]:
    pair = Pair(path, None, f32_cache=exact, context=2048)
    results = []
    for prompt in PROMPTS:
        ids = pair.text_ids(prompt)
        pair.clear()
        pair.decode(ids)
        results.append({"prompt": prompt, "ids": ids, "logits": pair.logits()})
    pair.clear()
    pair.decode(results[GREEDY]["ids"])
    answer = []
    for _ in range(ANSWER):
        logits = pair.logits()
        first, second = np.argsort(-logits, kind="stable")[:2]
        answer.append([int(first), float(logits[first]), float(logits[first] - logits[second])])
        pair.decode([int(first)])
    results[GREEDY]["answer"] = answer
    results[GREEDY]["text"] = "".join(pair.piece(token) for token, _, _ in answer)
    tokens = [pair.text_ids(text) for text in TEXTS]
    pair.close()
    return results, tokens


def main():
    found, tokens = run(MODEL, False)
    with tempfile.TemporaryDirectory() as folder:
        plain, _ = run(dequantized(MODEL, Path(folder) / "plain.gguf"), True)
    prompts = []
    for result, exact in zip(found, plain):
        logits = result.pop("logits")
        best = np.argsort(-logits, kind="stable")[:TOP]
        difference = np.sqrt(np.mean((logits - exact["logits"]) ** 2)) / np.std(exact["logits"])
        prompts.append(result | {
            "top_ids": best.tolist(), "top_logits": [float(x) for x in logits[best]], "logits_mean": float(np.mean(logits)),
            "logits_std": float(np.std(logits)), "logits_from_dequantized": float(difference),
            # Every 1,024th logit.
            "sample": [float(x) for x in logits[::1024]],
        })
    manifest = {
        "versions": {name: version(name) for name in ("llama_cpp_python", "numpy", "gguf")},
        "system": lib.llama_print_system_info().decode().strip(), "file": NAME, "crc32": zlib.crc32(MODEL.read_bytes()),
        "tokens": [{"text": text, "ids": ids} for text, ids in zip(TEXTS, tokens)], "prompts": prompts,
    }
    text = json.dumps(manifest).replace('{"text"', '\n{"text"').replace('{"prompt"', '\n{"prompt"')
    (HERE / "goldens.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
