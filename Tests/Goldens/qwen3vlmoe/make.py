"""Goldens of llama.cpp and transformers for Qwen3-VL's mixtures of experts.

usage: python make.py PATH_OF_occam-fixture
"""
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "peer"))

from goldens import Case, Family, Model, main  # noqa: E402
from reference import Qwen3VL  # noqa: E402

QUESTION = "<|im_start|>user\n<__media__>What is in the picture?<|im_end|>\n<|im_start|>assistant\n"
TWO = "<|im_start|>user\n<__media__>and<__media__>What is the difference?<|im_end|>\n<|im_start|>assistant\n"
TEXT_ONLY = "<|im_start|>user\nWhat color is the cat's left eye?<|im_end|>\n<|im_start|>assistant\n"
CASES = [Case(QUESTION, ["160x128-1"]), Case(TWO, ["300x90-2", "75x210-3"]), Case(TEXT_ONLY)]

if __name__ == "__main__":
    main(Family(
        HERE, [Model("qwen3vlmoe-a", ["F32", "Q8_0", "Q4_K_M"], CASES)], reference=Qwen3VL, prepared=Qwen3VL.prepared,
        expanded=Qwen3VL.expanded, has_grids=True,
        markers={"start": "<|vision_start|>", "end": "<|vision_end|>"}))
