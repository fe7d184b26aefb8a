"""Goldens of llama.cpp and transformers for Gemma 3: pairs and a text model.

usage: python make.py PATH_OF_occam-fixture
"""
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "peer"))

from goldens import Case, Family, Model, generate, main  # noqa: E402
from reference import Gemma3  # noqa: E402

QUESTION = "<start_of_turn>user\n<__media__>What is in the picture?<end_of_turn>\n<start_of_turn>model\n"
BEHIND = "<start_of_turn>user\nLook at this photo: <__media__><end_of_turn>\n<start_of_turn>model\n"
TWO = "<start_of_turn>user\n<__media__> and\n\n<__media__>What is the difference?<end_of_turn>\n<start_of_turn>model\n"
TEXT_ONLY = "<start_of_turn>user\nWhat color is the cat's left eye?<end_of_turn>\n<start_of_turn>model\n"
# Several windows long.
LONG = (
    "<start_of_turn>user\nOne, two, three, four: many birds are sitting on the old wooden table near the window, and a small "
    "cat is looking at all of them.\n\n\nWho is running?   Where is the dog?<end_of_turn>\n<start_of_turn>model\n")
TYPES = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_K_M"]


def cases(exact: str) -> list[Case]:
    """`exact` has the size that photos are scaled to."""
    return [
        Case(QUESTION, [exact]), Case(QUESTION, ["300x90-2"]), Case(BEHIND, ["75x210-3"]), Case(QUESTION, ["9x7-4"]),
        Case(QUESTION, ["1500x1100-5"]), Case(QUESTION, ["cat.png"]), Case(TWO, [exact, "300x90-2"]), Case(TEXT_ONLY),
        Case(LONG),
    ]


MODELS = [
    Model("gemma3-a", TYPES, cases("168x168-1")),
    Model("gemma3-b", ["F32", "F16", "Q8_0", "Q4_0"], cases("112x112-1")),
    Model("gemma3-text", TYPES, [Case(TEXT_ONLY), Case(LONG), Case("the cat"), Case(" \n\n  1+1=\u00e9")]),
]
made: dict[str, Gemma3] = {}


def pixels(model: Model, image):
    if model.name == "gemma3-text":
        return None
    if model.name not in made:
        with tempfile.TemporaryDirectory() as folder:
            made[model.name] = Gemma3(generate(sys.argv[1], model.name, "F32", Path(folder))[1])
    return made[model.name].pixels(image)


if __name__ == "__main__":
    main(Family(
        HERE, MODELS, reference=Gemma3, pixels=pixels, prepared=lambda reference, image: reference.pixels(image)[0][0],
        more_pictures=["1x1-7", "2x301-8", "640x480-9", "cup.png"],
        markers={"begin": "<start_of_image>", "end": "<end_of_image>"}))
