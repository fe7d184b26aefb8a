"""Goldens of llama.cpp and transformers for SmolVLM pairs.

usage: python make.py PATH_OF_occam-fixture
"""
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "peer"))

from goldens import Case, Family, Model, generate, main  # noqa: E402
from reference import SmolVLM  # noqa: E402

QUESTION = "<|im_start|>User:<__media__>What is in the picture?<end_of_utterance>\nAssistant:"
TWO = "<|im_start|>User:<__media__>and<__media__>What is the difference?<end_of_utterance>\nAssistant:"
TEXT_ONLY = "<|im_start|>User: What color is the cat's left eye?<end_of_utterance>\nAssistant:"
TYPES = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_K_M"]


def cases(exact: str, longer: str) -> list[Case]:
    """`exact` holds whole tiles of the size that photos are scaled to; `longer` is scaled once, to whole tiles."""
    return [
        Case(QUESTION, [exact]), Case(QUESTION, [longer]), Case(QUESTION, ["300x90-2"]), Case(QUESTION, ["75x210-3"]),
        Case(QUESTION, ["9x7-4"]), Case(QUESTION, ["1500x1100-5"]), Case(QUESTION, ["cat.png"]),
        Case(TWO, ["300x90-2", "75x210-3"]), Case(TEXT_ONLY),
    ]


MODELS = [
    Model("smolvlm-a", TYPES, cases("192x192-1", "192x128-6")),
    Model("smolvlm-b", ["F32", "F16", "Q8_0", "Q4_0"], cases("336x336-1", "336x168-6")),
]
made: dict[str, SmolVLM] = {}


def pixels(model: Model, image):
    if model.name not in made:
        with tempfile.TemporaryDirectory() as folder:
            made[model.name] = SmolVLM(generate(sys.argv[1], model.name, "F32", Path(folder))[1])
    return made[model.name].pixels(image)


if __name__ == "__main__":
    main(Family(
        HERE, MODELS, reference=SmolVLM, pixels=pixels, expanded=SmolVLM.expanded,
        more_pictures=["1x1-7", "2x301-8", "640x480-9", "cup.png", "191x193-10", "64x65-11"],
        markers={
            "tile": "<fake_token_around_image><row_R_col_C>", "row_end": "\n",
            "overview": "\n\n<fake_token_around_image><global-img>", "end": "<fake_token_around_image>",
        }))
