"""OccamToken in PyTorch, on the shipped GGUF files: an independent reading of the algorithm, for the golden data.

    python oracle.py TEXT MMPROJ SIDECAR QUESTIONS OUT

Encoder with the register (eq. 9), stage I (eqs. 4, 6), projector, decoder up to layer l, stage II (eqs. 7, 8), the rest on the
survivors, greedy decoding. In float32 on dequantised weights; scores and keep lists go to OUT as JSON, with both answers.
"""

import json
import os
import sys

import gguf
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

import scenes
import vocabulary
from model import TEXT, VISION, Decoder, VisionEncoder, fused, patches

LIMIT = 40


def tensors(path):
    return {t.name: torch.from_numpy(gguf.dequantize(t.data, t.tensor_type).astype(np.float32)) for t in gguf.GGUFReader(path).tensors}


def fill(module, found, names):
    for target, name in names.items():
        parameter = module.get_parameter(target)
        parameter.data = found[name].reshape(parameter.shape)


def load(text, mmproj):
    t, v = tensors(text), tensors(mmproj)
    encoder, decoder = VisionEncoder(), Decoder(t["token_embd.weight"].shape[0])
    names = {"patch.weight": "v.patch_embd.weight", "cls": "v.class_embd", "position": "v.position_embd.weight"}
    both = lambda ours, theirs: {f"{ours}.{k}": f"{theirs}.{k}" for k in ("weight", "bias")}
    names |= both("pre", "v.pre_ln")
    for i in range(VISION["layers"]):
        for ours, theirs in (("ln1", "ln1"), ("ln2", "ln2"), ("q", "attn_q"), ("k", "attn_k"), ("v", "attn_v"), ("out", "attn_out"),
                             ("up", "ffn_up"), ("down", "ffn_down")):
            names |= both(f"layers.{i}.{ours}", f"v.blk.{i}.{theirs}")
    fill(encoder, v, names)
    fill(decoder, v, both("projector.0", "mm.0") | both("projector.2", "mm.2"))
    names = {"embedding.weight": "token_embd.weight", "norm.weight": "output_norm.weight"}
    for i in range(TEXT["layers"]):
        for ours, theirs in (("ln1", "attn_norm"), ("ln2", "ffn_norm"), ("q", "attn_q"), ("k", "attn_k"), ("v", "attn_v"),
                             ("out", "attn_output"), ("gate", "ffn_gate"), ("up", "ffn_up"), ("down", "ffn_down")):
            names[f"layers.{i}.{ours}.weight"] = f"blk.{i}.{theirs}.weight"
    fill(decoder, t, names)
    return encoder.eval(), decoder.eval()


def encode(encoder, image, neurons, with_register):
    """Features [144 (+ 1), width] of the patches (and the register); of the last layer the attention, mean over heads, and the
    keys [heads, tokens, d], CLS first in both."""
    x = torch.cat([encoder.cls[None, None], encoder.patch(patches(image))], 1) + encoder.position
    if with_register:
        x = torch.cat([x, torch.zeros(1, 1, x.shape[-1])], 1)
    x = encoder.pre(x)
    for i, layer in enumerate(encoder.layers):
        q, k, v = fused(layer.ln1(x), layer.q, layer.k, layer.v).view(x.shape[1], 3, layer.heads, -1).permute(1, 2, 0, 3)
        weights = torch.softmax(q @ k.transpose(1, 2) * q.shape[-1] ** -0.5, -1)
        x = x + layer.out((weights @ v).transpose(0, 1).reshape(x.shape))
        h = layer.up(layer.ln2(x))
        h = h * torch.sigmoid(1.702 * h)
        if with_register:
            for channel in (c for l, c in neurons if l == i):
                h[0, -1, channel] = h[0, 1:-1, channel].max()
                h[0, 1:-1, channel] = 0
        x = x + layer.down(h)
    return x[0, 1:], weights.mean(0), k


def rope(x, angles):
    """Rotates neighbours, as GGUF's llama does. x [H, T, d]; angles [T, d/2]."""
    pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)).flatten(-2)


class Run:
    """The decoder's rows, with a cache a layer."""

    def __init__(self, decoder):
        self.decoder, self.cache = decoder, [None] * TEXT["layers"]

    def layers(self, numbers, x, positions):
        """x [n, width] through layers `numbers`; attention of the last of them, [heads, n, keys]."""
        angles = (torch.tensor(positions)[:, None] * self.decoder.frequencies)
        for i in numbers:
            layer = self.decoder.layers[i]
            q, k, v = fused(layer.ln1(x)[None], layer.q, layer.k, layer.v).view(x.shape[0], 3, layer.heads, -1).permute(1, 2, 0, 3)
            q, k = rope(q, angles), rope(k, angles)
            if self.cache[i] is not None:
                k, v = torch.cat([self.cache[i][0], k], 1), torch.cat([self.cache[i][1], v], 1)
            self.cache[i] = (k, v)
            n, m = q.shape[1], k.shape[1]
            causal = torch.ones(n, m, dtype=torch.bool).tril(m - n)
            weights = torch.softmax((q @ k.transpose(1, 2) * q.shape[-1] ** -0.5).masked_fill(~causal, float("-inf")), -1)
            x = x + layer.out((weights @ v).transpose(0, 1).reshape(x.shape))
            h = layer.ln2(x)
            x = x + layer.down(F.silu(layer.gate(h)) * layer.up(h))
        return x, weights

    def token(self, x):
        return int(F.linear(self.decoder.norm(x[-1]), self.decoder.embedding.weight).argmax())

    def greedy(self, token, position, processor):
        reply = []
        while token != processor.eos_id() and len(reply) < LIMIT:
            reply.append(token)
            x, _ = self.layers(range(TEXT["layers"]), self.decoder.embedding(torch.tensor([token])), [position])
            token, position = self.token(x), position + 1
        return processor.decode(reply).strip()


def threshold(scores, reference, lam):
    kept = torch.nonzero(scores >= lam * reference)[:, 0].tolist()
    return kept or [int(scores.argmax())]


def answer(encoder, decoder, processor, image, question, sidecar=None):
    """The answer, and with a sidecar also what both stages saw and kept."""
    before = [processor.bos_id()] + processor.encode(vocabulary.BEFORE)
    after = processor.encode(vocabulary.AFTER.format(question=question))
    register = sidecar is not None and sidecar["reference"] == "register"
    neurons = [(n["layer"], n["channel"]) for n in sidecar["register_neurons"]] if register else []
    features, attention, _ = encode(encoder, image, neurons, register)
    s1 = attention[0, 1:]
    count, start, run = scenes.GRID**2, len(before), Run(decoder)
    end = start + count
    embed = lambda ids: decoder.embedding(torch.tensor(ids))
    after_positions = list(range(end, end + len(after)))
    if sidecar is None:
        x = torch.cat([embed(before), decoder.projector(features), embed(after)])
        x, _ = run.layers(range(TEXT["layers"]), x, list(range(end)) + after_positions)
        return run.greedy(run.token(x), end + len(after), processor), None
    reference = s1[-1] if register else s1[:count].mean()
    stage1 = threshold(s1[:count], reference, sidecar["lambda1"])
    rows = stage1 + ([count] if register else [])
    positions = list(range(start)) + [start + min(v, count - 1) for v in rows] + after_positions
    x = torch.cat([embed(before), decoder.projector(features[rows]), embed(after)])
    split = sidecar["text_layer"]
    x, weights = run.layers(range(split), x, positions)
    seen = weights.mean(0)[start + len(rows):]
    s2 = seen[:, start:start + len(stage1)].max(0).values
    reference2 = seen[:, start + len(stage1)].mean() if register else s2.mean()
    inside = threshold(s2, reference2, sidecar["lambda2"])
    keep = list(range(start)) + [start + i for i in inside] + list(range(start + len(stage1), len(positions)))
    run.cache = [(k[:, keep], v[:, keep]) if k is not None else None for k, v in (c or (None, None) for c in run.cache)]
    x, _ = run.layers(range(split, TEXT["layers"]), x[keep], [positions[i] for i in keep])
    round_ = lambda t: [float(f"{v:.6g}") for v in t.tolist()]
    seen = dict(s1=round_(s1[:count]), bound1=float(sidecar["lambda1"] * reference), stage1=stage1, s2=round_(s2),
                bound2=float(sidecar["lambda2"] * reference2), kept=[stage1[i] for i in inside],
                reference=sidecar["reference"])
    return run.greedy(run.token(x), end + len(after), processor), seen


def main(text, mmproj, sidecar, path, out):
    encoder, decoder = load(text, mmproj)
    processor = vocabulary.load(os.path.join(os.path.dirname(os.path.abspath(__file__)), "vocabulary"))
    with open(sidecar) as f:
        calibration = json.load(f)
    with open(path) as f:
        asked = [json.loads(line) for line in f]
    with torch.no_grad(), open(out, "w") as f:
        for q in asked:
            pixels = np.asarray(Image.open(os.path.join(os.path.dirname(path), q["image"])).convert("RGB"))
            image = torch.from_numpy(pixels.copy())[None]
            unpruned, _ = answer(encoder, decoder, processor, image, q["question"])
            pruned, seen = answer(encoder, decoder, processor, image, q["question"], calibration)
            print(json.dumps(dict(id=q["id"], image=q["image"], question=q["question"], expected=q["answer"],
                                  unpruned=unpruned, pruned=pruned, **seen)), file=f)


if __name__ == "__main__":
    main(*sys.argv[1:6])
