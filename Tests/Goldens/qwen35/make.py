"""Goldens of llama.cpp and transformers for Qwen3.5 pairs.

usage: python make.py PATH_OF_occam-fixture
"""
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "peer"))

from goldens import Case, Family, Model, generate, main  # noqa: E402
from reference import Qwen3VL  # noqa: E402

ASSISTANT = "<|im_start|>assistant\n<think>\n\n</think>\n\n"
QUESTION = f"<|im_start|>user\n<__media__>What is in the picture?<|im_end|>\n{ASSISTANT}"
TWO = f"<|im_start|>user\n<__media__>and<__media__>What is the difference?<|im_end|>\n{ASSISTANT}"
SECOND = (
    "<|im_start|>user\n<__media__>What is it?<|im_end|>\n<|im_start|>assistant\nA cup.<|im_end|>\n"
    f"<|im_start|>user\nWhat color is it?<|im_end|>\n{ASSISTANT}")
TEXT_ONLY = f"<|im_start|>user\nWhat color is the cat's left eye?<|im_end|>\n{ASSISTANT}"
# Marks join the letters before them (the pre-tokenizer's difference from Qwen2's).
MARKS = f"<|im_start|>user\nI\u0301 saw 1,234 cafe\u0301s\u2026 \u0e01\u0e33 \u732b\n\n\nWhy?<|im_end|>\n{ASSISTANT}"
# Several chunks of the delta rule.
LONG = " ".join(["One dog, two cats and three old birds are looking at the red house near the sea."] * 16)


def cases(exact: str, table: str) -> list[Case]:
    """`exact` is not resized; `table` has as many patches as the file has positions, or the nearest even number."""
    return [
        Case(QUESTION, [exact]), Case(QUESTION, [table]), Case(QUESTION, ["300x90-2"]), Case(QUESTION, ["75x210-3"]),
        Case(QUESTION, ["9x7-4"]), Case(QUESTION, ["cat.png"]), Case(TWO, ["300x90-2", "75x210-3"]),
        Case(SECOND, ["cup.png"]), Case(TEXT_ONLY), Case(MARKS), Case(LONG),
    ]


MODELS = [
    Model("qwen35-a", ["F32", "F16", "Q8_0", "Q4_0", "Q4_K_M"], cases("160x128-1", "64x64-6")),
    Model("qwen35-b", ["F32", "F16", "Q8_0", "Q5_0", "Q4_0"], cases("120x144-1", "48x72-6")),
    Model("qwen35moe-a", ["F32", "F16", "Q8_0", "Q4_K_M"], [
        Case(QUESTION, ["300x90-2"]), Case(TWO, ["300x90-2", "75x210-3"]), Case(SECOND, ["cup.png"]), Case(TEXT_ONLY),
        Case(LONG)]),
]
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
        more_pictures=["1x1-7", "2x301-8", "640x480-9"],
        markers={"start": "<|vision_start|>", "end": "<|vision_end|>"}))
