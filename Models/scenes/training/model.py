"""LLaVA-1.5's architecture, small: CLIP-style ViT -> two-layer projector -> llama decoder. Plain PyTorch. The projector's
GELU is the tanh form, which llama.cpp computes for every projector of this type."""

import torch
import torch.nn as nn
import torch.nn.functional as F

import scenes

MEAN = (0.48145466, 0.4578275, 0.40821073)  # CLIP's
STD = (0.26862954, 0.26130258, 0.27577711)
VISION = dict(width=192, layers=5, heads=3, ff=768, eps=1e-5)
TEXT = dict(width=192, layers=6, heads=6, ff=576, eps=1e-5, base=10000.0)
READ = 4, 5  # layers of the decoder before the read-outs of training: of mentions, of relations


def patches(images):
    """uint8 [B, 168, 168, 3] -> float [B, 144, 588], normalised; channel-major within a patch, as a convolution reads."""
    x = images.float() / 255
    x = (x - torch.tensor(MEAN)) / torch.tensor(STD)
    g, p = scenes.GRID, scenes.PATCH
    x = x.view(-1, g, p, g, p, 3).permute(0, 1, 3, 5, 2, 4)
    return x.reshape(-1, g * g, 3 * p * p)


def fused(x, *parts):
    """Several linear maps of one input as one product; returns their concatenated outputs."""
    bias = None if parts[0].bias is None else torch.cat([p.bias for p in parts])
    return F.linear(x, torch.cat([p.weight for p in parts]), bias)


def attention(q, k, v, bias=None):
    """softmax(q k^T / sqrt(d) + bias) v over [B, H, n, d]; bias [B or 1, 1, n, n]. Plain products: on a CPU in bfloat16 their gradient
    takes a third of the fused kernel's time at these lengths."""
    b, h, n, d = q.shape
    q, k, v = (t.reshape(b * h, -1, d) for t in (q, k, v))
    scores = torch.bmm(q * d**-0.5, k.transpose(1, 2))
    if bias is not None:
        scores = (scores.view(b, h, n, -1) + bias).view(b * h, n, -1)
    return torch.bmm(torch.softmax(scores, -1, dtype=scores.dtype), v).view(b, h, n, d)


class VisionLayer(nn.Module):
    def __init__(self, width, heads, ff, eps):
        super().__init__()
        self.heads = heads
        self.ln1, self.ln2 = nn.LayerNorm(width, eps), nn.LayerNorm(width, eps)
        self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, ff), nn.Linear(ff, width)

    def forward(self, x, rows=None):
        """All rows, or only the first `rows`, which then still attend to all."""
        b, n, d = x.shape
        q, k, v = fused(self.ln1(x), self.q, self.k, self.v).view(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        if rows is not None:
            x, q = x[:, :rows], q[:, :, :rows]
        x = x + self.out(attention(q, k, v).transpose(1, 2).reshape(b, -1, d))
        # CLIP's quick GELU, h * sigmoid(1.702 h), as SiLU with the factor moved into the weights: one pass instead of three.
        h = F.silu(F.linear(self.ln2(x), 1.702 * self.up.weight, 1.702 * self.up.bias))
        return x + F.linear(h, self.down.weight / 1.702, self.down.bias)


class VisionEncoder(nn.Module):
    """Patches [B, 144, 588] -> [B, 145, width], CLS first, without a final norm: what LLaVA feeds its projector (without CLS)."""

    def __init__(self):
        super().__init__()
        w = VISION["width"]
        self.patch = nn.Linear(3 * scenes.PATCH**2, w, bias=False)
        self.cls = nn.Parameter(0.02 * torch.randn(w))
        self.position = nn.Parameter(0.02 * torch.randn(scenes.GRID**2 + 1, w))
        self.pre = nn.LayerNorm(w, VISION["eps"])
        self.layers = nn.ModuleList(VisionLayer(w, VISION["heads"], VISION["ff"], VISION["eps"]) for _ in range(VISION["layers"]))

    def forward(self, x):
        x = self.patch(x)
        x = torch.cat([self.cls.expand(x.shape[0], 1, -1).to(x.dtype), x], 1) + self.position
        x = self.pre(x)
        for layer in self.layers:
            x = layer(x)
        return x


class VisionHeads(nn.Module):
    """Read-outs of the pre-training only: dense labels per patch, and the scene's content from CLS through one more layer,
    which makes the encoder's output that of its second-to-last layer. None of it is exported."""

    def __init__(self):
        super().__init__()
        w = VISION["width"]
        self.norm, self.cls_norm, self.last_norm = (nn.LayerNorm(w) for _ in range(3))
        sizes = dict(kind=len(scenes.KINDS) + 3, color=len(scenes.COLORS), large=2, word=len(scenes.WORDS), tens=11, ones=10, center=2)
        self.sizes = list(sizes.values())
        self.dense = nn.Linear(w, sum(self.sizes) + 2)
        self.last = VisionLayer(w, VISION["heads"], VISION["ff"], VISION["eps"])
        content = len(scenes.KINDS) * len(scenes.COLORS) + len(scenes.WORDS) + 21
        self.content, self.last_content = nn.Linear(w, content), nn.Linear(w, content)

    def forward(self, x):
        """Dense scores by label, offsets [B, 144, 2], and the content's logits twice: from CLS here and a layer later."""
        *dense, offset = self.dense(self.norm(x[:, 1:])).split(self.sizes + [2], -1)
        last = self.last(x, 1)[:, 0]
        return dense, offset, self.content(self.cls_norm(x[:, 0])), self.last_content(self.last_norm(last))


class RMSNorm(nn.Module):
    def __init__(self, width, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x):
        return F.rms_norm(x, x.shape[-1:], self.weight, self.eps)


def rope(x, cos, sin):
    """Rotates the pairs (i, i + d/2). x [B, H, T, d]; cos, sin [B, 1, T, d/2]."""
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, a * sin + b * cos), -1)


class TextLayer(nn.Module):
    def __init__(self, width, heads, ff, eps):
        super().__init__()
        self.heads = heads
        self.ln1, self.ln2 = RMSNorm(width, eps), RMSNorm(width, eps)
        self.q, self.k, self.v, self.out = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.gate, self.up = nn.Linear(width, ff, bias=False), nn.Linear(width, ff, bias=False)
        self.down = nn.Linear(ff, width, bias=False)
        # GGUF's order for llama rotates neighbours. Which rows are a pair is the weights' affair: taken in this order, the
        # pairs are two halves, which vector instructions reach.
        rows = torch.arange(width).view(heads, -1, 2).transpose(1, 2).reshape(-1)
        self.register_buffer("halves", rows, persistent=False)

    def forward(self, x, cos, sin, masks, prefix, last):
        """Rows: `prefix`, the same for all questions, then bins of questions, which see the prefix and their own bin. masks: of
        the prefix [1, p, p] and of the bins [B * bins, 1, W, p + W], to be added. The last layer leaves the prefix out."""
        b, n, d = x.shape
        weight = torch.cat([self.q.weight[self.halves], self.k.weight[self.halves], self.v.weight])
        qkv = F.linear(self.ln1(x), weight).view(b, n, 3 * self.heads, -1).transpose(1, 2)
        q, k = rope(qkv[:, :2 * self.heads], cos, sin).chunk(2, 1)
        v, p, size = qkv[:, 2 * self.heads:], prefix, masks[1].shape[2]
        bins = lambda t: t[:, :, p:].unflatten(2, (-1, size)).transpose(1, 2)
        shared = lambda t, own: t[:, None, :, :p].expand(-1, own.shape[1], -1, -1, -1)
        seen = lambda t: torch.cat([shared(t, bins(t)), bins(t)], 3).flatten(0, 1)
        y = attention(bins(q).flatten(0, 1), seen(k), seen(v), masks[1])
        y = y.unflatten(0, (b, -1)).transpose(1, 2).flatten(2, 3)
        if last:
            x = x[:, p:]
        else:
            y = torch.cat([attention(q[:, :, :p], k[:, :, :p], v[:, :, :p], masks[0]), y], 2)
        x = x + self.out(y.transpose(1, 2).reshape(b, -1, d))
        gate, up = fused(self.ln2(x), self.gate, self.up).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


class Decoder(nn.Module):
    """Projector and llama decoder. Token ids and where the image's features go in; see batches.py for the packing."""

    def __init__(self, vocabulary, read_outs=()):
        """read_outs: for each of READ the classes of its labels."""
        super().__init__()
        w = TEXT["width"]
        self.sizes = [list(sizes) for sizes in read_outs]
        self.projector = nn.Sequential(nn.Linear(VISION["width"], w), nn.GELU(approximate="tanh"), nn.Linear(w, w))
        self.embedding = nn.Embedding(vocabulary, w)
        self.layers = nn.ModuleList(TextLayer(w, TEXT["heads"], TEXT["ff"], TEXT["eps"]) for _ in range(TEXT["layers"]))
        self.norm = RMSNorm(w, TEXT["eps"])
        nn.init.normal_(self.embedding.weight, std=0.05)
        self.temperature = nn.Parameter(torch.tensor(3.0))  # of `words`; not exported, nor are the read-outs
        self.read = nn.ModuleList(nn.Linear(w, sum(sizes)) for sizes in self.sizes)
        self.register_buffer("frequencies", TEXT["base"] ** (-torch.arange(0, w // TEXT["heads"], 2) / (w // TEXT["heads"])), persistent=False)

    def forward(self, before, features, after, positions, mask, wanted, read=()):
        """before [P] ids, then features [B, 144, vision width], then after [B, bins, W] ids; positions [B, P + 144 + bins * W];
        mask bool [B, bins, W, P + 144 + W]: what the questions see. Flat indices into `after`: `wanted`, the rows whose logits are
        asked for, and `read`, those of each read-out. Returns logits [wanted, vocabulary] and, by read-out and label, scores
        [rows, classes]."""
        b = after.shape[0]
        x = torch.cat([self.embedding(before).expand(b, -1, -1), self.projector(features), self.embedding(after.flatten(1))], 1)
        angles = (positions[..., None] * self.frequencies)[:, None]
        kind = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
        cos, sin = angles.cos().to(kind), angles.sin().to(kind)
        prefix = len(before) + features.shape[1]
        added = lambda allowed: torch.zeros(allowed.shape, dtype=kind).masked_fill(~allowed, float("-inf"))
        masks = added(torch.ones(1, prefix, prefix, dtype=torch.bool).tril()), added(mask.flatten(0, 1)[:, None])
        scores = []
        for i, layer in enumerate(self.layers):
            x = layer(x, cos, sin, masks, prefix, i == len(self.layers) - 1)
            for rows, depth, linear, sizes in zip(read, READ, self.read, self.sizes):
                if i == depth - 1:
                    at = x[:, prefix:].reshape(-1, x.shape[-1])[rows]
                    scores.append(linear(F.rms_norm(at, at.shape[-1:])).split(sizes, -1))
        # The output matrix is the embedding's, so that a word found in the picture is a word that can be said.
        return F.linear(self.norm(x.reshape(-1, x.shape[-1])[wanted]), self.embedding.weight), scores

    def words(self, features):
        """Log-probabilities [B, 144, vocabulary] of the words a projected patch is nearest to: aligns both spaces."""
        return torch.log_softmax(self.temperature * F.linear(self.projector(features), self.embedding.weight).float(), -1)
