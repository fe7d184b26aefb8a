"""Goldens of llama.cpp for the project's fixtures.

usage: python make.py PATH_OF_occam-fixture [GGUF_WITH_THE_LLAMA_SPM_VOCABULARY]

Needs llama-cpp-python 0.3.36, numpy, Pillow, gguf. Every fixture is generated anew by occam-fixture; what llama.cpp
makes of it goes to data/ (README.md says what lies there).
"""
import json
import subprocess
import sys
import tempfile
import zlib
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "peer"))

from mtmd import Pair  # noqa: E402
import variants  # noqa: E402
from weights import dequantized  # noqa: E402
import llama_cpp as lib  # noqa: E402
import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

PHOTOS = HERE.parent.parent / "Photos"
DATA = HERE / "data"
STEPS, TOP, PATCH = 16, 8, 14
QUESTION = "USER: <__media__>\nWhat is in the picture? ASSISTANT:"
IMAGE_FIRST = "<__media__>Describe the photo, please."
TEXT_ONLY = "USER: What color is the cat's left eye? ASSISTANT:"

# (prompt, photo, reading): `reference` puts CLS first, `as-is` is what llama.cpp does with a file that has CLS.
CASES = [
    (QUESTION, "cat.png", "reference"), (QUESTION, "cup.png", "reference"),
    (QUESTION, "cat.jpg", "reference"), (QUESTION, "cup.jpg", "reference"),
    (IMAGE_FIRST, "cup.png", "reference"), (TEXT_ONLY, None, "reference"), (QUESTION, "cat.png", "as-is"),
]
TYPES = {
    "g1": ["F32", "F16", "BF16", "Q8_0", "Q6_K", "Q4_0", "Q4_K_M"],
    "g2": ["F32", "F16", "Q8_0", "Q4_0", "Q4_K_M"],
    "g3": ["F32", "F16", "Q8_0", "Q4_0"],
    "g1-spm": ["F32", "F16", "Q8_0", "Q4_0", "Q4_K_M"],
}
# Pair -> (image size, whether there is a CLS).
VISION = {"g1": (112, True), "g2": (168, True), "g3": (126, False), "g1-spm": (112, True)}


def photo(name: str) -> np.ndarray:
    return np.asarray(Image.open(PHOTOS / name).convert("RGB"))


def error(found: np.ndarray, expected: np.ndarray) -> float:
    """Root mean square difference in units of the expected numbers' deviation."""
    return float(np.sqrt(np.mean((found - expected) ** 2)) / np.std(expected))


class Oracle:
    """llama.cpp on one pair of files, and on the twins that give the `reference` reading."""

    def __init__(self, text: Path, mmproj: Path, side: int, has_class: bool, folder: Path, **settings):
        self.side = side
        self.pair = Pair(text, mmproj, **settings)
        self.twins = []
        if has_class:
            count = (side // PATCH) ** 2
            order = [*range(1, count + 1), 0]
            exchanged = [order[1], order[0], *order[2:]]
            for name, rows in (("rotated", order), ("exchanged", exchanged)):
                path = variants.with_positions(mmproj, rows, folder / f"{mmproj.stem}-{name}.gguf")
                self.twins.append(Pair(text, path, **settings))

    def close(self):
        for pair in [self.pair, *self.twins]:
            pair.close()

    def embeddings(self, image: np.ndarray, reading: str) -> np.ndarray:
        def encode(pair: Pair, samples: np.ndarray) -> np.ndarray:
            chunks, _ = pair.tokenize("<__media__>", [samples])
            return pair.encode(next(c for c in chunks if pair.is_image(c)))

        if reading == "as-is" or not self.twins:
            return encode(self.pair, image)
        rotated, exchanged = self.twins
        canvas = variants.square(image, self.side)
        # Our canvas is llama.cpp's, to the bit.
        assert np.array_equal(encode(rotated, canvas), encode(rotated, image))
        rest = encode(rotated, image)[:-1]
        first = encode(exchanged, variants.first_patches_exchanged(canvas, PATCH))[:1]
        return np.concatenate([first, rest])

    def run(self, case) -> dict:
        prompt, name, reading = case
        image = photo(name) if name else None
        rows = self.embeddings(image, reading) if name else None
        chunks, keep = self.pair.tokenize(prompt, [] if image is None else [image])
        logits = last = self.pair.evaluate(chunks, [] if rows is None else [rows])
        ids, tops = [], []
        for _ in range(STEPS):
            best = np.argsort(-last, kind="stable")[:TOP]
            ids.append(best)
            tops.append(last[best])
            last = self.pair.step(int(best[0]))
        tokens = [self.pair.text_tokens(c) if not self.pair.is_image(c) else None for c in chunks]
        return {"rows": rows, "logits": logits, "ids": ids, "tops": tops, "tokens": tokens}


def generate(tool: str, pair: str, kind: str, vocabulary: str | None, folder: Path) -> tuple[Path, Path]:
    name = pair.removesuffix("-spm")
    command = [tool, name, str(folder), "--type", kind]
    if pair.endswith("-spm"):
        command += ["--vocab", vocabulary]
    return tuple(Path(line) for line in subprocess.check_output(command, text=True).split())


def results(oracle: Oracle, cases) -> list[dict]:
    try:
        return [oracle.run(case) for case in cases]
    finally:
        oracle.close()


def make(tool: str, pair: str, vocabulary: str | None, folder: Path) -> tuple[list[dict], list[dict]]:
    side, has_class = VISION[pair]
    cases = [c for c in CASES if has_class or c[2] == "reference"]
    if pair.endswith("-spm"):
        cases = [c for c in cases if c[1] in ("cat.png", None) and c[2] == "reference"]
    entries, files, exact = [], [], []
    for kind in TYPES[pair]:
        text, mmproj = generate(tool, pair, kind, vocabulary, folder)
        sums = [zlib.crc32(path.read_bytes()) for path in (text, mmproj)]
        files.append({"pair": pair, "type": kind, "text": sums[0], "mmproj": sums[1]})
        runs = results(Oracle(text, mmproj, side, has_class, folder, f32_cache=kind == "F32"), cases)
        exact = exact or runs
        plain_text = dequantized(text, folder / "plain.gguf")
        plain_mmproj = dequantized(mmproj, folder / "mmproj-plain.gguf")
        plain = results(Oracle(plain_text, plain_mmproj, side, has_class, folder, f32_cache=True), cases)
        for index, (case, run) in enumerate(zip(cases, runs)):
            tokens = run["tokens"]
            image = tokens.index(None) if None in tokens else len(tokens)
            entry = {
                "pair": pair, "type": kind, "index": index, "prompt": case[0], "photo": case[1], "reading": case[2],
                "tokens_before": sum(tokens[:image], []), "tokens_after": sum(tokens[image + 1 :], []),
                "image_tokens": 0 if run["rows"] is None else len(run["rows"]),
                "logits_std": float(np.std(run["logits"])),
                "logits_from_f32": error(run["logits"], exact[index]["logits"]),
                "logits_from_dequantized": error(run["logits"], plain[index]["logits"]),
            }
            if case[1]:
                entry["embeddings_from_f32"] = error(run["rows"], exact[index]["rows"])
                entry["embeddings_from_dequantized"] = error(run["rows"], plain[index]["rows"])
            entries.append(entry)
        save(f"{pair}-{kind}", runs, half=pair.endswith("-spm"))
        recent = entries[-len(cases) :]
        print(pair, kind, [f'{e["logits_from_f32"]:.4f}/{e["logits_from_dequantized"]:.4f}' for e in recent])
    return entries, files


def save(stem: str, runs: list[dict], half: bool):
    np.save(DATA / f"{stem}.logits.npy", np.array([r["logits"] for r in runs], np.float16 if half else np.float32))
    np.save(DATA / f"{stem}.top-ids.npy", np.array([r["ids"] for r in runs], np.int32))
    np.save(DATA / f"{stem}.top-logits.npy", np.array([r["tops"] for r in runs], np.float32))
    count, width = runs[0]["rows"].shape
    picked = [0, 1, count // 2, count - 1]
    blank = np.full((4, width), np.nan)
    rows = [blank if r["rows"] is None else r["rows"][picked] for r in runs]
    np.save(DATA / f"{stem}.rows.npy", np.array(rows, np.float32))
    if stem.split("-")[-1] in ("F16", "Q8_0") and not half:
        np.save(DATA / f"{stem}.embeddings.npy", runs[0]["rows"].astype(np.float16))


def main():
    tool = sys.argv[1]
    vocabulary = sys.argv[2] if len(sys.argv) > 2 else None
    DATA.mkdir(exist_ok=True)
    entries, files = [], []
    with tempfile.TemporaryDirectory() as folder:
        for pair in TYPES:
            if vocabulary or not pair.endswith("-spm"):
                made = make(tool, pair, vocabulary, Path(folder))
                entries += made[0]
                files += made[1]
    manifest = {
        "versions": {name: version(name) for name in ("llama_cpp_python", "numpy", "pillow", "gguf")},
        "system": lib.llama_print_system_info().decode().strip(),
        "steps": STEPS, "top": TOP, "files": files, "cases": entries,
    }
    (DATA / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


if __name__ == "__main__":
    main()
