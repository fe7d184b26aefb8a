"""Writes sample.gguf: every GGUF value type and several tensor types, by the gguf package.

Run: python make.py      (made with gguf 0.19.0, numpy; no randomness: the content is computed from the indices)
The Swift test Tests/GGUFTests/GoldenFileTests.swift knows what must come out.
"""
import os

import numpy as np
from gguf import GGMLQuantizationType as Q, GGUFValueType as V, GGUFWriter

path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sample.gguf")
writer = GGUFWriter(path, "sample")
writer.add_custom_alignment(64)
scalars = [
    ("uint8", V.UINT8, 200), ("int8", V.INT8, -100), ("uint16", V.UINT16, 60000), ("int16", V.INT16, -30000),
    ("uint32", V.UINT32, 4000000000), ("int32", V.INT32, -2000000000), ("uint64", V.UINT64, 2**63 + 5),
    ("int64", V.INT64, -(2**62)), ("float32", V.FLOAT32, 0.15625), ("float64", V.FLOAT64, 1 / 3),
    ("bool", V.BOOL, True), ("string", V.STRING, "Grüße, 世界 🦙"),
]
for name, kind, value in scalars:
    writer.add_key_value("scalar." + name, value, kind)
    values = [value, False] if kind == V.BOOL else [value, "", "b"] if kind == V.STRING else [value, 0, 1]
    writer.add_key_value("array." + name, values, V.ARRAY, sub_type=kind)
writer.add_key_value("array.bytes", [b"\xff\xfe", b"\xe2\x96"], V.ARRAY, sub_type=V.STRING)

ramp = np.arange(96, dtype=np.float32).reshape(2, 3, 16)
writer.add_tensor("f32", ramp)
writer.add_tensor("f16", ramp.astype(np.float16))
writer.add_tensor("f64", np.array([1 / 3, -2.5], dtype=np.float64))
writer.add_tensor("i8", np.arange(-5, 5, dtype=np.int8))
writer.add_tensor("i32", np.arange(7, dtype=np.int32))
for kind, columns, width in [(Q.Q4_0, 64, 36), (Q.Q8_0, 32, 34), (Q.Q4_K, 256, 144), (Q.Q6_K, 512, 420), (Q.BF16, 3, 6)]:
    data = (np.arange(2 * width, dtype=np.int64) * 7 + int(kind)).astype(np.uint8).reshape(2, width)
    writer.add_tensor(kind.name.lower(), data, raw_dtype=kind)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()

# A small vocabulary, from which the fuzzer starts (Tests/Fuzz/run.sh gguf).
seeds = os.path.join(os.path.dirname(path), "..", "..", "Fuzz", "GGUF", "seeds")
os.makedirs(seeds, exist_ok=True)
writer = GGUFWriter(os.path.join(seeds, "vocabulary.gguf"), "llama")
tokens = ["<unk>", "<s>", "</s>", "<0x0A>", "▁", "H", "e", "l", "o", "he", "ll", "▁Hello", "<|im_end|>", "<image>"]
writer.add_tokenizer_model("llama")
writer.add_token_list(tokens)
writer.add_token_scores([-float(i) for i in range(len(tokens))])
writer.add_token_types([2, 3, 3, 6] + [1] * 8 + [3, 4])
writer.add_bos_token_id(1)
writer.add_eos_token_id(2)
writer.add_add_space_prefix(True)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.close()
