"""Copies of a fixture whose weights are plain floats, and its tensors by name."""
from pathlib import Path

import gguf
import numpy as np


def dequantized(source: Path, to: Path) -> Path:
    """A copy with every tensor in F32: the same weights, but no rounding of activations."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(to, reader.get_field("general.architecture").contents())
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        value = 0 if name == "general.file_type" else field.contents()
        writer.add_key_value(name, value, field.types[0], field.types[-1] if len(field.types) > 1 else None)
    for tensor in reader.tensors:
        numbers = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        writer.add_tensor(tensor.name, numbers)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return to


class Tensors:
    """All tensors of a file in F32, and its metadata."""

    def __init__(self, path: Path):
        self.reader = gguf.GGUFReader(path)
        self.values = {
            t.name: gguf.dequantize(t.data, t.tensor_type).astype(np.float32).reshape(list(reversed(t.shape)))
            for t in self.reader.tensors
        }

    def key(self, name: str):
        field = self.reader.get_field(name)
        return None if field is None else field.contents()
