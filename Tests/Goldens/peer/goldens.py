"""What a family's make.py shares: runs llama.cpp on generated files and writes data/ (peer/README.md says what)."""
import json
import re
import subprocess
import sys
import tempfile
import zlib
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Callable

from mtmd import Pair  # sets up llama_cpp: first

import llama_cpp as lib
import numpy as np

from pictures import picture
from text_reference import TextReference, grid_places
from weights import dequantized

STEPS, TOP = 16, 8
# Which of a case's rows are kept, all pictures' taken together.
SHARES = (0.0, 0.001, 0.33, 0.5, 0.67, 1.0)


def error(found: np.ndarray, expected: np.ndarray) -> float:
    """Root mean square difference in units of the expected numbers' deviation."""
    return float(np.sqrt(np.mean((found - expected) ** 2)) / np.std(expected))


@dataclass
class Case:
    """A prompt with `<__media__>` where a picture stands; pictures by name (pictures.py)."""

    prompt: str
    pictures: list[str] = field(default_factory=list)


@dataclass
class Model:
    """A fixture, the weight types it is made in, and its cases."""

    name: str
    types: list[str]
    cases: list[Case]


@dataclass
class Family:
    folder: Path
    models: list[Model]
    # (mmproj) -> a function from one picture to the reference's rows, [tokens, width]; None: no reference is held.
    reference: Callable | None = None
    # Whether the reference's rows stand for llama.cpp's, as one block a run: where its graph is not the trained model.
    uses_reference: bool = False
    # (reference, picture) -> the picture that mtmd is given, where its own preprocessing departs from the reference's.
    prepared: Callable | None = None
    # (model, picture) -> the reference processor's tiles and token counts.
    pixels: Callable | None = None
    # (reference, picture) -> the text that the reference processor puts in the picture's place, and the token that stands
    # for one row of it.
    expanded: Callable | None = None
    # Pictures that only `pixels` looks at.
    more_pictures: list[str] = field(default_factory=list)
    # Positions are three numbers (M-RoPE): a picture's tokens have their row and column.
    has_grids: bool = False
    # Tokens that a prompt and its answer may take.
    context: int = 2048
    # The fewest and most tokens of a picture that mtmd is told; None: its own.
    tokens: tuple[int, int] | None = None
    # (text file) -> whether pictures are decoded causally, where mtmd does not tell that of a small model; None: as mtmd says.
    causal: Callable | None = None
    # What mtmd puts around pictures, by where it stands.
    markers: dict[str, str] = field(default_factory=dict)


class Run:
    """llama.cpp on one pair of files."""

    def __init__(self, family: Family, text: Path, mmproj: Path | None, exact: bool):
        self.family = family
        causal = family.causal(text) if family.causal else None
        self.pair = Pair(
            text, mmproj, f32_cache=exact, context=family.context, tokens=family.tokens, causal=causal)
        self.mmproj = mmproj
        self.reference = family.reference(mmproj) if family.reference and mmproj else None

    def close(self):
        self.pair.close()

    def case(self, case: Case) -> dict:
        pictures = [picture(name) for name in case.pictures]
        if self.mmproj is None:
            described = [{"text": self.pair.text_ids(case.prompt)}]
            blocks = []
            self.pair.clear()
            self.pair.decode(described[0]["text"])
            last = self.pair.logits()
        elif self.family.uses_reference:
            described, blocks, last = self.with_reference(case, pictures)
        else:
            given = [self.family.prepared(self.reference, image) for image in pictures] if self.family.prepared else pictures
            chunks, _ = self.pair.tokenize(case.prompt, given)
            described = [self.pair.describe(chunk) for chunk in chunks]
            blocks = [self.pair.encode(chunk) for chunk in chunks if self.pair.is_image(chunk)]
            last = self.pair.evaluate(chunks, blocks)
        self.check_ids(case, pictures, described)
        position = 0
        for chunk in described:
            chunk["position"] = position
            position += len(chunk["text"]) if "text" in chunk else chunk["image"].get("positions", chunk["image"]["tokens"])
        places = None
        if self.family.has_grids:
            places = grid_places(described)
            if self.mmproj is not None:
                assert places == self.pair.places(chunks), "mtmd counts positions otherwise"
        logits = last
        ids, tops = [], []
        for _ in range(STEPS):
            best = np.argsort(-last, kind="stable")[:TOP]
            ids.append(best)
            tops.append(last[best])
            last = self.pair.step(int(best[0]))
        rows = np.concatenate(blocks) if blocks else None
        return {
            "chunks": described, "positions": position, "rows": rows, "blocks": blocks, "logits": logits, "ids": ids, "tops": tops,
            "pictures": pictures, "places": places, "planes": self.pair.row_width // self.pair.width - 1,
        }

    def check_ids(self, case: Case, pictures, described: list[dict]):
        """mtmd's ids are those of the prompt that the reference processor writes out."""
        if not (self.family.expanded and pictures):
            return
        prompt = case.prompt
        for image in pictures:
            text, row = self.family.expanded(self.reference, image)
            prompt = prompt.replace("<__media__>", text, 1)
        [row] = self.pair.text_ids(row)[-1:]
        found = sum((c["text"] if "text" in c else [row] * c["image"]["tokens"] for c in described), [])
        assert found == self.pair.text_ids(prompt), f"{case.prompt}: {found} {self.pair.text_ids(prompt)}"

    def parts(self, case: Case, pictures):
        """Texts, and between them runs of a picture's rows, as the reference processor writes it out."""
        texts = case.prompt.split("<__media__>")
        parts, runs = [texts[0]], []
        for image, following in zip(pictures, texts[1:]):
            rows = self.reference(image)
            text, row = self.family.expanded(self.reference, image) if self.family.expanded else ("*" * len(rows), "*")
            pieces = re.split(f"((?:{re.escape(row)})+)", text)
            parts[-1] += pieces[0]
            for run, piece in zip(pieces[1::2], pieces[2::2]):
                count = len(run) // len(row)
                runs.append(rows[:count])
                rows = rows[count:]
                parts.append(piece)
            assert len(rows) == 0, "more rows than places"
            parts[-1] += following
        return parts, runs

    def with_reference(self, case: Case, pictures):
        """One block of rows for each run of them, from the reference; llama.cpp's text model decodes them."""
        parts, runs = self.parts(case, pictures)
        described, blocks, position = [], [], 0
        self.pair.clear()
        for index, part in enumerate(parts):
            # As mtmd does it: every part is tokenised alone, BOS in front of all where the vocabulary has it.
            ids = self.pair.text_ids(part)
            ids = ids if index == 0 else ids[len(self.pair.text_ids("")):]
            if part == "" and index > 0:
                ids = []
            if ids:
                self.pair.decode(ids)
                described.append({"text": ids})
                position += len(ids)
            if index < len(runs):
                rows = runs[index]
                self.pair.decode_rows(rows, position)
                described.append({"image": {"tokens": len(rows), "nx": len(rows), "ny": 1, "causal": True}})
                blocks.append(rows)
                position += len(rows)
        return described, blocks, self.pair.logits()


def generate(tool: str, name: str, kind: str, folder: Path) -> tuple[Path, Path | None]:
    lines = subprocess.check_output([tool, name, str(folder), "--type", kind], text=True).split()
    return Path(lines[0]), Path(lines[1]) if len(lines) > 1 else None


def runs(family: Family, text: Path, mmproj: Path | None, cases: list[Case], exact: bool) -> list[dict]:
    run = Run(family, text, mmproj, exact)
    try:
        return [run.case(case) for case in cases]
    finally:
        run.close()


def checksum(path: Path | None) -> int | None:
    return None if path is None else zlib.crc32(path.read_bytes())


def make_model(family: Family, tool: str, model: Model, folder: Path) -> dict:
    """Lists of `files`, of `cases` (what all types have in common) and of `results` (a case in one type)."""
    made = {"files": [], "cases": [], "results": []}
    exact = []
    for kind in model.types:
        text, mmproj = generate(tool, model.name, kind, folder)
        made["files"].append({"model": model.name, "type": kind, "text": checksum(text), "mmproj": checksum(mmproj)})
        found = runs(family, text, mmproj, model.cases, kind == "F32")
        plain_text = dequantized(text, folder / "plain.gguf")
        plain_mmproj = dequantized(mmproj, folder / "mmproj-plain.gguf") if mmproj else None
        plain = runs(family, plain_text, plain_mmproj, model.cases, True)
        if not exact:
            exact = found
            made["cases"] = [common(model, index, case, run) for index, (case, run) in enumerate(zip(model.cases, found))]
            place_rows(made["cases"])
        text_reference = TextReference(text) if kind == "F32" else None
        for index, run in enumerate(found):
            assert run["chunks"] == exact[index]["chunks"], "chunks depend on the weights"
            entry = {
                "model": model.name, "type": kind, "index": index, "logits_std": float(np.std(run["logits"])),
                "logits_from_f32": error(run["logits"], exact[index]["logits"]),
                "logits_from_dequantized": error(run["logits"], plain[index]["logits"]),
            }
            if kind == "F32":
                logits = text_reference.logits(run["chunks"], run["blocks"], run["places"])
                entry["logits_from_reference"] = error(run["logits"], logits)
            if run["rows"] is not None:
                entry["embeddings_from_f32"] = error(run["rows"], exact[index]["rows"])
                entry["embeddings_from_dequantized"] = error(run["rows"], plain[index]["rows"])
                if kind == "F32" and family.reference and not family.uses_reference:
                    reference = family.reference(mmproj)
                    rows = np.concatenate([reference(image) for image in run["pictures"]])
                    entry["embeddings_from_reference"] = error(run["rows"], rows)
            made["results"].append(entry)
        picked = [r["rows"][c["rows"]["indices"]] for r, c in zip(found, made["cases"]) if r["rows"] is not None]
        save(family.folder / "data", f"{model.name}-{kind}", found, picked)
        report(model, kind, made["results"][-len(found) :])
    return made


def common(model: Model, index: int, case: Case, run: dict) -> dict:
    entry = {
        "model": model.name, "index": index, "prompt": case.prompt, "pictures": case.pictures,
        "chunks": run["chunks"], "positions": run["positions"],
    }
    if run["places"] is not None:
        # All t, then all y, then all x.
        entry["grid_positions"] = np.array(run["places"]).T.tolist()
    if run["rows"] is not None:
        if run["planes"]:
            entry["planes"] = run["planes"]
        last = len(run["rows"]) - 1
        entry["rows"] = {"first": 0, "indices": sorted({min(int(np.ceil(share * last)), last) for share in SHARES})}
    return entry


def place_rows(cases: list[dict]):
    """Where each case's rows begin in rows.npy."""
    start = 0
    for case in cases:
        if "rows" in case:
            case["rows"]["first"] = start
            start += len(case["rows"]["indices"])


def report(model: Model, kind: str, results: list[dict]):
    print(model.name, kind, [f'{e["logits_from_f32"]:.4f}/{e["logits_from_dequantized"]:.4f}' for e in results])
    for key in ("logits_from_reference", "embeddings_from_reference"):
        distances = [f"{e[key]:.5f}" for e in results if key in e]
        if distances:
            print(f"   {key}:", distances)
    sys.stdout.flush()


def save(data: Path, stem: str, found: list[dict], picked: list[np.ndarray]):
    np.save(data / f"{stem}.logits.npy", np.array([r["logits"] for r in found], np.float32))
    np.save(data / f"{stem}.top-ids.npy", np.array([r["ids"] for r in found], np.int32))
    np.save(data / f"{stem}.top-logits.npy", np.array([r["tops"] for r in found], np.float32))
    if picked:
        rows = np.concatenate(picked).astype(np.float32)
        width = rows.shape[1] // (1 + found[0]["planes"])
        np.save(data / f"{stem}.rows.npy", rows[:, :width])
        if found[0]["planes"]:
            np.save(data / f"{stem}.planes.npy", rows[:, width:])
        if stem.split("-")[-1] in ("F16", "Q8_0"):
            np.save(data / f"{stem}.embeddings.npy", found[0]["rows"][:, :width].astype(np.float16))


def make_pixels(family: Family) -> list[dict]:
    if family.pixels is None:
        return []
    entries = []
    for model in family.models:
        names = {name for case in model.cases for name in case.pictures} | set(family.more_pictures)
        for name in sorted(names):
            result = family.pixels(model, picture(name))
            if result is None:
                continue
            tiles, entry, normalized = result
            # uint8, [height, width, 3] each, before they are normalised.
            entry = {"model": model.name, "picture": name, "tiles": len(tiles), "size": list(tiles[0].shape[:2])} | entry
            sizes = [list(tile.shape[:2]) for tile in tiles]
            if any(size != sizes[0] for size in sizes):
                entry["sizes"] = sizes
            entry["checksums"] = [zlib.crc32(np.ascontiguousarray(tile).tobytes()) for tile in tiles]
            draw = np.random.default_rng(len(entries))
            samples = []
            for _ in range(6):
                tile = int(draw.integers(len(normalized)))
                place = [int(draw.integers(size)) for size in normalized[tile].shape]
                samples.append([tile, *place, float(normalized[tile][tuple(place)])])
            # [tile, colour, y, x, value] of what the encoder gets.
            entry["normalized"] = samples
            entries.append(entry)
    return entries


def main(family: Family):
    tool = sys.argv[1]
    data = family.folder / "data"
    data.mkdir(exist_ok=True)
    for old in data.iterdir():
        old.unlink()
    made = {"files": [], "cases": [], "results": []}
    with tempfile.TemporaryDirectory() as folder:
        for model in family.models:
            for key, entries in make_model(family, tool, model, Path(folder)).items():
                made[key] += entries
    packages = ["llama_cpp_python", "numpy", "pillow", "gguf", "transformers", "torch"]
    manifest = {
        "versions": {name: version(name) for name in packages},
        "system": lib.llama_print_system_info().decode().strip(),
        "steps": STEPS, "top": TOP, "markers": family.markers, "pixels": make_pixels(family),
    } | made
    text = json.dumps(manifest)
    # One case, file or picture a line.
    text = text.replace('{"model"', '\n{"model"')
    (data / "manifest.json").write_text(text + "\n")
