"""Goldens of llama.cpp for the text models of Gemma 4, built as E2B, 31B and 12B are.

usage: python make.py PATH_OF_occam-fixture
"""
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "peer"))

import goldens  # noqa: E402
from gemma4_reference import Gemma4Text  # noqa: E402
from goldens import Case, Family, Model, main  # noqa: E402

goldens.TextReference = Gemma4Text

CHAT = "<|turn>user\nWhat color is the cat's left eye?<turn|>\n<|turn>model\n<|channel>thought\n<channel|>"
PLAIN = "the cat is sitting on the table"
MIXED = "I'm 1,234 years old...\n\n\n  Don't you SEE it?\t\u00c9t\u00e9 \u732b \U0001f408 <|turn>user\n<turn|>\n"
# Several windows long.
LONG = " ".join(["One dog, two cats and three old birds are looking at the red house near the sea."] * 8)
CASES = [Case(CHAT), Case(PLAIN), Case(MIXED), Case(LONG)]

if __name__ == "__main__":
    main(Family(HERE, [
        Model("gemma4-a", ["F32", "F16", "BF16", "Q8_0", "Q4_K_M"], CASES),
        Model("gemma4-b", ["F32", "F16", "Q8_0", "Q4_0"], CASES),
        Model("gemma4-c", ["F32", "Q8_0"], CASES),
    ]))
