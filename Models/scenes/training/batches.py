"""Packs an image's questions behind its features: every question sees the image and itself, at the same positions, so that
one pass over the 144 visual tokens serves all of them."""

import numpy as np
import torch

import questions
import scenes
import vocabulary

VISUAL = scenes.GRID**2
BOS, EOS = 1, 2


class Packer:
    def __init__(self, processor):
        self.encode = processor.encode
        self.before = [BOS] + self.encode(vocabulary.BEFORE)
        self.prefix = len(self.before) + VISUAL
        self.cache = {}

    def ids(self, text):
        if text not in self.cache:
            self.cache[text] = self.encode(text)
        return self.cache[text]

    def pack(self, asked):
        """(ids, segment, position, target) arrays of one image's questions; segments count from 1, target -1 = no loss."""
        ids, segment, position, target = [], [], [], []
        for s, (_, question, answer) in enumerate(asked, 1):
            prompt = self.ids(vocabulary.AFTER.format(question=question))
            reply = self.ids(vocabulary.ANSWER.format(answer=answer))
            ids += prompt + reply
            target += [-1] * (len(prompt) - 1) + reply + [EOS]
            n = len(prompt) + len(reply)
            segment += [s] * n
            position += range(self.prefix, self.prefix + n)
        return [np.array(a, np.int16) for a in (ids, segment, position, target)]

    def collate(self, packed):
        """Tensors for `Decoder.forward`, and the targets and (image, question) of the wanted rows."""
        width = -(-max(len(p[0]) for p in packed) // 16) * 16
        b, n = len(packed), self.prefix + width
        after, segment = np.zeros((b, width), np.int64), np.full((b, n), -1)
        positions, target = np.zeros((b, n), np.int64), np.full((b, width), -1, np.int64)
        segment[:, :self.prefix], positions[:, :self.prefix] = 0, np.arange(self.prefix)
        for i, (ids, s, p, t) in enumerate(packed):
            after[i, :len(ids)], target[i, :len(ids)] = ids, t
            segment[i, self.prefix:self.prefix + len(ids)], positions[i, self.prefix:self.prefix + len(ids)] = s, p
        segment = torch.from_numpy(segment)
        mask = torch.ones(n, n, dtype=torch.bool).tril() & ((segment[:, None, :] == 0) | (segment[:, None, :] == segment[:, :, None]))
        target = torch.from_numpy(target).reshape(-1)
        wanted = torch.nonzero(target >= 0)[:, 0]
        where = (wanted // width) * 64 + segment[:, self.prefix:].reshape(-1)[wanted]  # one number a question
        before = torch.tensor(self.before).expand(b, -1)
        return (before, torch.from_numpy(after), torch.from_numpy(positions), mask[:, None], wanted), target[wanted], where


def asked(first_seed, rows, wanted=16):
    return [questions.questions(first_seed + i, items, wanted) for i, items in enumerate(rows)]
