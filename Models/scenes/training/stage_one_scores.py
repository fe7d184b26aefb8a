"""How well scores for encoders without CLS choose tokens, on this encoder, whose CLS they leave out: stage I alone, the K best.

    python stage_one_scores.py TEXT MMPROJ QUESTIONS [--limit 300]

mutual: column means of the last layer's attention over the patches' rows (the paper's). register: the row of a neutral register token.
keys: the norm of a patch's key, mean over heads; and its negative. cls: for comparison. all: nothing dropped.
"""

import argparse
import json
import os

import numpy as np
import torch
from PIL import Image

import oracle
import scenes
import vocabulary
from model import TEXT


def scores(encoder, image):
    features, attention, keys = oracle.encode(encoder, image, [], False)
    _, registered, _ = oracle.encode(encoder, image, [], True)
    norms = keys[:, 1:].norm(dim=-1).mean(0)
    return features, dict(mutual=attention[1:, 1:].mean(0), register=registered[-1, 1:-1], keys=norms, lowkeys=-norms, cls=attention[0, 1:])


def answer(decoder, processor, features, kept, question):
    before = [processor.bos_id()] + processor.encode(vocabulary.BEFORE)
    after = processor.encode(vocabulary.AFTER.format(question=question))
    embed = lambda ids: decoder.embedding(torch.tensor(ids))
    start, end = len(before), len(before) + scenes.GRID**2
    run = oracle.Run(decoder)
    x = torch.cat([embed(before), decoder.projector(features[kept]), embed(after)])
    positions = list(range(start)) + [start + v for v in kept] + list(range(end, end + len(after)))
    x, _ = run.layers(range(TEXT["layers"]), x, positions)
    return run.greedy(run.token(x), end + len(after), processor)


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text")
    parser.add_argument("mmproj")
    parser.add_argument("questions")
    parser.add_argument("--limit", type=int, default=300)
    parser.add_argument("--counts", default="108,72,48")
    options = parser.parse_args()
    encoder, decoder = oracle.load(options.text, options.mmproj)
    processor = vocabulary.load(os.path.join(os.path.dirname(os.path.abspath(__file__)), "vocabulary"))
    with open(options.questions) as f:
        asked = [q for q in map(json.loads, f) if q["type"] != "description"][: options.limit]
    right, seen = {}, {}
    for q in asked:
        path = os.path.join(os.path.dirname(options.questions), q["image"])
        if path not in seen:
            pixels = np.asarray(Image.open(path).convert("RGB"))
            seen = {path: scores(encoder, torch.from_numpy(pixels.copy())[None])}
        features, found = seen[path]
        choices = {("all", scenes.GRID**2): list(range(scenes.GRID**2))}
        for name, score in found.items():
            for count in map(int, options.counts.split(",")):
                choices[name, count] = score.topk(count).indices.sort().values.tolist()
        for key, kept in choices.items():
            right.setdefault(key, []).append(answer(decoder, processor, features, kept, q["question"]) == q["answer"])
    for (name, count), found in right.items():
        print(f"{name:10} {count:4} {100 * np.mean(found):6.1f} %  of {len(found)}")


if __name__ == "__main__":
    main()
