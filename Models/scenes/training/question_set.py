"""Writes a question set of one split for occam-eval: images as PNG and one JSON line a question."""

import argparse
import json
import os

import questions
import scenes


def write(folder, split, count, first=0, wanted=8):
    os.makedirs(os.path.join(folder, split), exist_ok=True)
    with open(os.path.join(folder, f"{split}.jsonl"), "w") as f:
        for number in range(first, first + count):
            seed = scenes.SPLITS[split] + number
            image, items, _ = scenes.scene(seed)
            name = f"{split}/{number:06d}.png"
            image.save(os.path.join(folder, name), optimize=True)
            for i, (sort, question, answer) in enumerate(questions.questions(seed, items, wanted)):
                print(json.dumps(dict(id=f"{split[0]}{number:06d}-{i}", image=name, question=question, answer=answer,
                                      type=sort, objects=len(items))), file=f)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("split", choices=list(scenes.SPLITS))
    parser.add_argument("--scenes", type=int, default=500)
    parser.add_argument("--first", type=int, default=0, help="number of the first scene")
    parser.add_argument("--questions", type=int, default=8, help="a scene, beside its description")
    options = parser.parse_args()
    write(options.folder, options.split, options.scenes, options.first, options.questions)
