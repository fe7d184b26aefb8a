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
        self.encoder, self.heads, self.decoder = VisionEncoder(), VisionHeads(), Decoder(pieces)
        state = torch.load(os.path.join(run, "vision.pt"))
        self.encoder.load_state_dict(state["encoder"])
        self.heads.load_state_dict(state["heads"])

    def parts(self):
        return dict(encoder=self.encoder, heads=self.heads, decoder=self.decoder)


def latest(run):
    """The weights of the last stage that was trained."""
    return next(p for p in (os.path.join(run, n + ".pt") for n in ("joint", "alignment")) if os.path.exists(p))


def answer_loss(model, packer, images, asked, frozen):
    """Mean cross-entropy over answer tokens; whether every token of an answer was right; and which question each is."""
    inputs, target, where = packer.collate([packer.pack(a) for a in asked])
    with torch.autocast("cpu", torch.bfloat16):
        with torch.set_grad_enabled(torch.is_grad_enabled() and not frozen):
            features = model.encoder(patches(images))
        before, after, positions, mask, wanted = inputs
        logits = model.decoder(before, features[:, 1:], after, positions, mask, wanted)
    logits = logits.float()
    wrong = torch.zeros(len(asked) * 64, dtype=torch.bool)
    wrong[where[logits.argmax(-1) != target]] = True
    # Every answer weighs the same up to a square root of its length: descriptions are long, and teach the most.
    lengths = torch.bincount(where, minlength=len(wrong))[where].float()
    weights = lengths.rsqrt()
    loss = (F.cross_entropy(logits, target, reduction="none") * weights).sum() / weights.sum()
    return loss, features, wrong


@torch.no_grad()
def evaluate(model, packer, shards, rows, count=512, batch=32):
    """Share of answers right in every token, by type: the same as exact match under greedy decoding."""
    right, total = {}, {}
    for start in range(0, count, batch):
        asked = packing.asked(shards.first[0] + start, rows[start:start + batch])
        images = torch.from_numpy(np.array(shards.images[0][start:start + batch]))
        kept = [i for i, a in enumerate(asked) if a]
        asked, images = [asked[i] for i in kept], images[kept]
        _, _, wrong = answer_loss(model, packer, images, asked, True)
        for i, a in enumerate(asked):
            for j, (sort, _, _) in enumerate(a, 1):
                total[sort] = total.get(sort, 0) + 1
                right[sort] = right.get(sort, 0) + (not wrong[i * 64 + j])
    return {k: round(right[k] / total[k], 4) for k in questions.TYPES if k in total}


class Team:
    """The processes that share every batch (torchrun starts them); alone without it. One thread a process: on matrices this
    small two processes of one thread do more than one of two."""

    def __init__(self):
        self.size, self.rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
        if self.size > 1:
            torch.distributed.init_process_group("gloo")

    def average(self, parameters):
        if self.size == 1:
            return
        for p in parameters:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        flat = torch.cat([p.grad.reshape(-1) for p in parameters])
        torch.distributed.all_reduce(flat)
        flat /= self.size
        for p, g in zip(parameters, flat.split([p.numel() for p in parameters])):
            p.grad.copy_(g.view_as(p))


def train(folder, run, stage, steps, lr=2e-3, vision_lr=6e-4, batch=16, seed=2):
    """stage "alignment": projector and decoder on the frozen encoder of vision.pt. stage "joint": everything, from vision.pt
    and alignment.pt, the encoder with its dense labels as well. Writes <stage>.pt."""
    torch.manual_seed(seed)
    torch.set_flush_denormal(True)
    team, frozen = Team(), stage == "alignment"
    processor = vocabulary.load(os.path.join(run, "vocabulary"))
    model, packer = Model(run, processor.get_piece_size()), packing.Packer(processor)
    optimisers = [Optimiser([model.decoder], lr, steps, 200)]
    if not frozen:
        model.decoder.load_state_dict(torch.load(os.path.join(run, "alignment.pt"))["decoder"])
        optimisers.append(Optimiser([model.encoder, model.heads], vision_lr, steps, 200))
    path, first = os.path.join(run, stage + ".pt"), 0
    if os.path.exists(path):
        state = torch.load(path)
        for name, part in model.parts().items():
            if not frozen or name == "decoder":  # a frozen encoder is that of vision.pt, which may have gone on
                part.load_state_dict(state[name])
        for o, s in zip(optimisers, state.get("optimisers", [])):
            o.load_state_dict(s)
        first = state["step"]
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
        images, labels, offsets, content = train_set.get(shard, pick)
        loss, features, _ = answer_loss(model, packer, images, asked, frozen)
        aligned = alignment_loss(model.decoder, features[:, 1:], words.targets(labels, offsets))
        total, extra = loss + 0.2 * aligned, torch.zeros(())
        if not frozen:
            extra, _ = vision.label_losses(model.heads, features, labels, offsets, content)
            total = total + 0.3 * extra
        total.backward()
        team.average([p for o in optimisers for p in o.parameters])
        for o in optimisers:
            o.step(step)
        sums.append((loss.item(), aligned.item(), extra.item()))
        if team.rank == 0 and ((step + 1) % 50 == 0 or step + 1 == steps):
            mean = np.mean(sums, 0).round(4).tolist()
            sums = []
            row = dict(stage=stage, step=step + 1, images=(step + 1) * batch, loss=mean[0], aligned=mean[1], dense=mean[2],
                       seconds=round(time.time() - started, 1))
            if (step + 1) % 200 == 0 or step + 1 == steps:
                row["validation"] = evaluate(model, packer, validation, rows)
            state = {name: part.state_dict() for name, part in model.parts().items()}
            torch.save(dict(state, optimisers=[o.state_dict() for o in optimisers], step=step + 1), path + ".new")
            os.rename(path + ".new", path)
            with open(os.path.join(run, "log.jsonl"), "a") as log:
                print(json.dumps(row), file=log)
            print(row, flush=True)


if __name__ == "__main__":
    folder, run, stage, steps = sys.argv[1:5]
    train(folder, run, stage, int(steps))
