"""Goldens of llama.cpp and transformers for Gemma 4: pairs built as E2B and 31B are, and one as 12B with other eyes.

usage: python make.py PATH_OF_occam-fixture
"""
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "peer"))

import goldens  # noqa: E402
import numpy as np  # noqa: E402
from gemma4_reference import Gemma4Text, Gemma4Vision  # noqa: E402
from goldens import Case, Family, Model, generate, main  # noqa: E402
from pictures import picture  # noqa: E402
from weights import Tensors  # noqa: E402

goldens.TextReference = Gemma4Text

START, END = "<|turn>user\n", "<turn|>\n<|turn>model\n<|channel>thought\n<channel|>"
CHAT = f"{START}What color is the cat's left eye?{END}"
PLAIN = "the cat is sitting on the table"
MIXED = "I'm 1,234 years old...\n\n\n  Don't you SEE it?\t\u00c9t\u00e9 \u732b \U0001f408 <|turn>user\n<turn|>\n"
# Several windows long.
LONG = " ".join(["One dog, two cats and three old birds are looking at the red house near the sea."] * 8)
TEXT = [Case(CHAT), Case(PLAIN), Case(MIXED), Case(LONG)]
QUESTION = f"{START}<__media__>What is in the picture?{END}"
BEHIND = f"{START}Look at this photo: <__media__>{END}"
TWO = f"{START}<__media__>and<__media__>What is the difference?{END}"
SECOND = f"{START}<__media__>What is it?<turn|>\n<|turn>model\nA cup.<turn|>\n{START}What color is it?{END}"


def cases(exact: str) -> list[Case]:
    """`exact` is not resized."""
    return [
        Case(QUESTION, [exact]), Case(QUESTION, ["300x90-2"]), Case(BEHIND, ["75x210-3"]), Case(QUESTION, ["9x7-4"]),
        Case(QUESTION, ["cat.png"]), Case(TWO, ["300x90-2", "75x210-3"]), Case(SECOND, ["cup.png"]), *TEXT,
    ]


MODELS = [
    Model("gemma4-a", ["F32", "F16", "BF16", "Q8_0", "Q4_K_M"], cases("288x192-1")),
    Model("gemma4-b", ["F32", "F16", "Q8_0", "Q4_0"], cases("144x96-1")),
    # Many times a window long.
    Model("gemma4-c", ["F32", "Q8_0"], cases("960x672-1")),
]
SCORED = "300x90-2"
made: dict[str, Gemma4Vision] = {}


def vision(model: Model) -> Gemma4Vision:
    if model.name not in made:
        with tempfile.TemporaryDirectory() as folder:
            made[model.name] = Gemma4Vision(generate(sys.argv[1], model.name, "F32", Path(folder))[1])
    return made[model.name]


def is_causal(text: Path) -> bool:
    """E2B and E4B, which mtmd knows by their widths, have embeddings of layers."""
    return int(Tensors(text).key("gemma4.embedding_length_per_layer_input")) > 0


if __name__ == "__main__":
    main(Family(
        HERE, MODELS, reference=Gemma4Vision, prepared=Gemma4Vision.prepared, expanded=Gemma4Vision.expanded,
        pixels=lambda model, image: vision(model).pixels(image),
        more_pictures=["1x1-7", "2x301-8", "640x480-9", "2000x15-10", "33x31-11", "40x1500-12", "2600x2400-13"],
        tokens=(1, 1120), causal=is_causal, markers={"start": "<|image>", "end": "<image|>"}))
    for model in MODELS:
        np.save(HERE / "data" / f"{model.name}.scores.npy", vision(model).scores(picture(SCORED)))
