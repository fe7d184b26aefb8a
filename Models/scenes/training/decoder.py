"""Stage 2: the decoder and its projector on questions, the encoder going on with its dense labels. Resumable."""

import json
import os
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

import batches as packing
import data
import questions
import scenes
import vision
import vocabulary
from model import Decoder, VisionEncoder, VisionHeads, patches
from optimiser import Optimiser
from team import Team, save


class Words:
    """The words that fit each patch: what it shows, its colour and size, what is written there, where its item stands."""

    def __init__(self, encode):
        one = lambda text: encode(text)[-1]
        table = lambda texts: torch.tensor([one(t) for t in texts] + [-1] * (256 - len(texts)))
        self.tables = [
            table([" " + k for k in scenes.KINDS] + [" sign", " sign"]), table([" " + c for c in scenes.COLORS]),
            table([" small", " large"]), table([" " + w for w in scenes.WORDS]), table(list("0123456789")), table(list("0123456789"))]
        self.columns, self.rows = table([" left", " center", " right"]), table([" top", " center", " bottom"])

    def targets(self, labels, offsets):
        """int [B, 144, 8], -1 where a word is missing."""
        found = [t[labels[:, i].long()] for i, t in enumerate(self.tables)]
        at = torch.arange(scenes.GRID**2)
        third = scenes.SIZE / 3
        x = ((at % scenes.GRID + 0.5) * scenes.PATCH + offsets[:, 0].float() / 2) / third
        y = ((at // scenes.GRID + 0.5) * scenes.PATCH + offsets[:, 1].float() / 2) / third
        on = found[0] >= 0
        found += [torch.where(on, t[v.clamp(0, 2.99).long()], -1) for t, v in ((self.columns, x), (self.rows, y))]
        return torch.stack(found, -1)


def alignment_loss(decoder, features, targets):
    on = targets[..., 0] >= 0
    target = targets[on]
    with torch.autocast("cpu", torch.bfloat16):
        scores = decoder.words(features[on])
    known = target >= 0
    return -(scores.gather(-1, target.clamp(min=0)) * known).sum() / known.sum().clamp(min=1)


class Model:
    def __init__(self, run, pieces):
        self.encoder, self.heads, self.decoder = VisionEncoder(), VisionHeads(), Decoder(pieces, [packing.MENTION.values(), packing.RELATION.values()])
        state = torch.load(os.path.join(run, "vision.pt"))
        self.encoder.load_state_dict(state["encoder"])
        self.heads.load_state_dict(state["heads"])

    def parts(self):
        return dict(encoder=self.encoder, heads=self.heads, decoder=self.decoder)


def latest(run):
    """The weights of the last stage that was trained."""
    return next(p for p in (os.path.join(run, n + ".pt") for n in ("joint", "alignment")) if os.path.exists(p))


def read_loss(read, labels):
    """Mean cross-entropy of one read-out over all labels that are known."""
    sums = [F.cross_entropy(scores.float(), target, ignore_index=-1, reduction="sum") for scores, target in zip(read, labels.unbind(-1))]
    return sum(sums) / (labels >= 0).sum().clamp(min=1)


def answer_loss(model, packer, images, asked, items, frozen):
    """Mean cross-entropy over answer tokens; that of the read-outs; the features; which questions were answered wrongly."""
    inputs, target, where, labels = packer.collate([packer.pack(a, i) for a, i in zip(asked, items)])
    with torch.autocast("cpu", torch.bfloat16):
        with torch.set_grad_enabled(torch.is_grad_enabled() and not frozen):
            features = model.encoder(patches(images))
        logits, read = model.decoder(packer.before, features[:, 1:], *inputs)
    logits = logits.float()
    wrong = torch.zeros(len(asked) * 64, dtype=torch.bool)
    wrong[where[logits.argmax(-1) != target]] = True
    # Every answer weighs the same up to a square root of its length: descriptions are long, and teach the most.
    lengths = torch.bincount(where, minlength=len(wrong))[where].float()
    weights = lengths.rsqrt()
    loss = (F.cross_entropy(logits, target, reduction="none") * weights).sum() / weights.sum()
    return loss, [read_loss(*pair) for pair in zip(read, labels)], features, wrong


@torch.no_grad()
def evaluate(model, packer, shards, rows, count=384, batch=32):
    """Share of answers right in every token, by type: the same as exact match under greedy decoding."""
    right, total = {}, {}
    for start in range(0, count, batch):
        asked = packing.asked(shards.first[0] + start, rows[start:start + batch])
        images = torch.from_numpy(np.array(shards.images[0][start:start + batch]))
        kept = [i for i, a in enumerate(asked) if a]
        asked, images = [asked[i] for i in kept], images[kept]
        *_, wrong = answer_loss(model, packer, images, asked, [rows[start + i] for i in kept], True)
        for i, a in enumerate(asked):
            for j, (sort, _, _) in enumerate(a, 1):
                total[sort] = total.get(sort, 0) + 1
                right[sort] = right.get(sort, 0) + (not wrong[i * 64 + j])
    return {k: round(right[k] / total[k], 4) for k in questions.TYPES if k in total}


def train(folder, run, stage, steps, lr=1.5e-3, vision_lr=5e-5, batch=16, seed=2):
    """stage "alignment": projector and decoder on the frozen encoder of vision.pt. stage "joint": everything, from vision.pt
    and alignment.pt, the encoder with its dense labels as well. Writes <stage>.pt."""
    torch.manual_seed(seed)
    torch.set_flush_denormal(True)
    team, frozen = Team(), stage == "alignment"
    processor = vocabulary.load(os.path.join(run, "vocabulary"))
    model, packer = Model(run, processor.get_piece_size()), packing.Packer(processor)
    share = dict(warmup=200, rank=team.rank, size=team.size)
    optimisers = [Optimiser([model.decoder], lr, steps, **share)]
    if not frozen:
        model.decoder.load_state_dict(torch.load(os.path.join(run, "alignment.pt"))["decoder"], strict=False)
        optimisers.append(Optimiser([model.encoder, model.heads], vision_lr, steps, **share))
    path, first = os.path.join(run, stage + ".pt"), 0
    mine = os.path.join(run, f"{stage}-optimisers-{team.rank}-of-{team.size}.pt")
    if os.path.exists(path):
        state = torch.load(path)
        for name, part in model.parts().items():
            if not frozen or name == "decoder":  # a frozen encoder is that of vision.pt, which may have gone on
                part.load_state_dict(state[name])
        first = state["step"]
        if os.path.exists(mine) and (kept := torch.load(mine))["step"] == first:
            for o, s in zip(optimisers, kept["optimisers"]):
                o.load_state_dict(s)
    words = Words(packer.encode)
    train_set, validation = vision.Batches(folder, "train"), data.Shards(folder, "validation")
    rows = validation.items(0)
    shards, per = len(train_set.shards.stems), data.SHARD // batch
    items = [train_set.shards.items(n) for n in range(shards)]
    offset = 0 if frozen else 1000  # of the turns: the stages ask different questions in a different order
    started, sums = time.time(), []
    for step in range(first, steps):
        turn, inside = divmod(step, shards * per)
        turn += offset
        shard, slot = divmod(int(np.random.default_rng((seed, turn)).permutation(shards * per)[inside]), per)
        pick = np.sort(np.random.default_rng((seed, turn, shard)).permutation(data.SHARD)[slot * batch:(slot + 1) * batch])
        pick = pick[team.rank::team.size]
        asked = [questions.questions(train_set.shards.first[shard] + int(i) + 7_000_000 * turn, items[shard][i]) for i in pick]
        pick, asked = pick[[bool(a) for a in asked]], [a for a in asked if a]
        shown = [items[shard][i] for i in pick]
        images, labels, offsets, content = train_set.get(shard, pick)
        loss, (named, related), features, _ = answer_loss(model, packer, images, asked, shown, frozen)
        aligned = alignment_loss(model.decoder, features[:, 1:], words.targets(labels, offsets))
        total, extra = loss + 0.2 * aligned + 0.4 * named + 0.2 * related, torch.zeros(())
        if not frozen:
            extra, _ = vision.label_losses(model.heads, features, labels, offsets, content)
            total = total + 0.3 * extra
        total.backward()
        team.average([p for o in optimisers for p in o.parameters])
        for o in optimisers:
            o.step(step)
        sums.append((loss.item(), named.item(), related.item(), aligned.item(), extra.item()))
        if (step + 1) % 50 and step + 1 != steps:
            continue
        save(dict(optimisers=[o.state_dict() for o in optimisers], step=step + 1), mine)
        if team.rank == 0:
            mean = np.mean(sums, 0).round(4).tolist()
            row = dict(stage=stage, step=step + 1, images=(step + 1) * batch, loss=mean[0], named=mean[1], related=mean[2],
                       aligned=mean[3], dense=mean[4], seconds=round(time.time() - started, 1))
            if (step + 1) % 400 == 0 or step + 1 == steps:
                row["validation"] = evaluate(model, packer, validation, rows)
            save(dict({name: part.state_dict() for name, part in model.parts().items()}, step=step + 1), path)
            with open(os.path.join(run, "log.jsonl"), "a") as log:
                print(json.dumps(row), file=log)
            print(row, flush=True)
        sums = []


if __name__ == "__main__":
    folder, run, stage, steps = sys.argv[1:]
    train(folder, run, stage, int(steps))
