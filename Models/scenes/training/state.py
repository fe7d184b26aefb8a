"""Keeps the trained weights in the repository, read-outs included, so that training can go on from them.

    python state.py save RUN_FOLDER         (RUN_FOLDER -> state.safetensors, float16)
    python state.py restore RUN_FOLDER      (back; the optimisers start anew)
"""

import os
import shutil
import sys

import safetensors.torch
import torch

import decoder

HERE = os.path.dirname(os.path.abspath(__file__))
FILE = os.path.join(HERE, "state.safetensors")


def save(run):
    vision, text = torch.load(os.path.join(run, "vision.pt")), torch.load(decoder.latest(run))
    parts = dict(encoder=text["encoder"], heads=text["heads"], decoder=text["decoder"])
    flat = {f"{part}.{name}": value.half().contiguous() for part, state in parts.items() for name, value in state.items()}
    steps = dict(vision=str(vision["step"]), decoder=str(text["step"]))
    safetensors.torch.save_file(flat, FILE, steps)
    for name in ("vocabulary.model", "log.jsonl"):
        shutil.copyfile(os.path.join(run, name), os.path.join(HERE, name))


def restore(run):
    os.makedirs(run, exist_ok=True)
    flat = safetensors.torch.load_file(FILE)
    with safetensors.safe_open(FILE, "pt") as f:
        steps = {k: int(v) for k, v in f.metadata().items()}
    parts = {}
    for name, value in flat.items():
        part, rest = name.split(".", 1)
        parts.setdefault(part, {})[rest] = value.float()
    torch.save(dict(encoder=parts["encoder"], heads=parts["heads"], step=steps["vision"]), os.path.join(run, "vision.pt"))
    torch.save(dict(parts, step=steps["decoder"]), os.path.join(run, "alignment.pt"))
    for name in ("vocabulary.model", "log.jsonl"):
        shutil.copyfile(os.path.join(HERE, name), os.path.join(run, name))


if __name__ == "__main__":
    {"save": save, "restore": restore}[sys.argv[1]](sys.argv[2])
