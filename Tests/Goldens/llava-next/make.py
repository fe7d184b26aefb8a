"""Goldens for LLaVA-NeXT pairs: transformers' encoder and packing, llama.cpp's text model.

usage: python make.py PATH_OF_occam-fixture
"""
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "peer"))

from goldens import Case, Family, Model, generate, main  # noqa: E402
from reference import LlavaNext  # noqa: E402

QUESTION = "USER: <__media__>\nWhat is in the picture? ASSISTANT:"
IMAGE_FIRST = "<__media__>Describe the photo, please."
TWO = "USER: <__media__> and <__media__> What is the difference? ASSISTANT:"
TEXT_ONLY = "USER: What color is the cat's left eye? ASSISTANT:"
TYPES = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_K_M"]


def cases(side: int) -> list[Case]:
    """The first three have sizes that photos are scaled to."""
    return [
        Case(QUESTION, [f"{2 * side}x{side}-1"]), Case(QUESTION, [f"{side}x{3 * side}-6"]),
        Case(QUESTION, [f"{2 * side}x{2 * side}-7"]), Case(QUESTION, ["300x90-2"]), Case(IMAGE_FIRST, ["75x210-3"]),
        Case(QUESTION, ["9x7-4"]), Case(QUESTION, ["1500x1100-5"]), Case(QUESTION, ["cat.png"]),
        Case(TWO, ["300x90-2", "75x210-3"]), Case(TEXT_ONLY),
    ]


MODELS = [Model("next-a", TYPES, cases(56)), Model("next-b", ["F32", "F16", "Q8_0", "Q4_0"], cases(70))]
made: dict[str, LlavaNext] = {}


def pixels(model: Model, image):
    if model.name not in made:
        with tempfile.TemporaryDirectory() as folder:
            made[model.name] = LlavaNext(generate(sys.argv[1], model.name, "F32", Path(folder))[1])
    return made[model.name].pixels(image)


if __name__ == "__main__":
    main(Family(
        HERE, MODELS, reference=LlavaNext, uses_reference=True, pixels=pixels,
        more_pictures=["1x1-8", "2x301-8", "640x480-9", "cup.png", "101x99-10", "57x170-11"]))
