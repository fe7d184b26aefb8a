"""Pictures that Swift draws too (Tests/TestSupport/DrawnPicture.swift): integers only, the same bits on both sides."""
from pathlib import Path

import numpy as np
from PIL import Image

PHOTOS = Path(__file__).parent.parent.parent / "Photos"
CELL = 16


def mixed(value: np.ndarray) -> np.ndarray:
    """The number that SplitMix64 draws first from each seed."""
    with np.errstate(over="ignore"):
        z = value.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def drawn(width: int, height: int, seed: int) -> np.ndarray:
    """A smooth field of colours with fine noise, RGB [height, width, 3].

    A lattice point (i, j) every 16 pixels has the level mixed(((seed * 3 + colour) << 40) + (j << 20) + i) >> 56; between
    points levels are interpolated in integers, (16 - fx)(16 - fy) and so on over 256, rounded down. Noise
    (mixed(((seed * 3 + colour) << 40) + (y << 20) + x + (1 << 39)) >> 59) - 16 is added, and all is held within 0...255.
    """
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    fx, fy = x % CELL, y % CELL
    planes = []
    for colour in range(3):
        base = np.int64((seed * 3 + colour) << 40)

        def level(j, i):
            return (mixed(base + (j << 20) + i) >> np.uint64(56)).astype(np.int64)

        i, j = x // CELL, y // CELL
        field = (
            level(j, i) * (CELL - fx) * (CELL - fy) + level(j, i + 1) * fx * (CELL - fy)
            + level(j + 1, i) * (CELL - fx) * fy + level(j + 1, i + 1) * fx * fy
        ) >> 8
        noise = (mixed(base + (y << 20) + x + (1 << 39)) >> np.uint64(59)).astype(np.int64) - 16
        planes.append(np.clip(field + noise, 0, 255))
    return np.stack(planes, axis=-1).astype(np.uint8)


def picture(name: str) -> np.ndarray:
    """A file of Tests/Photos by its name, or `WIDTHxHEIGHT-SEED`."""
    if name[0].isdigit():
        size, seed = name.split("-")
        width, height = size.split("x")
        return drawn(int(width), int(height), int(seed))
    return np.asarray(Image.open(PHOTOS / name).convert("RGB"))
