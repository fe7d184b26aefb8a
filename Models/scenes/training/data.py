"""Renders a split to disk in shards: images, dense labels, items. Resumable: a shard that is there is kept."""

import argparse
import json
import multiprocessing
import os

import numpy as np

import scenes

SHARD = 4096


def shard(job):
    folder, split, number = job
    stem = os.path.join(folder, f"{split}-{number:04d}")
    if os.path.exists(stem + ".json"):
        return
    images = np.empty((SHARD, scenes.SIZE, scenes.SIZE, 3), np.uint8)
    patches = np.empty((SHARD, len(scenes.LABELS), scenes.GRID**2), np.uint8)
    offsets = np.empty((SHARD, 2, scenes.GRID**2), np.int8)
    states = []
    for i in range(SHARD):
        image, items, ids = scenes.scene(scenes.SPLITS[split] + number * SHARD + i)
        images[i] = np.asarray(image)
        patches[i], offsets[i] = scenes.labels(items, ids)
        states.append([item.state() for item in items])
    np.save(stem + "-images.npy", images)
    np.save(stem + "-patches.npy", patches)
    np.save(stem + "-offsets.npy", offsets)
    with open(stem + ".json.new", "w") as f:
        json.dump(states, f)
    os.rename(stem + ".json.new", stem + ".json")


def render(folder, split, shards, processes=2):
    os.makedirs(folder, exist_ok=True)
    with multiprocessing.Pool(processes) as pool:
        for _ in pool.imap_unordered(shard, [(folder, split, n) for n in range(shards)]):
            pass


class Shards:
    """The shards of one split, mapped."""

    def __init__(self, folder, split):
        names = sorted(n[:-5] for n in os.listdir(folder) if n.startswith(split + "-") and n.endswith(".json"))
        stems = [os.path.join(folder, n) for n in names]
        self.first = [scenes.SPLITS[split] + int(n.rsplit("-", 1)[1]) * SHARD for n in names]
        self.images, self.patches, self.offsets = (
            [np.load(f"{s}-{part}.npy", mmap_mode="r") for s in stems] for part in ("images", "patches", "offsets"))
        self.stems = stems

    def __len__(self):
        return len(self.stems) * SHARD

    def items(self, number):
        """The items of every scene of shard `number`."""
        keys = ("kind", "x", "y", "rx", "ry", "color", "large", "text")
        with open(self.stems[number] + ".json") as f:
            return [[scenes.Item(**{k: v for k, v in state.items() if k in keys}) for state in row] for row in json.load(f)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--train", type=int, default=42, help=f"shards of {SHARD} scenes")
    parser.add_argument("--validation", type=int, default=1)
    options = parser.parse_args()
    render(options.folder, "validation", options.validation)
    render(options.folder, "train", options.train)
