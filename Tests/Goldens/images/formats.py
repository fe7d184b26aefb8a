"""WebP, GIF and BMP files of every kind, and PNG files with a transparent colour, for make.py. Lines: file NAME WIDTH HEIGHT HASH"""
import io
import struct

import numpy as np
from PIL import Image

import pngwriter
import webpwriter


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def webp(picture, put, exif):
    for label, width, height in [("odd", 53, 37), ("even", 48, 32), ("thin", 3, 41), ("flat", 45, 2), ("dot", 1, 1)]:
        image = Image.fromarray(picture(width, height))
        for quality in [5, 50, 95]:
            put(f"lossy-{quality}-{label}.webp", encoded(image, "WEBP", quality=quality, method=4))
        put(f"lossless-{label}.webp", encoded(image, "WEBP", lossless=True, quality=100, method=6))
        clear = Image.fromarray(picture(width, height, 4))
        put(f"alpha-{label}.webp", encoded(clear, "WEBP", quality=60, alpha_quality=100, exact=True))
        put(f"lossless-alpha-{label}.webp", encoded(clear, "WEBP", lossless=True, exact=True))
    large = picture(200, 120)
    for method in [0, 6]:
        put(f"lossy-method{method}.webp", encoded(Image.fromarray(large), "WEBP", quality=70, method=method))
        put(f"lossless-method{method}.webp", encoded(Image.fromarray(large // 16 * 16), "WEBP", lossless=True, method=method))
    for colours in [2, 4, 16, 100]:
        few = Image.fromarray(picture(61, 43)).quantize(colours).convert("RGB")
        put(f"lossless-{colours}-colours.webp", encoded(few, "WEBP", lossless=True))
    for label, settings in [
            ("simple", {"filter_type": 0, "filter_strength": 80}), ("simple-sharp", {"filter_type": 0, "filter_sharpness": 6}),
            ("unfiltered", {"filter_strength": 0}), ("strong", {"filter_strength": 100, "filter_sharpness": 3}),
            ("partitions", {"partitions": 3, "low_memory": 1}), ("one-segment", {"segments": 1}), ("sns", {"sns_strength": 100}),
            ("auto", {"autofilter": 1, "method": 6}), ("coarse", {"filter_strength": 60, "quality": 0, "method": 0})]:
        settings = dict(settings)
        put(f"lossy-{label}.webp", webpwriter.write(large, settings.pop("quality", 60), **settings))
    soft = np.dstack([picture(61, 43), np.add.outer(np.arange(43) * 3, np.arange(61) * 2).astype(np.uint8)])
    for quality in [0, 40, 80]:
        put(f"alpha-quality{quality}.webp", encoded(Image.fromarray(soft), "WEBP", quality=50, alpha_quality=quality))
    # The ALPH chunk by hand, uncompressed, under each filter.
    lossy = encoded(Image.fromarray(soft[:, :, :3]), "WEBP", quality=50)
    for method in range(4):
        put(f"alpha-raw-filter{method}.webp", with_alpha(lossy, soft[:, :, 3], method))
    frames = [Image.fromarray(picture(40, 30, 4)) for _ in range(3)]
    put("animated-lossy.webp", encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:]))
    put("animated-lossless.webp", encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True))
    put("animated-offset.webp", offset_frame(lossy))
    turned = Image.fromarray(picture(31, 17))
    put("exif-6.webp", encoded(turned, "WEBP", quality=80, exif=b"Exif\0\0" + exif(6)))


def chunk(name, content):
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def riff(*chunks):
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def with_alpha(lossy, alpha, method):
    height, width = alpha.shape
    a = alpha.astype(int)
    left = np.pad(a, ((0, 0), (1, 0)))[:, :-1]
    above = np.pad(a, ((1, 0), (0, 0)))[:-1]
    corner = np.pad(a, ((1, 0), (1, 0)))[:-1, :-1]
    prediction = [0 * a, left, above, np.clip(left + above - corner, 0, 255)][method].copy()
    if method:
        prediction[0], prediction[1:, 0] = left[0], above[1:, 0]
    data = bytes([method << 2]) + ((a - prediction) & 255).astype(np.uint8).tobytes()
    extended = bytes([0x10, 0, 0, 0]) + struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return riff(chunk(b"VP8X", extended), chunk(b"ALPH", data), lossy[12:])


def offset_frame(lossy):
    """A frame of 61 x 43 at (6, 4) of a canvas of 80 x 60."""
    def small(*values):
        return b"".join(struct.pack("<I", value)[:3] for value in values)
    frame = small(3, 2, 60, 42, 100) + b"\0" + lossy[12:]
    return riff(chunk(b"VP8X", bytes([0x12, 0, 0, 0]) + small(79, 59)), chunk(b"ANIM", bytes(6)), chunk(b"ANMF", frame))


def gif(picture, put):
    for label, width, height in [("odd", 53, 37), ("thin", 3, 41), ("flat", 45, 2), ("dot", 1, 1)]:
        for colours in [2, 16, 256]:
            image = Image.fromarray(picture(width, height)).quantize(colours)
            put(f"{colours}-{label}.gif", encoded(image, "GIF", interlace=0))
            put(f"{colours}-{label}-interlaced.gif", encoded(image, "GIF", interlace=1))
    image = Image.fromarray(picture(64, 48)).quantize(64)
    put("transparent.gif", encoded(image, "GIF", transparency=5))
    others = [Image.fromarray(picture(64, 48)).quantize(64) for _ in range(2)]
    put("animated.gif", encoded(image, "GIF", save_all=True, append_images=others))
    noise = Image.fromarray(np.random.default_rng(3).integers(0, 256, (90, 90)).astype(np.uint8), "L")
    put("full-table.gif", encoded(noise, "GIF"))
    # A frame with its own palette inside a canvas with another.
    raw = encoded(Image.fromarray(picture(20, 10)).quantize(8), "GIF", interlace=0)
    flags = raw[10]
    colours = 3 << ((flags & 7) + 1)
    palette, rest = raw[13:13 + colours], raw[13 + colours:]
    place = rest.index(b"\x2c")
    descriptor = struct.pack("<HHHHB", 7, 3, 20, 10, 0x80 | flags & 7)
    canvas = Image.new("RGB", (40, 25), "white")
    canvas.paste(Image.open(io.BytesIO(raw)).convert("RGB"), (7, 3))
    # Pillow fills what the frame leaves with a colour; browsers leave it transparent.
    put("local-palette.gif", b"GIF89a" + struct.pack("<HHBBB", 40, 25, flags, 0, 0) + palette[::-1] + rest[:place]
        + b"\x2c" + descriptor + palette + rest[place + 10:], canvas)


def bmp(picture, put):
    for label, width, height in [("odd", 53, 37), ("dot", 1, 1)]:
        image = Image.fromarray(picture(width, height))
        put(f"24-{label}.bmp", encoded(image, "BMP"))
        put(f"8-{label}.bmp", encoded(image.quantize(200), "BMP"))
        put(f"grey-{label}.bmp", encoded(image.convert("L"), "BMP"))
        put(f"1-{label}.bmp", encoded(image.convert("1"), "BMP"))
        put(f"32-{label}.bmp", encoded(Image.fromarray(picture(width, height, 4)), "BMP"))
    array = picture(21, 13)
    indices = np.asarray(Image.fromarray(array).quantize(16))
    palette = bytes(Image.fromarray(array).quantize(16).getpalette()[:48])
    quads = b"".join(bytes([palette[i + 2], palette[i + 1], palette[i], 0]) for i in range(0, 48, 3))
    put("4.bmp", build(21, 13, 4, 0, quads, rows4(indices[::-1])))
    put("4-top-down.bmp", build(21, -13, 4, 0, quads, rows4(indices)))
    put("4-core.bmp", core(21, 13, 4, b"".join(quads[i:i + 3] for i in range(0, 64, 4)), rows4(indices[::-1])))
    put("rle8.bmp", build(21, 13, 8, 1, quads, runs8(indices[::-1])))
    put("rle4.bmp", build(21, 13, 4, 2, quads, runs4(indices[::-1])))
    # A run, a jump 2 right and 3 up, a run, and whole rows.
    jumps = b"\3\5\0\2\2\3\4\1\0\0" + b"".join(bytes([21, row, 0, 0]) for row in range(9)) + b"\0\1"
    put("rle8-jumps.bmp", build(21, 13, 8, 1, quads, jumps))
    deep = picture(21, 13, 4).astype(np.uint32)[::-1]
    r, g, b, a = (deep[:, :, i] for i in range(4))
    five = (r >> 3 << 10 | g >> 3 << 5 | b >> 3).astype("<u2")
    six = (r >> 3 << 11 | g >> 2 << 5 | b >> 3).astype("<u2")
    put("16-555.bmp", build(21, 13, 16, 0, b"", padded(five)))
    put("16-565.bmp", build(21, 13, 16, 3, struct.pack("<III", 0xF800, 0x7E0, 0x1F), padded(six)))
    four = (r << 24 | g << 16 | b << 8 | a).astype("<u4")
    put("32-fields.bmp", build(21, 13, 32, 3, struct.pack("<III", 0xFF000000, 0xFF0000, 0xFF00), four.tobytes()))
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    bgra = (a << 24 | r << 16 | g << 8 | b).astype("<u4").tobytes()
    put("32-alpha.bmp", build(21, 13, 32, 3, masks + b"BGRs" + bytes(48), bgra, header=108))


def keyed_png(put):
    """The colour of the first pixel is transparent (tRNS); all bits of a sample count, as in libpng."""
    rng = np.random.default_rng(11)
    for colour, depth in [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16)]:
        samples = rng.integers(0, 1 << depth, (9, 13, 3 if colour else 1))
        samples[2:5, 3:8] = samples[0, 0]
        # Equal in the high byte only.
        if depth == 16:
            samples[6, 4] = samples[0, 0] ^ 1
        levels = samples >> 8 if depth == 16 else samples * 255 // ((1 << depth) - 1)
        levels = np.where((samples == samples[0, 0]).all(-1, keepdims=True), 255, np.broadcast_to(levels, (9, 13, 3)))
        data = pngwriter.write(samples, colour, depth, extra=[(b"tRNS", struct.pack(f">{samples.shape[2]}H", *samples[0, 0]))])
        put(f"trns-{'rgb' if colour else 'grey'}-{depth}.png", data, Image.fromarray(levels.astype(np.uint8)))


def padded(rows):
    return b"".join(row.tobytes() + b"\0" * (-row.nbytes % 4) for row in rows)


def rows4(indices):
    out = b""
    for row in indices:
        row = list(row) + [0] * (len(row) % 2)
        line = bytes(row[i] << 4 | row[i + 1] for i in range(0, len(row), 2))
        out += line + b"\0" * (-len(line) % 4)
    return out


def runs8(indices):
    """Runs where neighbours are equal, literals of three and more elsewhere."""
    out = b""
    for number, row in enumerate(indices):
        row = [int(v) for v in row]
        if number % 2:
            out += bytes([0, len(row)]) + bytes(row) + b"\0" * (len(row) % 2)
        else:
            for value in row:
                out += bytes([1, value])
        out += b"\0\0"
    return out + b"\0\1"


def runs4(indices):
    out = b""
    for number, row in enumerate(indices):
        row = [int(v) for v in row]
        if number % 2:
            pairs = row + [0] * (len(row) % 2)
            line = bytes(pairs[i] << 4 | pairs[i + 1] for i in range(0, len(pairs), 2))
            out += bytes([0, len(row)]) + line + b"\0" * (len(line) % 2)
        else:
            for i in range(0, len(row), 2):
                pair = row[i:i + 2] + [0]
                out += bytes([len(row[i:i + 2]), pair[0] << 4 | pair[1]])
        out += b"\0\0"
    return out + b"\0\1"


def build(width, height, depth, method, extra, pixels, header=40):
    """`extra`: palette or masks, the first `header` - 40 bytes of it inside the header."""
    colours = len(extra) // 4 if depth <= 8 else 0
    head = struct.pack("<IiiHHIIiiII", header, width, height, 1, depth, method, len(pixels), 2835, 2835, colours, 0)
    start = 14 + len(head) + len(extra)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + head + extra + pixels


def core(width, height, depth, palette, pixels):
    head = struct.pack("<IHHHH", 12, width, height, 1, depth)
    start = 14 + len(head) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + head + palette + pixels
