"""Goldens of llama.cpp and transformers for Qwen2-VL and Qwen2.5-VL pairs.

usage: python make.py PATH_OF_occam-fixture
"""
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "peer"))

import numpy as np  # noqa: E402
from goldens import Case, Family, Model, generate, main  # noqa: E402
from pictures import picture  # noqa: E402
from vision import QwenVision  # noqa: E402

SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
QUESTION = SYSTEM + "<|im_start|>user\n<__media__>What is in the picture?<|im_end|>\n<|im_start|>assistant\n"
TWO = SYSTEM + (
    "<|im_start|>user\n<__media__>and<__media__>What is the difference?<|im_end|>\n<|im_start|>assistant\n")
SECOND = SYSTEM + (
    "<|im_start|>user\n<__media__>What is on the table?<|im_end|>\n<|im_start|>assistant\nA red cup.<|im_end|>\n"
    "<|im_start|>user\nAnd here?<__media__><|im_end|>\n<|im_start|>assistant\n")
TEXT_ONLY = SYSTEM + "<|im_start|>user\nWhat color is the cat's left eye?<|im_end|>\n<|im_start|>assistant\n"
TYPES = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_K_M"]
# The first is kept whole: 2 x 2 windows, ragged at the right and below. One window; a strip; a tiny picture scaled up.
CASES = [
    Case(QUESTION, ["150x130-2"]), Case(QUESTION, ["300x250-2"]), Case(QUESTION, ["112x112-1"]),
    Case(QUESTION, ["560x56-3"]), Case(QUESTION, ["9x7-4"]), Case(QUESTION, ["cat.png"]),
    Case(TWO, ["300x90-2", "75x210-3"]), Case(SECOND, ["130x170-5", "90x60-6"]), Case(TEXT_ONLY),
]
FEWER = ["F32", "F16", "Q8_0"]
MODELS = [
    Model("qwen2vl-a", TYPES, CASES), Model("qwen2vl-b", FEWER, CASES),
    Model("qwen25vl-a", ["F32", "F16", "Q8_0", "Q4_K_M"], CASES), Model("qwen25vl-b", FEWER, CASES),
]
SCORED = "300x250-2"
made: dict[str, QwenVision] = {}


def vision(model: Model) -> QwenVision:
    if model.name not in made:
        with tempfile.TemporaryDirectory() as folder:
            made[model.name] = QwenVision(generate(sys.argv[1], model.name, "F32", Path(folder))[1])
    return made[model.name]


if __name__ == "__main__":
    main(Family(
        HERE, MODELS, reference=QwenVision, prepared=QwenVision.prepared, expanded=QwenVision.expanded,
        pixels=lambda model, image: vision(model).pixels(image), has_grids=True,
        more_pictures=["1x1-7", "2x301-8", "640x480-9", "cup.png", "1500x1100-5", "191x193-10", "42x70-11", "14x400-12"],
        markers={"start": "<|vision_start|>", "end": "<|vision_end|>"}))
    for model in MODELS:
        np.save(HERE / "data" / f"{model.name}.scores.npy", vision(model).scores(picture(SCORED)))
