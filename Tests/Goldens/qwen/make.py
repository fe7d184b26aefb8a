"""Goldens of llama.cpp for text-only Qwen2 and Qwen3 models.

usage: python make.py PATH_OF_occam-fixture
"""
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "peer"))

from goldens import Case, Family, Model, main  # noqa: E402

CHAT = (
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nWhat color is the cat's left eye?"
    "<|im_end|>\n<|im_start|>assistant\n")
PLAIN = "the cat is sitting on the table"
MIXED = "I'm 1,234 years old...\n\n\n  Don't you SEE it?\t\u00c9t\u00e9 \u732b \U0001f408 <think>\n</think>\n"
LONG = " ".join(["One dog, two cats and three old birds are looking at the red house near the sea."] * 8)
CASES = [Case(CHAT), Case(PLAIN), Case(MIXED), Case(LONG)]
TYPES = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_K_M"]

if __name__ == "__main__":
    main(Family(HERE, [Model("qwen2-text", TYPES, CASES), Model("qwen3-text", TYPES, CASES)]))
