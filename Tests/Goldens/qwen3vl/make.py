"""Goldens of llama.cpp and transformers for Qwen3-VL pairs.

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
from reference import Qwen3VL  # noqa: E402

QUESTION = "<|im_start|>user\n<__media__>What is in the picture?<|im_end|>\n<|im_start|>assistant\n"
TWO = "<|im_start|>user\n<__media__>and<__media__>What is the difference?<|im_end|>\n<|im_start|>assistant\n"
SECOND = (
    "<|im_start|>user\n<__media__>What is it?<|im_end|>\n<|im_start|>assistant\nA cup.<|im_end|>\n"
    "<|im_start|>user\nWhat color is it?<|im_end|>\n<|im_start|>assistant\n")
TEXT_ONLY = "<|im_start|>user\nWhat color is the cat's left eye?<|im_end|>\n<|im_start|>assistant\n"


def cases(exact: str, table: str) -> list[Case]:
    """`exact` is not resized; `table` has as many patches as the file has positions, or the nearest even number."""
    return [
        Case(QUESTION, [exact]), Case(QUESTION, [table]), Case(QUESTION, ["300x90-2"]), Case(QUESTION, ["75x210-3"]),
        Case(QUESTION, ["9x7-4"]), Case(QUESTION, ["cat.png"]), Case(TWO, ["300x90-2", "75x210-3"]),
        Case(SECOND, ["cup.png"]), Case(TEXT_ONLY),
    ]


FEW = [Case(QUESTION, ["160x128-1"]), Case(TWO, ["300x90-2", "75x210-3"]), Case(TEXT_ONLY)]
MODELS = [
    Model("qwen3vl-a", ["F32", "F16", "Q8_0", "Q4_K_M"], cases("160x128-1", "96x96-6")),
    Model("qwen3vl-b", ["F32", "F16", "Q8_0", "Q4_0"], cases("120x144-1", "48x72-6")),
    Model("qwen3vl-c", ["F32", "Q8_0"], FEW),
    # Its text model has mixtures of experts.
    Model("qwen3vlmoe-a", ["F32", "Q8_0", "Q4_K_M"], FEW),
]
SCORED = "300x90-2"
made: dict[str, Qwen3VL] = {}


def vision(model: Model) -> Qwen3VL:
    if model.name not in made:
        with tempfile.TemporaryDirectory() as folder:
            made[model.name] = Qwen3VL(generate(sys.argv[1], model.name, "F32", Path(folder))[1])
    return made[model.name]


if __name__ == "__main__":
    main(Family(
        HERE, MODELS, reference=Qwen3VL, prepared=Qwen3VL.prepared, expanded=Qwen3VL.expanded,
        pixels=lambda model, image: vision(model).pixels(image), has_grids=True,
        more_pictures=["1x1-7", "2x301-8", "640x480-9", "80x112-10", "2000x15-11", "33x31-12", "2600x2400-13"],
        markers={"start": "<|vision_start|>", "end": "<|vision_end|>"}))
    for model in MODELS:
        np.save(HERE / "data" / f"{model.name}.scores.npy", vision(model).scores(picture(SCORED)))
