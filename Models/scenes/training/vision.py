"""Stage 1: the vision encoder, on dense labels per patch and on the scene's content from CLS. Resumable."""

import json
import os
import time

import numpy as np
import torch
import torch.nn.functional as F

import data
import scenes
from model import VisionEncoder, VisionHeads, patches
from optimiser import Optimiser
from team import Team, save

WEIGHTS = dict(kind=1.0, color=0.6, large=0.2, word=0.6, tens=0.6, ones=0.6, center=0.6)


def content(items):
    """Multi-hot float32: (kind, colour) pairs, words, tens and ones digits that the scene shows."""
    pairs = len(scenes.KINDS) * len(scenes.COLORS)
    out = np.zeros(pairs + len(scenes.WORDS) + 21, np.float32)
    for o in items:
        if not o.is_sign:
            out[scenes.KINDS.index(o.kind) * len(scenes.COLORS) + scenes.COLORS.index(o.color)] = 1
        elif o.text.isdigit():
            out[pairs + len(scenes.WORDS) + (int(o.text[0]) if len(o.text) == 2 else 10)] = 1
            out[pairs + len(scenes.WORDS) + 11 + int(o.text[-1])] = 1
        else:
            out[pairs + scenes.WORDS.index(o.text)] = 1
    return out


def losses(encoder, heads, batch):
    images, labels, offsets, wanted = batch
    with torch.autocast("cpu", torch.bfloat16):
        features = encoder(patches(images))
    return label_losses(heads, features, labels, offsets, wanted)


def label_losses(heads, features, labels, offsets, wanted):
    """The weighted sum of all read-outs' losses, and the share each gets right."""
    with torch.autocast("cpu", torch.bfloat16):
        dense, offset, here, later = heads(features)
    total, parts = 0, {}
    for i, (name, scores) in enumerate(zip(scenes.LABELS, dense)):
        target = labels[:, i].reshape(-1).long()
        known = target != 255
        scores, target = scores.reshape(-1, scores.shape[-1]).float()[known], target[known]
        weight = None
        if name in ("kind", "center"):
            weight = torch.ones(scores.shape[-1])
            weight[scenes.BACKGROUND if name == "kind" else 0] = 0.25
        if len(target):
            loss = F.cross_entropy(scores, target, weight)
            total = total + WEIGHTS[name] * loss
            right = scores.argmax(-1) == target
            if name == "kind":
                right = right[target != scenes.BACKGROUND]
            if name == "center":
                right = right[target == 1]
            parts[name] = right.float().mean().item()
    on = (labels[:, 0] != scenes.BACKGROUND) & (labels[:, 0] != 255)
    total = total + 0.3 * F.smooth_l1_loss(offset.float()[on], offsets.permute(0, 2, 1).float()[on] / 28)
    for logits in (here, later):
        bce = F.binary_cross_entropy_with_logits(logits.float(), wanted, pos_weight=torch.tensor(4.0))
        total = total + 4 * bce
        parts["content"] = ((logits > 0) == (wanted > 0.5)).float()[wanted > 0.5].mean().item()
    return total, parts


class Batches:
    def __init__(self, folder, split):
        self.shards = data.Shards(folder, split)
        self.content = [np.stack([content(row) for row in self.shards.items(n)]) for n in range(len(self.shards.stems))]

    def get(self, shard, rows):
        take = lambda a: torch.from_numpy(np.ascontiguousarray(a[shard][rows]))
        return take(self.shards.images), take(self.shards.patches), take(self.shards.offsets), take(self.content)


@torch.no_grad()
def evaluate(encoder, heads, batches, count=1024):
    sums, n = {}, 0
    for start in range(0, count, 128):
        loss, parts = losses(encoder, heads, batches.get(0, np.arange(start, start + 128)))
        for k, v in dict(parts, loss=loss.item()).items():
            sums[k] = sums.get(k, 0) + v
        n += 1
    return {k: round(v / n, 4) for k, v in sums.items()}


def train(folder, run, steps, lr=1.5e-3, batch=64, seed=1):
    """Resumes from vision.pt, which it writes."""
    torch.manual_seed(seed)
    torch.set_flush_denormal(True)
    team = Team()
    encoder, heads = VisionEncoder(), VisionHeads()
    optimiser = Optimiser([encoder, heads], lr, steps, rank=team.rank, size=team.size)
    batches, validation = Batches(folder, "train"), Batches(folder, "validation")
    path, first = os.path.join(run, "vision.pt"), 0
    mine = os.path.join(run, f"vision-optimiser-{team.rank}-of-{team.size}.pt")
    if os.path.exists(path):
        state = torch.load(path)
        encoder.load_state_dict(state["encoder"])
        heads.load_state_dict(state["heads"])
        first = state["step"]
        if os.path.exists(mine) and (kept := torch.load(mine))["step"] == first:
            optimiser.load_state_dict(kept["optimiser"])
    shards, per = len(batches.shards.stems), data.SHARD // batch
    started, sums = time.time(), []
    for step in range(first, steps):
        turn, inside = divmod(step, shards * per)
        order = np.random.default_rng((seed, turn)).permutation(shards * per)[inside]
        shard, slot = divmod(int(order), per)
        rows = np.sort(np.random.default_rng((seed, turn, shard)).permutation(data.SHARD)[slot * batch:(slot + 1) * batch])
        loss, _ = losses(encoder, heads, batches.get(shard, rows[team.rank::team.size]))
        loss.backward()
        team.average(optimiser.parameters)
        optimiser.step(step)
        sums.append(loss.item())
        checked = (step + 1) % 300 == 0 or step + 1 == steps
        if checked:
            save(dict(optimiser=optimiser.state_dict(), step=step + 1), mine)
        if team.rank == 0 and (checked or (step + 1) % 100 == 0):
            row = dict(stage="vision", step=step + 1, images=(step + 1) * batch, loss=round(float(np.mean(sums)), 4),
                       seconds=round(time.time() - started, 1), lr=optimiser.rate(step))
            sums = []
            if checked:
                row["validation"] = evaluate(encoder, heads, validation)
                save(dict(encoder=encoder.state_dict(), heads=heads.state_dict(), step=step + 1), path)
            with open(os.path.join(run, "log.jsonl"), "a") as log:
                print(json.dumps(row), file=log)
            print(row, flush=True)


if __name__ == "__main__":
    import sys
    os.makedirs(sys.argv[2], exist_ok=True)
    train(sys.argv[1], sys.argv[2], int(sys.argv[3]))
