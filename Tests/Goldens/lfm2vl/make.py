"""Goldens for LFM2-VL pairs: transformers' encoder and tiles, llama.cpp's text model.

usage: python make.py PATH_OF_occam-fixture
"""
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "peer"))

from goldens import Case, Family, Model, generate, main  # noqa: E402
from reference import LFM2VL  # noqa: E402

START, END = "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"
QUESTION = f"{START}<__media__>What is in the picture?{END}"
TWO = f"{START}<__media__> and <__media__> What is the difference?{END}"
TURNS = f"{START}<__media__>What is in the picture?{END}A cat.<|im_end|>\n{START}What color is it?{END}"
TEXT_ONLY = f"{START}What color is the cat's left eye?{END}"
TYPES = ["F32", "F16", "Q8_0", "Q4_0", "Q4_K_M"]


def cases(tiled: str) -> list[Case]:
    """The first is as large as pictures become at least; 300 x 400 has a side between two multiples; `tiled` is cut."""
    return [
        Case(QUESTION, ["256x256-1"]), Case(QUESTION, ["300x400-6"]), Case(QUESTION, ["300x90-2"]),
        Case(QUESTION, ["75x210-3"]), Case(QUESTION, ["9x7-4"]), Case(QUESTION, [tiled]), Case(QUESTION, ["cat.png"]),
        Case(TWO, ["300x90-2", "75x210-3"]), Case(TURNS, ["75x210-3"]), Case(TEXT_ONLY),
    ]


MODELS = [
    Model("lfm2-a", TYPES, cases("700x1400-5")), Model("lfm2-b", ["F32", "F16", "Q8_0", "Q4_0", "Q5_0"], cases("2000x1100-5"))]
made: dict[str, LFM2VL] = {}


def pixels(model: Model, image):
    if model.name not in made:
        with tempfile.TemporaryDirectory() as folder:
            made[model.name] = LFM2VL(generate(sys.argv[1], model.name, "F32", Path(folder))[1])
    return made[model.name].pixels(image)


if __name__ == "__main__":
    main(Family(
        HERE, MODELS, reference=LFM2VL, uses_reference=True, pixels=pixels, expanded=LFM2VL.expanded, context=4096,
        more_pictures=["1x1-8", "2x301-8", "640x480-9", "cup.png", "720x730-10", "40x900-3", "40x4000-7", "4000x3000-7"],
        markers={
            "start": "<|image_start|>", "tile": "<|img_row_R_col_C|>", "overview": "<|img_thumbnail|>",
            "end": "<|image_end|>"}))
