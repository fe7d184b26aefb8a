#!/usr/bin/env python3
"""Golden selections of DivPrune and CDPruner, computed from their definitions with NumPy; seed 20260522.

    python make.py        (NumPy 2.4.6; writes .npy files beside this script)

DivPrune: max-min by exhaustive recomputation of every distance in each round. CDPruner: greedy maximisation of the
log-determinant of the kernel's submatrix, in float64, by slogdet; the runtime does the same by Cholesky updates.
"""
import pathlib

import numpy as np

SEED, TOKENS, WIDTH, TEXT = 20260522, 60, 24, 5
COUNTS = (1, 4, 16, 20)
folder = pathlib.Path(__file__).parent


def cosines(rows):
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit @ unit.T


def divprune(features, count):
    distance = 1 - cosines(features)
    np.fill_diagonal(distance, np.inf)
    chosen = [int(np.argmax(distance.min(axis=1)))]
    while len(chosen) < count:
        rest = [i for i in range(len(features)) if i not in chosen]
        chosen.append(max(rest, key=lambda i: (min(distance[i, j] for j in chosen), -i)))
    return sorted(chosen)


def cdpruner(features, text, count):
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    words = text / np.linalg.norm(text, axis=1, keepdims=True)
    relevance = (unit @ words.T).mean(axis=1)
    relevance = (relevance - relevance.min() + 1e-6) / (relevance.max() - relevance.min())
    kernel = relevance[:, None] * (unit @ unit.T) * relevance[None, :]
    chosen = []
    while len(chosen) < count:
        def gain(i):
            picked = chosen + [i]
            return np.linalg.slogdet(kernel[np.ix_(picked, picked)])[1]
        chosen.append(max((i for i in range(len(features)) if i not in chosen), key=gain))
    return sorted(chosen)


generator = np.random.default_rng(SEED)
# Clusters, so that diversity and relevance disagree.
centres = generator.normal(size=(6, WIDTH))
features = centres[generator.integers(0, 6, TOKENS)] + 0.4 * generator.normal(size=(TOKENS, WIDTH))
text = centres[2] + generator.normal(size=(TEXT, WIDTH))
features, text = features.astype("<f4"), text.astype("<f4")
np.save(folder / "features.npy", features)
np.save(folder / "text.npy", text)
for name, choose in (
    ("divprune", lambda count: divprune(features.astype(float), count)),
    ("cdpruner", lambda count: cdpruner(features.astype(float), text.astype(float), count)),
):
    for count in COUNTS:
        np.save(folder / f"{name}-{count}.npy", np.array(choose(count), dtype="<i4"))
