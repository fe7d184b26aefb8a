"""Packs an image's questions behind its features: every question sees the image and itself, at the same positions, so that
one pass over the 144 visual tokens serves all of them."""

import numpy as np
import torch

import questions
import scenes
import vocabulary

VISUAL = scenes.GRID**2
BOS, EOS = 1, 2
BINS = 3  # a question's rows meet the keys of its bin's questions only: fewer scores that are masked anyway
# What the read-out of a mention tells of the item that a question names: how many fit; if one does, what, in which colour and
# size it is, and which patch column and row its centre is in.
MENTION = dict(number=10, kind=len(scenes.KINDS) + 2, color=len(scenes.COLORS), large=2, column=scenes.GRID, row=scenes.GRID)
# And of a question's last row, when it names two items: whether the first is left of the second, and above it.
RELATION = dict(left=2, above=2)
NEAR = 7  # pixels within which neither is


def relation_labels(one, other):
    return [-1 if abs(a - b) < NEAR else int(a < b) for a, b in ((one.x, other.x), (one.y, other.y))]


def mention_labels(fits):
    """One class per entry of MENTION, -1 where there is nothing to tell."""
    if len(fits) != 1:
        return [min(len(fits), 9)] + [-1] * (len(MENTION) - 1)
    item = fits[0]
    look = [-1, -1] if item.is_sign else [scenes.COLORS.index(item.color), int(item.large)]
    return [1, item.label()] + look + [int(v // scenes.PATCH) for v in (item.x, item.y)]


class Packer:
    def __init__(self, processor):
        self.processor, self.encode = processor, processor.encode
        self.before = torch.tensor([BOS] + self.encode(vocabulary.BEFORE))
        self.prefix = len(self.before) + VISUAL
        self.cache, self.ends = {}, {}

    def ids(self, text):
        if text not in self.cache:
            self.cache[text] = self.encode(text)
        return self.cache[text]

    def token_ends(self, text):
        """Offset behind each token of a text."""
        if text not in self.ends:
            lengths = [1 if p.startswith("<0x") else len(p) for p in self.processor.encode(text, out_type=str)]
            self.ends[text] = np.cumsum(lengths).tolist()
        return self.ends[text]

    def pack(self, asked, items=()):
        """Of each of an image's questions its number from 1, ids, targets (-1 = no loss); and when the scene's items are given,
        (row, labels) of its mentions and of its relation."""
        packed = []
        for number, (_, question, answer) in enumerate(asked, 1):
            text = vocabulary.AFTER.format(question=question)
            prompt, reply = self.ids(text), self.ids(vocabulary.ANSWER.format(answer=answer))
            named = questions.mentions(question, items) if items else []
            row = lambda end: next(i for i, e in enumerate(self.token_ends(text)) if e > end)  # a line break comes first
            mentioned = [(row(end), mention_labels(fits)) for end, fits in named]
            pair = [fits[0] for _, fits in named if len(fits) == 1]
            related = [(len(prompt) - 1, relation_labels(*pair))] if len(pair) == 2 else []
            packed.append((number, prompt + reply, [-1] * (len(prompt) - 1) + reply + [EOS], (mentioned, related)))
        return packed

    def collate(self, packed):
        """Tensors for `Decoder.forward`; the targets and (image, question) of the wanted rows; labels of the read-outs, [rows, 6]
        of the mentions and [rows, 2] of the relations."""
        filled = [in_bins(image) for image in packed]
        width = -(-max(sum(len(q[1]) for q in own) for image in filled for own in image) // 8) * 8
        shape = (len(packed), BINS, width)
        after, target, segment, positions = np.zeros(shape, np.int64), np.full(shape, -1), np.full(shape, -1), np.zeros(shape, np.int64)
        rows, labels = ([], []), ([], [])
        for i, image in enumerate(filled):
            for j, own in enumerate(image):
                first = 0
                for number, ids, targets, read in own:
                    here = (i, j, slice(first, first + len(ids)))
                    after[here], target[here], segment[here] = ids, targets, number
                    positions[here] = np.arange(self.prefix, self.prefix + len(ids))
                    for sort in range(2):
                        rows[sort].extend((i * BINS + j) * width + first + row for row, _ in read[sort])
                        labels[sort].extend(label for _, label in read[sort])
                    first += len(ids)
        segment, target = torch.from_numpy(segment), torch.from_numpy(target).reshape(-1)
        own = (segment[..., :, None] == segment[..., None, :]) & torch.ones(width, width, dtype=torch.bool).tril()
        mask = torch.cat([torch.ones(*shape, self.prefix, dtype=torch.bool), own], -1)
        before = torch.arange(self.prefix).expand(len(packed), -1)
        positions = torch.cat([before, torch.from_numpy(positions).flatten(1)], 1)
        wanted = torch.nonzero(target >= 0)[:, 0]
        where = (wanted // (BINS * width)) * 64 + segment.reshape(-1)[wanted]  # one number a question
        inputs = (torch.from_numpy(after), positions, mask, wanted, [torch.tensor(r, dtype=torch.long) for r in rows])
        labels = [torch.tensor(l, dtype=torch.long).view(-1, len(names)) for l, names in zip(labels, (MENTION, RELATION))]
        return inputs, target[wanted], where, labels


def in_bins(packed):
    """An image's questions spread over bins of about the same length, the longest first."""
    bins = [[] for _ in range(BINS)]
    length = lambda questions: sum(len(q[1]) for q in questions)
    for question in sorted(packed, key=lambda q: -len(q[1])):
        min(bins, key=length).append(question)
    return bins


def asked(first_seed, rows, wanted=16):
    return [questions.questions(first_seed + i, items, wanted) for i, items in enumerate(rows)]
