"""Reads a file that Occam wrote with the gguf package and compares it, field by field, with sample.gguf.

  OCCAM_GGUF_COPY=/tmp/copy.gguf swift test -c release --filter GoldenFileTests
  python check.py /tmp/copy.gguf
"""
import os
import sys

import numpy as np
from gguf import GGUFReader

golden = GGUFReader(os.path.join(os.path.dirname(os.path.abspath(__file__)), "sample.gguf"))
copy = GGUFReader(sys.argv[1])
assert golden.alignment == copy.alignment
assert list(golden.fields) == list(copy.fields), "keys or their order differ"
for key, field in golden.fields.items():
    other = copy.fields[key]
    assert field.types == other.types, key
    assert len(field.parts) == len(other.parts) and field.data == other.data, key
    for a, b in zip(field.parts, other.parts):
        assert a.tobytes() == b.tobytes(), key
assert [t.name for t in golden.tensors] == [t.name for t in copy.tensors], "tensors or their order differ"
for a, b in zip(golden.tensors, copy.tensors):
    assert a.tensor_type == b.tensor_type and list(a.shape) == list(b.shape), a.name
    assert np.array_equal(a.data.view(np.uint8), b.data.view(np.uint8)), a.name
print(f"identical: {len(golden.fields)} fields, {len(golden.tensors)} tensors")
