"""Variants of a fixture and of a photo, with which llama.cpp answers questions it was not built for."""
import math
import shutil
from pathlib import Path

import gguf
import numpy as np
from PIL import Image

PADDING = (122, 116, 104)


def with_positions(mmproj: Path, order: list[int], to: Path) -> Path:
    """A copy whose position table has its rows in another order."""
    shutil.copyfile(mmproj, to)
    reader = gguf.GGUFReader(to, "r+")
    table = next(t for t in reader.tensors if t.name == "v.position_embd.weight").data
    table[:] = np.array(table)[order]
    table.flush()
    return to


def square(image: np.ndarray, side: int) -> np.ndarray:
    """LLaVA-1.5's canvas: the photo scaled to fit (Pillow's bicubic), centred on the padding colour."""
    height, width, _ = image.shape
    scale = min(np.float32(side) / np.float32(width), np.float32(side) / np.float32(height))
    new_width = min(math.ceil(np.float32(width) * scale), side)
    new_height = min(math.ceil(np.float32(height) * scale), side)
    canvas = Image.new("RGB", (side, side), PADDING)
    resized = Image.fromarray(image).resize((new_width, new_height), Image.Resampling.BICUBIC)
    canvas.paste(resized, ((side - new_width) // 2, (side - new_height) // 2))
    return np.asarray(canvas)


def first_patches_exchanged(canvas: np.ndarray, patch: int) -> np.ndarray:
    result = canvas.copy()
    result[:patch, :patch] = canvas[:patch, patch : 2 * patch]
    result[:patch, patch : 2 * patch] = canvas[:patch, :patch]
    return result
