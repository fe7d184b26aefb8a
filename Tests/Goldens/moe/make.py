"""Goldens of llama.cpp for text-only Qwen3 mixtures of experts.

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
ONE = "cat"
LONG = " ".join(["One dog, two cats and three old birds are looking at the red house near the sea."] * 8)
CASES = [Case(CHAT), Case(PLAIN), Case(ONE), Case(LONG)]
TYPES = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_K_M"]
# llama.cpp rounds activations to BF16 too, which makes this narrow model's router choose other experts.
ODD_TYPES = [kind for kind in TYPES if kind != "BF16"]

if __name__ == "__main__":
    main(Family(HERE, [Model("qwen3moe-text", TYPES, CASES), Model("qwen3moe-odd", ODD_TYPES, CASES)]))
