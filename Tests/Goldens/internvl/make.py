"""Goldens for InternVL pairs: transformers' encoder and tiles, llama.cpp's text model.

usage: python make.py PATH_OF_occam-fixture
"""
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "peer"))

from goldens import Case, Family, Model, generate, main  # noqa: E402
from reference import InternVL  # noqa: E402

START, END = "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"
QUESTION = f"{START}<__media__>\nWhat is in the picture?{END}"
TWO = f"{START}Image-1: <__media__>\nImage-2: <__media__>\nWhat is the difference?{END}"
TURNS = f"{START}<__media__>\nWhat is in the picture?{END}A cat.<|im_end|>\n{START}What color is it?{END}"
TEXT_ONLY = f"{START}What color is the cat's left eye?{END}"
TYPES = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_K_M"]


def cases(side: int) -> list[Case]:
    """The first two have sizes that photos are scaled to."""
    return [
        Case(QUESTION, [f"{2 * side}x{side}-1"]), Case(QUESTION, [f"{3 * side}x{2 * side}-6"]),
        Case(QUESTION, ["300x90-2"]), Case(QUESTION, ["75x210-3"]), Case(QUESTION, ["9x7-4"]),
        Case(QUESTION, ["1500x1100-5"]), Case(QUESTION, ["cat.png"]), Case(TWO, ["300x90-2", "60x60-3"]),
        Case(TURNS, ["75x210-3"]), Case(TEXT_ONLY),
    ]


MODELS = [Model("internvl-a", TYPES, cases(64)), Model("internvl-b", ["F32", "F16", "Q8_0", "Q4_0"], cases(84))]
made: dict[str, InternVL] = {}


def pixels(model: Model, image):
    if model.name not in made:
        with tempfile.TemporaryDirectory() as folder:
            made[model.name] = InternVL(generate(sys.argv[1], model.name, "F32", Path(folder))[1])
    return made[model.name].pixels(image)


if __name__ == "__main__":
    main(Family(
        HERE, MODELS, reference=InternVL, uses_reference=True, frame=("<img>", "</img>"), pixels=pixels,
        expanded=InternVL.expanded,
        more_pictures=["1x1-8", "2x301-8", "301x2-8", "640x480-9", "cup.png", "101x99-10", "57x170-11", "200x200-12"],
        markers={"start": "<img>", "end": "</img>"}))
