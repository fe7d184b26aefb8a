"""Procedural scenes: what is drawn, where, and what can be asked about it. One seed makes one scene, always the same."""

import colorsys
import functools
import math
import os
import random

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIZE = 168  # pixels of a side
PATCH = 14  # pixels of a patch; 12 x 12 patches
GRID = SIZE // PATCH
SUPERSAMPLING = 2

KINDS = ["circle", "square", "triangle", "star", "heart", "ring", "house", "tree", "car", "cup", "fish", "flower"]
COLORS = ["red", "orange", "yellow", "green", "blue", "purple", "black", "white"]
WORDS = (
    "stop exit open shut sale taxi cafe bank park shop hotel bus milk tea bread zoo gym pizza books music school "
    "market menu free new hot cold push pull north south toys"
).split()
WORD_SIGN, NUMBER_SIGN, BACKGROUND = len(KINDS), len(KINDS) + 1, len(KINDS) + 2  # further labels of a patch
FONTS = [
    "DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSerif.ttf", "DejaVuSerif-Bold.ttf", "DejaVuSansMono.ttf",
    "DejaVuSansMono-Bold.ttf", "DejaVuSans-Oblique.ttf", "STIXGeneralBol.ttf",
]
# Seeds never meet: every split owns a range.
SPLITS = {"train": 0, "validation": 1_000_000_000, "test": 2_000_000_000}


class Item:
    """One thing in a scene; lengths in pixels of the 168-pixel canvas."""

    def __init__(self, kind, x, y, rx, ry, color=None, large=None, text=None):
        self.kind, self.x, self.y, self.rx, self.ry = kind, x, y, rx, ry
        self.color, self.large, self.text = color, large, text

    @property
    def is_sign(self):
        return self.text is not None

    def label(self):
        if not self.is_sign:
            return KINDS.index(self.kind)
        return NUMBER_SIGN if self.text.isdigit() else WORD_SIGN

    def state(self):
        return {k: v for k, v in vars(self).items() if v is not None}


# Outlines in [-1, 1] x [-1, 1], y down.


def ellipse(cx=0.0, cy=0.0, rx=1.0, ry=1.0, n=28):
    return [(cx + rx * math.cos(2 * math.pi * i / n), cy + ry * math.sin(2 * math.pi * i / n)) for i in range(n)]


def star():
    r = [1.0, 0.45]
    return [(r[i % 2] * math.sin(math.pi * i / 5), -r[i % 2] * math.cos(math.pi * i / 5)) for i in range(10)]


def heart():
    points = []
    for i in range(32):
        t = 2 * math.pi * i / 32
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        points.append((math.sin(t) ** 3, -(y + 2.5) / 15))
    return points


def annulus(cx, cy, r, inner):
    a, b = ellipse(cx, cy, r, r), ellipse(cx, cy, inner, inner)
    return a + a[:1] + b[:1] + b[::-1]


def rectangle(x0, y0, x1, y1):
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


# Each kind is a list of (outline, tone); tones are resolved against the item's colour.
PARTS = {
    "circle": [(ellipse(), "main")],
    "square": [(rectangle(-0.88, -0.88, 0.88, 0.88), "main")],
    "triangle": [([(0, -1), (1, 0.8), (-1, 0.8)], "main")],
    "star": [(star(), "main")],
    "heart": [(heart(), "main")],
    "ring": [(annulus(0, 0, 1, 0.55), "hollow")],
    "house": [
        (rectangle(-0.7, -0.1, 0.7, 1), "main"), ([(0, -1), (1, -0.1), (-1, -0.1)], "dark"),
        (rectangle(-0.2, 0.4, 0.2, 1), "pale"),
    ],
    "tree": [(rectangle(-0.16, 0.2, 0.16, 1), "wood"), (ellipse(0, -0.3, 0.8, 0.7), "main")],
    "car": [
        ([(-0.55, -0.1), (-0.35, -0.6), (0.4, -0.6), (0.6, -0.1)], "main"),
        ([(-0.4, -0.12), (-0.27, -0.48), (0.32, -0.48), (0.45, -0.12)], "pale"),
        (rectangle(-1, -0.15, 1, 0.4), "main"),
        (ellipse(-0.55, 0.4, 0.27, 0.27), "tyre"), (ellipse(0.55, 0.4, 0.27, 0.27), "tyre"),
    ],
    "cup": [
        (annulus(0.6, -0.05, 0.4, 0.2), "hollow"), ([(-0.85, -0.8), (0.6, -0.8), (0.45, 0.85), (-0.7, 0.85)], "main"),
        (ellipse(-0.125, -0.8, 0.725, 0.16), "dark"),
    ],
    "fish": [
        ([(0.45, 0), (1, -0.6), (1, 0.6)], "main"), (ellipse(-0.2, 0, 0.8, 0.55), "main"),
        (ellipse(-0.6, -0.12, 0.1, 0.1), "tyre"),
    ],
    "flower": [
        (ellipse(0.6 * math.cos(a), 0.6 * math.sin(a), 0.42, 0.42, 16), "main") for a in [i * math.pi / 3 for i in range(6)]
    ] + [(ellipse(0, 0, 0.3, 0.3, 16), "core")],
}
HUES = {"red": (0.985, 0.015), "orange": (0.075, 0.012), "yellow": (0.15, 0.012), "green": (0.34, 0.05),
        "blue": (0.61, 0.035), "purple": (0.79, 0.03)}


def paint(rng, color):
    """RGB of one item: its named colour, jittered."""
    if color == "black":
        v = rng.randint(8, 32)
        return (v, v, v)
    if color == "white":
        v = rng.randint(238, 255)
        return (v, v, v)
    hue, spread = HUES[color]
    value = rng.uniform(0.88, 1) if color in ("orange", "yellow") else rng.uniform(0.65, 0.97)
    r, g, b = colorsys.hsv_to_rgb((hue + rng.uniform(-spread, spread)) % 1, rng.uniform(0.78, 1), value)
    return (int(255 * r), int(255 * g), int(255 * b))


def tone(name, main, color):
    if name in ("main", "hollow"):  # hollow: without an outline, which would show the seam
        return main
    if name == "dark":
        return (95, 95, 95) if color == "black" else tuple(int(0.6 * v) for v in main)
    if name == "core":
        return (150, 90, 30) if color in ("yellow", "orange") else (250, 205, 60)
    return {"pale": (205, 222, 232), "wood": (110, 75, 45), "tyre": (45, 45, 48)}[name]


@functools.lru_cache(maxsize=None)
def photographs():
    """Photographs that may be redistributed: ours (CC0) and scikit-image's (public domain or CC0)."""
    import skimage.data

    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "Tests", "Photos")
    found = [Image.open(os.path.join(here, n)).convert("RGB") for n in sorted(os.listdir(here)) if n.endswith((".jpg", ".png"))]
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        try:
            found.append(Image.fromarray(getattr(skimage.data, name)()).convert("RGB"))
        except Exception:  # not in this wheel: the scene takes another background
            continue
    return [p.resize((max(SIZE, 2 * SIZE * p.width // max(p.size)), max(SIZE, 2 * SIZE * p.height // max(p.size)))) for p in found]


@functools.lru_cache(maxsize=None)
def font(name, size):
    folder = os.path.join(matplotlib.get_data_path(), "fonts", "ttf")
    return ImageFont.truetype(os.path.join(folder, name), size)


def muted(rng, low=0.25, high=0.95):
    r, g, b = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0, 0.28), rng.uniform(low, high))
    return np.array([255 * r, 255 * g, 255 * b], np.float32)


def background(rng, noise):
    """float32 [SIZE, SIZE, 3], 0...255, of one of seven sorts; muted, so that the items stand out."""
    sort = rng.choice(["plain", "gradient", "radial", "noise", "stripes", "checks", "photograph", "photograph"])
    a, b = muted(rng), muted(rng)
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) / SIZE
    if sort == "photograph":
        photo = rng.choice(photographs())
        side = rng.randint(SIZE // 2, min(photo.size))
        left, top = rng.randint(0, photo.width - side), rng.randint(0, photo.height - side)
        crop = photo.crop((left, top, left + side, top + side)).resize((SIZE, SIZE), Image.BILINEAR)
        w = rng.uniform(0.45, 0.85)
        return np.asarray(crop, np.float32) * (1 - w) + a * w
    if sort == "plain":
        t = np.zeros_like(x)
    elif sort == "gradient":
        angle = rng.uniform(0, 2 * math.pi)
        t = (x - 0.5) * math.cos(angle) + (y - 0.5) * math.sin(angle) + 0.5
    elif sort == "radial":
        t = np.hypot(x - rng.random(), y - rng.random())
    elif sort == "noise":
        t = np.zeros_like(x)
        for octave, weight in ((3, 0.6), (7, 0.3), (24, 0.2)):
            cells = Image.fromarray(noise.random((octave, octave), np.float32))
            t += weight * np.asarray(cells.resize((SIZE, SIZE), Image.BICUBIC))
    elif sort == "stripes":
        angle, period = rng.uniform(0, math.pi), rng.uniform(8, 40)
        t = (np.sin((x * math.cos(angle) + y * math.sin(angle)) * SIZE * 2 * math.pi / period) > 0).astype(np.float32)
        b = a + (b - a) * rng.uniform(0.15, 0.4)
    else:
        cell = rng.randint(8, 30)
        t = (((x * SIZE) // cell + (y * SIZE) // cell) % 2).astype(np.float32)
        b = a + (b - a) * rng.uniform(0.15, 0.4)
    return a + (b - a) * np.clip(t, 0, 1)[..., None]


def crowd(rng):
    return rng.choice([1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8])


def arrange(rng):
    """The items of one scene, drawn in this order (later ones may cover a part of earlier ones)."""
    wanted, items = crowd(rng), []
    texts = []
    if rng.random() < 0.6:
        texts.append(rng.choice(WORDS) if rng.random() < 0.6 else str(rng.randint(0, 99)))
        if wanted > 2 and rng.random() < 0.3:
            texts.append(str(rng.randint(0, 99)) if not texts[0].isdigit() else rng.choice(WORDS))
    for text in texts[:wanted]:
        size = rng.randint(17, 30)
        face = rng.choice(FONTS)
        box = font(face, 10 * size).getbbox(text.upper())
        w, h = (box[2] - box[0]) / 10, (box[3] - box[1]) / 10
        rx, ry = w / 2 + rng.uniform(3, 7), h / 2 + rng.uniform(3, 7)
        if rx > SIZE / 2 - 4:
            continue
        item = Item("sign", 0, 0, rx, ry, text=text)
        item.size, item.face = size, face
        settle(rng, item, items)
    palette = rng.sample(COLORS, rng.randint(2, len(COLORS)))
    kinds = rng.sample(KINDS, rng.randint(2, len(KINDS)))
    while len(items) < wanted:
        large = rng.random() < 0.5
        r = rng.uniform(19, 27) if large else rng.uniform(10, 13)
        item = Item(rng.choice(kinds), 0, 0, r, r, color=rng.choice(palette), large=large)
        if not settle(rng, item, items):
            break
    return items


def settle(rng, item, items):
    """Finds a place that covers little of what is there; False when the scene is full."""
    for _ in range(60):
        item.x = rng.uniform(item.rx + 1, SIZE - item.rx - 1)
        item.y = rng.uniform(item.ry + 1, SIZE - item.ry - 1)
        share = 0.82 if not item.is_sign else 1.0  # of the summed radii: a little overlap
        if all(abs(item.x - o.x) > share * (item.rx + o.rx) or abs(item.y - o.y) > share * (item.ry + o.ry) for o in items):
            items.append(item)
            return True
    return False


def draw(rng, item, index, canvas, ids):
    pen, marks = ImageDraw.Draw(canvas), ImageDraw.Draw(ids)
    s = SUPERSAMPLING
    if item.is_sign:
        plate, ink = rng.choice([((232, 214, 178), (40, 30, 25)), ((205, 208, 212), (25, 25, 30)),
                                 ((70, 84, 96), (236, 238, 240)), ((120, 82, 52), (248, 240, 226))])
        tag = Image.new("RGBA", (int(2 * s * item.rx), int(2 * s * item.ry)), plate + (255,))
        face = font(item.face, s * item.size)
        box = face.getbbox(item.text.upper())
        at = (tag.width / 2 - (box[0] + box[2]) / 2, tag.height / 2 - (box[1] + box[3]) / 2)
        brush = ImageDraw.Draw(tag)
        brush.text(at, item.text.upper(), font=face, fill=ink + (255,))
        if rng.random() < 0.5:
            brush.rectangle((0, 0, tag.width - 1, tag.height - 1), outline=ink + (255,), width=2)
        tag = tag.rotate(rng.uniform(-5, 5), Image.BICUBIC, expand=True)
        canvas.paste(tag, (int(s * item.x - tag.width / 2), int(s * item.y - tag.height / 2)), tag)
        marks.rectangle((item.x - item.rx, item.y - item.ry, item.x + item.rx, item.y + item.ry), fill=index)
        return
    main = paint(rng, item.color)
    edge = (150, 150, 150) if item.color in ("black", "white") else tuple(int(0.5 * v) for v in main)
    outlined = rng.random() < 0.6 or item.color in ("black", "white")
    turn = math.radians(rng.uniform(-14, 14))
    cos, sin = math.cos(turn), math.sin(turn)
    mirror = rng.choice([-1, 1])
    for outline, name in PARTS[item.kind]:
        points = [(item.x + item.rx * (mirror * px * cos - py * sin), item.y + item.ry * (mirror * px * sin + py * cos)) for px, py in outline]
        big = [(s * px, s * py) for px, py in points]
        pen.polygon(big, fill=tone(name, main, item.color))
        if outlined and name == "main":
            pen.line(big + big[:1], fill=edge, width=2)
        marks.polygon(points, fill=index)


def scene(seed):
    """(image, items, ids): RGB image, its items, and the uint8 map [SIZE, SIZE] of the item (1...) each pixel shows."""
    rng, noise = random.Random(seed), np.random.default_rng(seed)
    items = arrange(rng)
    ground = background(rng, noise)
    canvas = Image.fromarray(ground.clip(0, 255).astype(np.uint8)).resize((SIZE * SUPERSAMPLING,) * 2, Image.BILINEAR)
    ids = Image.new("L", (SIZE, SIZE), 0)
    for index, item in enumerate(items, 1):
        draw(rng, item, index, canvas, ids)
    small = canvas.resize((SIZE, SIZE), rng.choice([Image.BOX, Image.BICUBIC, Image.BILINEAR]))
    grain = rng.choice([0, 0, 2, 5])
    if grain:
        pixels = np.asarray(small, np.float32) + grain * noise.standard_normal((SIZE, SIZE, 1), np.float32)
        small = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    return small, items, np.asarray(ids)


LABELS = ("kind", "color", "large", "word", "tens", "ones", "center")


def labels(items, ids):
    """Dense labels of the 144 patches: uint8 [len(LABELS), 144], 255 = not asked; and the offset (x, y) from the patch
    to its item's centre, int8 [2, 144], in half pixels."""
    out = np.full((len(LABELS), GRID * GRID), 255, np.uint8)
    offset = np.zeros((2, GRID * GRID), np.int8)
    out[0], out[6] = BACKGROUND, 0
    blocks = ids.reshape(GRID, PATCH, GRID, PATCH).transpose(0, 2, 1, 3).reshape(GRID * GRID, PATCH * PATCH)
    cover = np.stack([(blocks == i).mean(1) for i in range(1, len(items) + 1)]) if items else np.zeros((1, GRID * GRID))
    owner, share = cover.argmax(0), cover.max(0)
    out[0][(share > 0.06) & (share < 0.2)] = 255
    for p in np.flatnonzero(share >= 0.2):
        item = items[owner[p]]
        out[0][p] = item.label()
        if not item.is_sign:
            out[1][p], out[2][p] = COLORS.index(item.color), item.large
        elif item.text.isdigit():
            out[4][p], out[5][p] = (int(item.text[0]) if len(item.text) == 2 else 10), int(item.text[-1])
        else:
            out[3][p] = WORDS.index(item.text)
        offset[0][p] = np.clip(2 * (item.x - (p % GRID + 0.5) * PATCH), -127, 127)
        offset[1][p] = np.clip(2 * (item.y - (p // GRID + 0.5) * PATCH), -127, 127)
    for item in items:
        out[6][int(item.y // PATCH) * GRID + int(item.x // PATCH)] = 1
    return out, offset
