#!/usr/bin/env python3
"""Which format llama.cpp gives every tensor of some small models.

    generate.py        (needs gguf and llama-cpp-python; writes plans.txt beside this script)

Peers used for the committed file: llama-cpp-python 0.3.36 (llama_model_quantize; ggml 0.25.3), gguf 0.19.0.
plans.txt holds a line "MODEL TYPE * COUNT" for the tensors in the type's base format (Q4_K of Q4_K_M) and a line
"MODEL TYPE TENSOR FORMAT" for every other that is not F32; QuantizePlanTests.swift builds models of the same names
and shapes.
"""
import ctypes
import pathlib
import tempfile

import gguf
import llama_cpp
import numpy as np

FILE_TYPES = {
    "Q4_0": 2, "Q4_1": 3, "Q5_0": 8, "Q5_1": 9, "Q8_0": 7, "Q2_K": 10, "Q3_K_S": 11, "Q3_K_M": 12, "Q3_K_L": 13, "Q4_K_S": 14,
    "Q4_K_M": 15, "Q5_K_S": 16, "Q5_K_M": 17, "Q6_K": 18, "IQ4_NL": 25, "IQ4_XS": 30, "F16": 1, "BF16": 32,
}


def text(path, layers, width, inner, heads, groups, tied):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(layers)
    writer.add_context_length(128)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(groups)
    writer.add_layer_norm_rms_eps(1e-5)
    add = lambda name, *shape: writer.add_tensor(name, np.zeros(shape, np.float32))
    add("token_embd.weight", 2, width)
    add("output_norm.weight", width)
    if not tied:
        add("output.weight", 2, width)
    for layer in range(layers):
        for name in "attn_q attn_k attn_v attn_output ffn_gate ffn_up".split():
            add(f"blk.{layer}.{name}.weight", 2, width)
        add(f"blk.{layer}.ffn_down.weight", 2, inner)
        add(f"blk.{layer}.attn_norm.weight", width)
        add(f"blk.{layer}.ffn_norm.weight", width)
    finish(writer)


def vision(path, layers, width, inner):
    writer = gguf.GGUFWriter(path, "clip")
    add = lambda name, *shape: writer.add_tensor(name, np.zeros(shape, np.float32))
    add("v.class_embd", width)
    add("v.patch_embd.weight", width, 3, 2, 2)
    add("v.position_embd.weight", 5, width)
    add("v.pre_ln.weight", width)
    for layer in range(layers):
        for name in "attn_q attn_k attn_v attn_out ffn_up".split():
            add(f"v.blk.{layer}.{name}.weight", 2, width)
            add(f"v.blk.{layer}.{name}.bias", 2)
        add(f"v.blk.{layer}.ffn_down.weight", 2, inner)
        add(f"v.blk.{layer}.ln1.weight", width)
    add("mm.0.weight", 2, width)
    add("mm.0.bias", 2)
    add("mm.2.weight", 2, width)
    finish(writer)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


# llama.cpp counts query heads per group for these, and stops at a projector, which has none that it knows.
NOT_OF_VISION = {"Q2_K", "IQ4_NL", "IQ4_XS"}
MODELS = {
    "text10": lambda path: text(path, 10, 256, 512, 4, 2, tied=False),
    "tied9": lambda path: text(path, 9, 256, 256, 4, 4, tied=True),
    "small70B": lambda path: text(path, 80, 256, 256, 4, 1, tied=False),
    "odd3": lambda path: text(path, 3, 288, 336, 6, 6, tied=False),
    "vision": lambda path: vision(path, 6, 256, 512),
}
lines = []
with tempfile.TemporaryDirectory() as folder:
    for model, build in MODELS.items():
        source, target = f"{folder}/in.gguf", f"{folder}/out.gguf"
        build(source)
        for kind, number in FILE_TYPES.items():
            if model == "vision" and kind in NOT_OF_VISION:
                continue
            params = llama_cpp.llama_model_quantize_default_params()
            params.ftype, params.nthread = number, 1
            assert llama_cpp.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(params)) == 0
            formats = {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(target).tensors}
            base = kind[:4] if kind[-2:] in ("_S", "_M", "_L") else kind
            lines.append(f"{model} {kind} * {list(formats.values()).count(base)}\n")
            for name, format in formats.items():
                if format not in ("F32", base):
                    lines.append(f"{model} {kind} {name} {format}\n")
(pathlib.Path(__file__).parent / "plans.txt").write_text("".join(sorted(lines)))
