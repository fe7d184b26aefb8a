"""Greedy answers of the same model in PyTorch and in llama.cpp, and how often two or more sets of answers are the same.

    python agreement.py torch RUN_FOLDER QUESTIONS OUT            (training environment)
    python agreement.py llama.cpp TEXT MMPROJ QUESTIONS OUT       (with llama-cpp-python, see Tests/Goldens/llava)
    python agreement.py compare ANSWERS ANSWERS...                (also occam-eval's --results file)

llama.cpp appends CLS behind the patches; the twins of Tests/Goldens/llava make it compute the trained order.
"""

import json
import os
import sys
from pathlib import Path

LIMIT = 40  # tokens of an answer


def load(path):
    with open(path) as f:
        return [json.loads(line) for line in f if line.strip()]


def save(path, found):
    with open(path, "w") as f:
        for key, answer in found:
            print(json.dumps(dict(id=key, answer=answer)), file=f)


def by_image(asked):
    groups = {}
    for q in asked:
        groups.setdefault(q["image"], []).append(q)
    return groups


def with_torch(run, path):
    import numpy as np
    import torch
    from PIL import Image

    import batches
    import decoder
    import vocabulary
    from model import patches

    processor = vocabulary.load(os.path.join(run, "vocabulary"))
    model, packer = decoder.Model(run, processor.get_piece_size()), batches.Packer(processor)
    state = torch.load(decoder.latest(run))
    for name, part in model.parts().items():
        part.load_state_dict(state[name])
        part.eval()
    folder = os.path.dirname(path)
    with torch.no_grad():
        for image, asked in by_image(load(path)).items():
            pixels = np.asarray(Image.open(os.path.join(folder, image)).convert("RGB"))
            features = model.encoder(patches(torch.from_numpy(pixels.copy())[None]))[:, 1:]
            for q in asked:
                prompt = packer.encode(vocabulary.AFTER.format(question=q["question"]))
                reply = []
                while len(reply) < LIMIT:
                    after = torch.tensor([[prompt + reply]])
                    n = packer.prefix + after.shape[2]
                    mask = torch.ones(n, n, dtype=torch.bool).tril()[None, None, packer.prefix:]
                    last = torch.tensor([after.shape[2] - 1])
                    logits, _ = model.decoder(packer.before, features, after, torch.arange(n)[None], mask, last)
                    token = int(logits.argmax())
                    if token == batches.EOS:
                        break
                    reply.append(token)
                yield q["id"], processor.decode(reply).strip()


def with_llama_cpp(text, mmproj, path):
    import tempfile

    import numpy as np
    from PIL import Image

    sys.path.insert(0, str(Path(__file__).parents[3] / "Tests" / "Goldens" / "llava"))
    import llama_cpp as lib
    from make import Oracle

    import gguf

    fields = gguf.GGUFReader(mmproj).fields
    side = int(fields["clip.vision.image_size"].contents())
    with tempfile.TemporaryDirectory() as folder:
        oracle = Oracle(Path(text), Path(mmproj), side, True, Path(folder))
        pair, end = oracle.pair, lib.llama_vocab_eos(oracle.pair.vocab)
        for image, asked in by_image(load(path)).items():
            pixels = np.asarray(Image.open(Path(path).parent / image).convert("RGB"))
            rows = oracle.embeddings(pixels, "reference")
            for q in asked:
                chunks, keep = pair.tokenize(f"USER: <__media__>\n{q['question']} ASSISTANT:", pixels)
                token, reply = int(pair.evaluate(chunks, rows).argmax()), ""
                for _ in range(LIMIT):
                    if token == end:
                        break
                    reply += pair.piece(token)
                    token = int(pair.step(token).argmax())
                yield q["id"], reply.strip()


def compare(paths):
    sets = [{r["id"]: r["answer"].strip() for r in load(p) if "answer" in r} for p in paths]
    for i, a in enumerate(sets):
        for j in range(i + 1, len(sets)):
            both = sorted(a.keys() & sets[j].keys())
            same = sum(a[k] == sets[j][k] for k in both)
            print(f"{paths[i]} and {paths[j]}: {same} of {len(both)} answers the same ({100 * same / max(1, len(both)):.2f} %)")


if __name__ == "__main__":
    command, *rest = sys.argv[1:]
    if command == "torch":
        save(rest[2], with_torch(*rest[:2]))
    elif command == "llama.cpp":
        save(rest[3], with_llama_cpp(*rest[:3]))
    elif command == "compare":
        compare(rest)
    else:
        sys.exit(__doc__)
