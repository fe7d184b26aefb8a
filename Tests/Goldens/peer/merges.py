"""Trains the byte-pair merges of the fixtures' vocabularies and writes them as Swift.

usage: python Tests/Goldens/peer/merges.py > Models/Fixtures/BytePairMerges.swift

The text is made from a seed: sentences of the words that the SentencePiece-style built-in vocabulary has too
(Models/Fixtures/BuiltInVocabulary.swift), with signs, line breaks and the words of chat templates. Standard library
only; ties go to the pair that comes first in the alphabet, so every run gives the same list.
"""
import random
import re
from collections import Counter
from pathlib import Path

SEED, SENTENCES, MERGES = 11, 1500, 400
ROOT = Path(__file__).parent.parent.parent.parent
# The pieces that no merge crosses; digits stand alone, as the pre-tokenizers smollm and qwen2 have it.
PIECE = re.compile(r"'(?:s|t|re|ve|m|ll|d)|[0-9]| ?[A-Za-z]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+")


def words() -> list[str]:
    source = (ROOT / "Models/Fixtures/BuiltInVocabulary.swift").read_text()
    block = source.split('static let words = """')[1].split('"""')[0]
    return block.replace("\\\n", " ").split()


def text() -> str:
    draw = random.Random(SEED)
    known = words()
    lines = []
    for _ in range(SENTENCES):
        sentence = " ".join(draw.choice(known) for _ in range(draw.randint(3, 9)))
        ending = draw.choice([".", "?", "!", ".\n", ",", ":", "'s", "n't", "\n\n", "..."])
        lines.append(draw.choice(["User: ", "Assistant: ", "user\n", "assistant\n", "system\n", "", ""]) + sentence + ending)
    return " ".join(lines)


def printable() -> dict[int, str]:
    """GPT-2's letter for every byte: itself where it is visible, else the next letter from U+0100."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in visible]
    return {byte: chr(byte) for byte in visible} | {byte: chr(256 + i) for i, byte in enumerate(hidden)}


def train() -> list[tuple[str, str]]:
    letters = printable()
    pieces = Counter(tuple(letters[b] for b in piece.encode()) for piece in PIECE.findall(text()))
    merges = []
    while len(merges) < MERGES:
        pairs = Counter()
        for piece, count in pieces.items():
            for pair in zip(piece, piece[1:]):
                pairs[pair] += count
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        merged = Counter()
        for piece, count in pieces.items():
            parts, index = [], 0
            while index < len(piece):
                joined = piece[index : index + 2] == best
                parts.append(piece[index] + piece[index + 1] if joined else piece[index])
                index += 2 if joined else 1
            merged[tuple(parts)] += count
        pieces = merged
    return merges


def main():
    merges = train()
    # llama.cpp looks for this token by its text.
    assert ("\u010a", "\u010a") in merges
    lines, line = [], "   "
    for merge in (f"{a} {b}" for a, b in merges):
        # Two spaces between merges: one stands inside each.
        if len(line) + len(merge) + 3 > 116:
            lines.append(line)
            line = "   "
        line += ("" if line == "   " else "  ") + (" " if line == "   " else "") + merge
    lines.append(line)
    print("// Written by Tests/Goldens/peer/merges.py, which trained it.\n")
    print("extension BytePairVocabulary {")
    print("  /// Pairs in the order in which they were merged, in GPT-2's letters for bytes; two spaces between pairs.")
    print('  static let trainedMerges = #"""')
    print(" \\#\n".join(lines))
    print('    """#\n}')


if __name__ == "__main__":
    main()
