"""Writes the picture goldens: small JPEG and PNG files of every kind, and what Pillow makes of them.

Run with Pillow and numpy: python3 make.py. Versions and seed are noted in manifest.txt, whose lines are
    jpeg NAME              NAME.png holds the expected RGB
    png NAME WIDTH HEIGHT HASH   FNV-1a (64 bits) of the expected RGB bytes
    resize NAME FILTER WIDTH HEIGHT LEFT TOP RIGHT BOTTOM HASH    of picture.png
    canvas SOURCE SIZE HASH      llama.cpp's padding for LLaVA-1.5 (see below)
    file NAME WIDTH HEIGHT HASH  WebP, GIF, BMP and PNG with tRNS (formats.py)
    background NAME COLOUR HASH  composed on another colour than white
    draft NAME DIVISOR WIDTH HEIGHT HASH   a JPEG golden scaled while decoding (Image.draft)
    damaged, flipped NAME WIDTH HEIGHT HASH   see damage.py
The canvas lines were also compared with llama.cpp's own code (img_tool::resize of tools/mtmd/mtmd-image.cpp, as in
llama-cpp-python 0.3.36, compiled on its own): all equal.
Expected pictures are upright (ImageOps.exif_transpose) and composed on white where they are transparent.
"""
import io
import os
import struct

import numpy as np
import PIL
from PIL import Image, ImageOps, features

import damage
import formats
import jpegwriter
import pngwriter

SEED = 20250611
HERE = os.path.dirname(os.path.abspath(__file__))
rng = np.random.default_rng(SEED)
manifest = [f"# Pillow {PIL.__version__}, libjpeg-turbo {features.version('libjpeg_turbo')}, numpy {np.__version__}, seed {SEED}"]


def picture(width, height, channels=3):
    """Smooth colour, hard edges and some noise."""
    y, x = np.mgrid[0:height, 0:width]
    planes = []
    for channel in range(channels):
        a, b, c = rng.uniform(0.05, 0.4, 3)
        plane = 128 + 60 * np.sin(a * x + channel) + 60 * np.cos(b * y + c * x)
        plane += rng.normal(0, 6, plane.shape)
        planes.append(plane)
    out = np.stack(planes, -1)
    for _ in range(3):
        left, top = rng.integers(0, width), rng.integers(0, height)
        out[top:top + height // 3 + 1, left:left + width // 3 + 1] = rng.integers(0, 256, channels)
    return np.clip(np.rint(out), 0, 255).astype(np.uint8)


def fnv(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def expected(data, background=(255, 255, 255)):
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if not image.has_transparency_data:
        return image.convert("RGB")
    # A mask is mixed in with rounding to the nearest level.
    image = image.convert("RGBA")
    out = Image.new("RGB", image.size, background)
    out.paste(image, mask=image.getchannel("A"))
    return out


def save(name, data):
    with open(os.path.join(HERE, name), "wb") as file:
        file.write(data)


def jpeg(name, data):
    save(name + ".jpg", data)
    expected(data).save(os.path.join(HERE, name + ".png"), optimize=True)
    manifest.append(f"jpeg {name}")


def pillow_jpeg(name, array, mode="RGB", **options):
    buffer = io.BytesIO()
    Image.fromarray(array, mode if array.ndim == 2 else None).save(buffer, "JPEG", **options) if mode != "CMYK" else \
        Image.frombytes("CMYK", array.shape[1::-1], array.tobytes()).save(buffer, "JPEG", **options)
    jpeg(name, buffer.getvalue())


def exif(orientation, little=True):
    order = "<" if little else ">"
    tiff = (b"II*\0" if little else b"MM\0*") + struct.pack(order + "I", 8)
    tiff += struct.pack(order + "HHHIHH", 2, 0x010F, 2, 4, 0x4141, 0)[:14]
    tiff += struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0) + struct.pack(order + "I", 0)
    return tiff


def jpegs():
    for label, width, height in [("odd", 53, 37), ("even", 48, 32), ("thin", 3, 41), ("flat", 45, 2), ("dot", 1, 1)]:
        array = picture(width, height)
        for sampling in ["4:4:4", "4:2:2", "4:2:0"]:
            for progressive in [False, True]:
                kind = "progressive" if progressive else "baseline"
                pillow_jpeg(f"{kind}-{sampling.replace(':', '')}-{label}", array, quality=80, subsampling=sampling,
                            progressive=progressive, optimize=progressive)
    array = picture(61, 43)
    for quality in [5, 40, 98, 100]:
        pillow_jpeg(f"quality{quality}-420", array, quality=quality, subsampling="4:2:0")
        pillow_jpeg(f"quality{quality}-progressive", array, quality=quality, subsampling="4:4:4", progressive=True)
    pillow_jpeg("grey", picture(50, 39, 1)[:, :, 0], "L", quality=85)
    pillow_jpeg("grey-progressive", picture(50, 39, 1)[:, :, 0], "L", quality=85, progressive=True)
    pillow_jpeg("restart-rows", array, quality=80, restart_marker_rows=1)
    pillow_jpeg("restart-blocks", array, quality=80, restart_marker_blocks=3)
    pillow_jpeg("restart-progressive", array, quality=80, restart_marker_blocks=2, progressive=True)
    pillow_jpeg("keep-rgb", array, quality=85, keep_rgb=True)
    pillow_jpeg("cmyk", picture(40, 33, 4), "CMYK", quality=85)
    pillow_jpeg("cmyk-progressive", picture(40, 33, 4), "CMYK", quality=85, progressive=True)
    noise = rng.integers(0, 256, (32, 40, 3)).astype(np.uint8)
    pillow_jpeg("noise-100", noise, quality=100, subsampling="4:2:0")
    array = picture(29, 18)
    for orientation in range(1, 9):
        pillow_jpeg(f"orientation{orientation}", array, quality=80, exif=b"Exif\0\0" + exif(orientation, orientation % 2 == 0))

    samplings = {
        "440": [(1, 2), (1, 1), (1, 1)], "411": [(4, 1), (1, 1), (1, 1)], "410": [(4, 2), (1, 1), (1, 1)],
        "441": [(1, 4), (1, 1), (1, 1)], "mixed": [(2, 2), (1, 2), (2, 1)], "big444": [(2, 2), (2, 2), (2, 2)],
        "chroma-fine": [(1, 1), (2, 1), (1, 1)], "422-wide": [(2, 2), (1, 2), (1, 2)], "440-tall": [(2, 2), (2, 1), (2, 1)],
    }
    for name, sampling in samplings.items():
        for label, width, height in [("odd", 43, 31), ("small", 9, 7)]:
            planes = picture(width, height).transpose(2, 0, 1)
            blocks = sum(h * v for h, v in sampling)
            jpeg(f"sampling-{name}-{label}", jpegwriter.write(planes, sampling, width, height, interleaved=blocks <= 10))
            if label == "odd" and blocks <= 10:
                jpeg(f"sampling-{name}-progressive",
                     jpegwriter.write(planes, sampling, width, height, progressive=True, restart=4))
    planes = picture(37, 30).transpose(2, 0, 1)
    two = [(2, 2), (1, 1), (1, 1)]
    jpeg("one-scan-each", jpegwriter.write(planes, two, 37, 30, interleaved=False, restart=3))
    jpeg("extended-sequential", jpegwriter.write(planes, two, 37, 30, sof=0xC1, wide_quant=True))
    jpeg("ids-rgb", jpegwriter.write(planes, [(1, 1)] * 3, 37, 30, identifiers=[82, 71, 66]))
    jpeg("ids-odd", jpegwriter.write(planes, two, 37, 30, identifiers=[0, 7, 200]))
    jpeg("adobe-ycc", jpegwriter.write(planes, two, 37, 30, identifiers=[82, 71, 66], adobe=1))
    jpeg("adobe-rgb", jpegwriter.write(planes, [(1, 1)] * 3, 37, 30, adobe=0))
    jpeg("jfif-over-adobe", jpegwriter.write(planes, two, 37, 30, jfif=True, adobe=0))
    grey = jpegwriter.write(planes[:1], [(2, 2)], 37, 30)
    jpeg("grey-sampled-2x2", grey)
    four = picture(37, 30, 4).transpose(2, 0, 1)
    jpeg("ycck", jpegwriter.write(four, [(1, 1)] * 4, 37, 30, adobe=2))
    jpeg("ycck-420", jpegwriter.write(four, [(2, 2), (1, 1), (1, 1), (2, 2)], 37, 30, adobe=2))
    jpeg("cmyk-no-adobe", jpegwriter.write(four, [(1, 1)] * 4, 37, 30))
    fill = jpegwriter.write(planes, two, 37, 30, extra=b"\xff\xff\xff\xfe\0\x04hi")
    jpeg("fill-bytes", fill + b"trailing rubbish")


def png(name, data, rgb=None):
    save(name + ".png", data)
    rgb = rgb or expected(data)
    manifest.append(f"png {name} {rgb.width} {rgb.height} {fnv(rgb.tobytes())}")


def pngs():
    kinds = {0: ([1, 2, 4, 8, 16], 1), 2: ([8, 16], 3), 3: ([1, 2, 4, 8], 1), 4: ([8, 16], 2), 6: ([8, 16], 4)}
    names = {0: "grey", 2: "rgb", 3: "palette", 4: "grey-alpha", 6: "rgba"}
    for colour, (depths, channels) in kinds.items():
        for depth in depths:
            for interlaced in [False, True]:
                samples = rng.integers(0, 1 << depth, (11, 19, channels))
                samples[3:8] = samples[3]
                palette = bytes(rng.integers(0, 256, 3 << depth).astype(np.uint8)) if colour == 3 else None
                data = pngwriter.write(samples, colour, depth, interlaced, palette)
                # Pillow keeps 16-bit grey as such and clips it when asked for RGB; the high byte is what everything else takes.
                rgb = None
                if colour == 0 and depth == 16:
                    rgb = Image.fromarray((samples[:, :, 0] >> 8).astype(np.uint8)).convert("RGB")
                png(f"type-{names[colour]}-{depth}{'-adam7' if interlaced else ''}", data, rgb)
    samples = picture(23, 17).astype(int)
    for kind in range(5):
        png(f"filter-{kind}", pngwriter.write(samples, 2, 8, filters=[kind]))
    png("stored", pngwriter.write(samples, 2, 8, level=0))
    png("fixed-codes", pngwriter.write(samples, 2, 8, strategy=4))
    png("huffman-only", pngwriter.write(samples, 2, 8, strategy=2))
    png("run-lengths", pngwriter.write(samples // 64 * 64, 2, 8, strategy=3))
    png("many-idat", pngwriter.write(samples, 2, 8, idat=7))
    for width, height in [(1, 1), (1, 5), (5, 1), (2, 2), (3, 3), (4, 5), (8, 8)]:
        for interlaced in [False, True]:
            small = rng.integers(0, 256, (height, width, 3))
            png(f"size-{width}x{height}{'-adam7' if interlaced else ''}", pngwriter.write(small, 2, 8, interlaced))
    indices = rng.integers(0, 4, (9, 9, 1))
    palette = bytes(rng.integers(0, 256, 12).astype(np.uint8))
    png("palette-trns", pngwriter.write(indices, 3, 8, palette=palette, extra=[(b"tRNS", b"\0\x80\xff")]))
    png("grey-trns", pngwriter.write(samples[:, :, :1], 0, 8, extra=[(b"tRNS", b"\0\x40")]))
    png("rgb-trns", pngwriter.write(samples, 2, 8, extra=[(b"tRNS", b"\0\x40\0\x40\0\x40"), (b"gAMA", b"\0\0\xb1\x8f")]))
    png("suggested-palette", pngwriter.write(samples, 2, 8, palette=palette))
    for orientation in [3, 6]:
        png(f"exif-{orientation}", pngwriter.write(samples, 2, 8, extra=[(b"eXIf", exif(orientation))]))
    flat = np.full((200, 300, 3), 77)
    png("flat", pngwriter.write(flat, 2, 8, filters=[0]))


def canvas(source, size):
    """llama.cpp, mtmd-image.cpp: scale in float32, sides rounded up, Pillow's bicubic but always horizontally first (two
    calls: Pillow 13 itself chooses the order), centred on (122, 116, 104)."""
    scale = min(np.float32(size) / np.float32(source.width), np.float32(size) / np.float32(source.height))
    width = min(int(np.ceil(np.float32(source.width) * scale)), size)
    height = min(int(np.ceil(np.float32(source.height) * scale)), size)
    out = Image.new("RGB", (size, size), (122, 116, 104))
    rows = source.resize((width, source.height), Image.Resampling.BICUBIC)
    out.paste(rows.resize((width, height), Image.Resampling.BICUBIC), ((size - width) // 2, (size - height) // 2))
    return source if source.size == (size, size) else out


def resizes():
    array = picture(97, 71)
    Image.fromarray(array).save(os.path.join(HERE, "picture.png"), optimize=True)
    source = Image.fromarray(array)
    whole = (0, 0, 97, 71)
    cases = [(97, 71, whole), (48, 35, whole), (336, 336, whole), (1, 1, whole), (97, 10, whole), (10, 71, whole),
             (200, 150, whole), (33, 97, whole), (24, 24, whole), (50, 50, (10, 5, 60, 55)),
             (31, 29, (3.25, 7.5, 80.125, 66.75)), (97, 71, (0.5, 0, 96.5, 71)), (600, 3, whole), (98, 70, whole), (80, 36, whole), (80, 37, whole),
             (80, 38, whole), (600, 72, whole), (90, 20, (10, 20, 90, 60))]
    for label, kind in [("bilinear", Image.Resampling.BILINEAR), ("bicubic", Image.Resampling.BICUBIC),
                        ("lanczos", Image.Resampling.LANCZOS), ("box", Image.Resampling.BOX)]:
        for width, height, box in cases:
            result = source.resize((width, height), kind, box=box)
            manifest.append(f"resize picture {label} {width} {height} {' '.join(map(str, box))} {fnv(result.tobytes())}")
    for box in [(97, 71), (71, 97), (30, 30), (97, 3), (60, 59), (84, 84), (2, 90), (120, 400)]:
        for size in [84, 56, 336]:
            cut = source.resize(box, Image.Resampling.BILINEAR)
            manifest.append(f"canvas {box[0]} {box[1]} {size} {fnv(canvas(cut, size).tobytes())}")


def files():
    def put(name, data, rgb=None):
        save(name, data)
        rgb = rgb or expected(data)
        manifest.append(f"file {name} {rgb.width} {rgb.height} {fnv(rgb.tobytes())}")
    formats.webp(picture, put, exif)
    formats.gif(picture, put)
    formats.bmp(picture, put)
    formats.keyed_png(put)
    for name in ["palette-trns.png", "type-rgba-8.png", "alpha-odd.webp", "lossless-alpha-odd.webp", "transparent.gif",
                 "32-alpha.bmp"]:
        with open(os.path.join(HERE, name), "rb") as file:
            rgb = expected(file.read(), (10, 200, 90))
        manifest.append(f"background {name} #0ac85a {fnv(rgb.tobytes())}")


def drafts():
    """Every JPEG golden at 1/2, 1/4 and 1/8, if two pixels are left of each side."""
    for name in [line.split()[1] for line in manifest if line.startswith("jpeg ")]:
        for divisor in [2, 4, 8]:
            image = Image.open(os.path.join(HERE, name + ".jpg"))
            width, height = image.size
            if min(width, height) < 2 * divisor:
                continue
            image.draft(image.mode, (width // divisor, height // divisor))
            assert image.size == (-(-width // divisor), -(-height // divisor)), name
            rgb = ImageOps.exif_transpose(image).convert("RGB")
            manifest.append(f"draft {name} {divisor} {rgb.width} {rgb.height} {fnv(rgb.tobytes())}")


def damages():
    def put(name, data, rgb, kind="damaged"):
        save(name, data)
        manifest.append(f"{kind} {name} {rgb.width} {rgb.height} {fnv(rgb.tobytes())}")
    damage.jpegs(picture, put, jpegwriter, exif, expected)
    damage.pngs(picture, put)


jpegs()
pngs()
resizes()
files()
drafts()
damages()
save("manifest.txt", ("\n".join(manifest) + "\n").encode())
