#!/usr/bin/env python3
"""Goldens of the number formats, from ggml itself and from the gguf package.

    generate.py PATH/TO/libggml-base.so        (writes beside this script)

Peers used for the committed files: ggml 0.25.3 (the libggml-base.so of llama-cpp-python 0.3.36, built without FMA),
gguf 0.19.0, numpy 2.4.6.

  input.f32            4,096 floats: special super-blocks first, then seeded noise (numpy PCG64, seed 20)
  encoded-TYPE.bin     the same numbers as ggml_quantize_chunk stores them, without an importance matrix; where the
                       gguf package can encode the type its bytes are checked to be the same
  random-TYPE.bin      512 numbers' worth of random bytes (numpy PCG64, seed 21) with finite scales
  random-TYPE.f32      the same decoded by the gguf package
  bulk.txt             FNV-1a (64 bit) of the encoding of 1,024 super-blocks drawn from SplitMix64, seed 22, as the
                       tests draw them
"""
import ctypes
import pathlib
import sys

import gguf
import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType as Type

TYPES = [
    Type.F16, Type.BF16, Type.Q4_0, Type.Q8_0, Type.Q4_K, Type.Q5_K, Type.Q6_K,
    Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.Q2_K, Type.Q3_K, Type.IQ4_NL, Type.IQ4_XS, Type.MXFP4,
]
HALVES = {  # offsets of half-precision scales in a block
    Type.Q4_0: [0], Type.Q8_0: [0], Type.Q4_K: [0, 2], Type.Q5_K: [0, 2], Type.Q6_K: [208], Type.F16: [0], Type.BF16: [],
    Type.Q4_1: [0, 2], Type.Q5_0: [0], Type.Q5_1: [0, 2], Type.Q2_K: [80, 82], Type.Q3_K: [108], Type.IQ4_NL: [0],
    Type.IQ4_XS: [0], Type.MXFP4: [],
}
here = pathlib.Path(__file__).parent
ggml = ctypes.CDLL(sys.argv[1])
ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
ggml.ggml_quantize_chunk.argtypes = [
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p]


def encode(x, kind):
    block, size = GGML_QUANT_SIZES[kind]
    out = np.zeros(x.size // block * size, np.uint8)
    written = ggml.ggml_quantize_chunk(kind, x.ctypes.data, out.ctypes.data, 0, x.size // 256, 256, None)
    assert written == out.size
    return out


def special():
    ramp = np.arange(256, dtype=np.float32)
    rng = np.random.default_rng(20)
    noise = lambda scale: (rng.standard_normal(256) * scale).astype(np.float32)
    outlier = noise(0.01)
    outlier[77] = -5
    sparse = noise(1)
    sparse[32:160] = 0
    ties = (np.float32(0.5) + ramp % 16 - 8) / 4
    return [
        np.zeros(256, np.float32), np.full(256, 0.25, np.float32), np.full(256, -0.25, np.float32), ramp - 128,
        ramp / 7 + 3, -ramp / 7 - 3, outlier, sparse, ties.astype(np.float32), np.abs(noise(0.02)),
        np.where(ramp % 2 == 0, 1, -1).astype(np.float32), noise(1e-30), noise(3e-7), noise(6e3), noise(0.02), noise(1),
    ]


def splitmix(seed, count):
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.uint64(0x9E3779B97F4A7C15) * np.arange(1, count + 1, dtype=np.uint64)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def bulk(blocks):
    units = (splitmix(22, blocks * 256 * 12) >> np.uint64(40)).astype(np.float32) * np.float32(2.0 ** -24)
    units = units.reshape(-1, 12)
    normal = np.full(units.shape[0], -6, np.float32)
    for i in range(12):
        normal = normal + units[:, i]
    block = np.repeat(np.arange(blocks), 256)
    spread = (1 + block % 7).astype(np.float32) * np.float32(0.01)
    shift = (block % 5).astype(np.float32) * np.float32(0.003)
    return normal * spread + shift


def fnv(data):
    value = 0xCBF29CE484222325
    for byte in data.tobytes():
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


x = np.concatenate(special())
x.tofile(here / "input.f32")
many = bulk(1024)
lines = []
rng = np.random.default_rng(21)
for kind in TYPES:
    encoded = encode(x, kind)
    encoded.tofile(here / f"encoded-{kind.name}.bin")
    lines.append(f"{kind.name} {fnv(encode(many, kind)):016x}\n")
    try:
        same = gguf.quants.quantize(x, kind).view(np.uint8).ravel()
        bad = np.flatnonzero(same != encoded)
        assert bad.size == 0, f"{kind.name}: gguf differs from ggml at bytes {bad[:8]}"
    except NotImplementedError:
        pass
    block, size = GGML_QUANT_SIZES[kind]
    raw = rng.integers(0, 256, (512 // block, size), dtype=np.uint8)
    for offset in HALVES[kind]:
        high = raw[:, offset + 1]
        raw[:, offset + 1] = np.where(high & 0x7C == 0x7C, high & 0xBF, high)
    if kind is Type.BF16:
        raw[:, 1] &= 0xBF
    if kind is Type.MXFP4:  # the smallest exponents are a case of their own; 255 is no number
        raw[:, 0] = np.minimum(raw[:, 0], 254)
        raw[:3, 0] = [0, 1, 2]
    raw.tofile(here / f"random-{kind.name}.bin")
    gguf.quants.dequantize(raw.reshape(-1) if block == 1 else raw, kind).astype(np.float32).tofile(here / f"random-{kind.name}.f32")
(here / "bulk.txt").write_text("".join(lines))
