"""Goldens of the gated delta rule and its short convolution: transformers' own functions on random rows.

usage: python delta.py          (transformers 5.24.0, torch 2.15.0, numpy)
"""
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from transformers.models.qwen3_5 import modeling_qwen3_5 as peer

FOLDER = Path(__file__).parent / "delta"
SEED, ROWS, KEY_HEADS, VALUE_HEADS, KEY, VALUE, TAPS = 35, 83, 2, 4, 20, 24, 4


def tiled(x: torch.Tensor, width: int) -> torch.Tensor:
    """Value heads as GGUF files order them: the first of every key head, then the second (llama.cpp's conversion)."""
    parts = x.reshape(*x.shape[:-1], KEY_HEADS, VALUE_HEADS // KEY_HEADS, width)
    return parts.transpose(-3, -2).reshape(x.shape)


def grouped(x: torch.Tensor, width: int) -> torch.Tensor:
    """The inverse of `tiled`."""
    parts = x.reshape(*x.shape[:-1], VALUE_HEADS // KEY_HEADS, KEY_HEADS, width)
    return parts.transpose(-3, -2).reshape(x.shape)


def main():
    torch.manual_seed(SEED)
    channels = 2 * KEY_HEADS * KEY + VALUE_HEADS * VALUE
    arrays = {}
    # The convolution: inputs with three rows of the past in front.
    past, inputs = torch.randn(TAPS - 1, channels), torch.randn(ROWS, channels)
    weights = torch.randn(channels, TAPS) * 0.5
    joined = torch.cat([past, inputs]).T[None]
    mixed = peer.causal_conv1d_fn(joined, weights, None, "silu")[0, :, TAPS - 1:].T
    arrays |= {"past": past, "inputs": inputs, "weights": weights, "mixed": mixed}
    # Gates: slow and fast decay.
    a_log, bias = torch.rand(VALUE_HEADS).mul(16).clamp(min=0.1).log(), torch.randn(VALUE_HEADS) - 2
    alpha, b = 2 * torch.randn(ROWS, VALUE_HEADS), torch.randn(ROWS, VALUE_HEADS)
    decay = -a_log.exp() * torch.nn.functional.softplus(alpha + bias)
    beta = b.sigmoid()
    arrays |= {name: tiled(x, 1) for name, x in {
        "a": -a_log.exp(), "bias": bias, "alpha": alpha, "b": b, "decay": decay, "beta": beta}.items()}
    # The rule, from a state that is not zero.
    q, k, v = torch.split(mixed, [KEY_HEADS * KEY, KEY_HEADS * KEY, VALUE_HEADS * VALUE], dim=-1)
    v = grouped(v, VALUE)
    state = torch.randn(1, VALUE_HEADS, KEY, VALUE)
    common = dict(
        g=decay[None], beta=beta[None], initial_state=state, output_final_state=True, use_qk_l2norm_in_kernel=True)
    heads = [q.reshape(1, ROWS, KEY_HEADS, KEY), k.reshape(1, ROWS, KEY_HEADS, KEY), v.reshape(1, ROWS, VALUE_HEADS, VALUE)]
    results = [f(*heads, **common) for f in (peer.torch_chunk_gated_delta_rule, peer.torch_recurrent_gated_delta_rule)]
    difference = max((x - y).abs().max().item() for x, y in zip(*results))
    out, last = results[1]
    arrays |= {
        "out": tiled(out[0].reshape(ROWS, -1), VALUE),
        "state": tiled(state[0].permute(1, 0, 2).reshape(KEY, -1), VALUE),
        "last": tiled(last[0].permute(1, 0, 2).reshape(KEY, -1), VALUE)}
    FOLDER.mkdir(exist_ok=True)
    for name, array in arrays.items():
        np.save(FOLDER / f"{name}.npy", np.ascontiguousarray(array.numpy(), dtype=np.float32))
    (FOLDER / "manifest.json").write_text(json.dumps({
        "versions": {name: version(name) for name in ("torch", "transformers", "numpy")}, "seed": SEED, "rows": ROWS,
        "key_heads": KEY_HEADS, "value_heads": VALUE_HEADS, "key_dimension": KEY, "value_dimension": VALUE, "taps": TAPS,
        "chunked_from_recurrent": difference}, indent=1) + "\n")
    print(difference)


if __name__ == "__main__":
    main()
