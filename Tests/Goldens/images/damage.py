"""Damaged files, for make.py, and what browsers and libjpeg show of them.

Lines: damaged NAME WIDTH HEIGHT HASH, each to be shown with one warning and refused when strict. JPEG: libjpeg-turbo's
pixels by Pillow; a file cut short is shown to it with an end-of-image marker behind, which is what libjpeg makes up. PNG: the
undamaged picture, missing rows white.
"""
import io
import struct

import numpy as np
from PIL import Image

import pngwriter


def jpegs(picture, put, jpegwriter, exif, expected):
    end = b"\xff\xd9"
    rgb = picture(61, 43)

    def coded(**options):
        buffer = io.BytesIO()
        Image.fromarray(rgb).save(buffer, "JPEG", quality=80, **options)
        return buffer.getvalue()

    base, progressive, restarts = coded(), coded(progressive=True), coded(restart_marker_blocks=2, subsampling="4:4:4")
    put("damaged-no-eoi.jpg", base[:-2], expected(base))
    put("damaged-cut.jpg", base[:len(base) * 2 // 3], expected(base[:len(base) * 2 // 3] + end))
    last = progressive.rindex(b"\xff\xda")
    # All DC and AC scans but a part of the last, which refines: nothing is left for libjpeg to smooth.
    cut = progressive[:(last + len(progressive)) // 2]
    put("damaged-progressive-cut.jpg", cut, expected(cut + end))
    cut = restarts[:len(restarts) * 2 // 3]
    put("damaged-restarts-cut.jpg", cut, expected(cut + end))
    # The early end inside a restart interval, with data behind.
    place = restarts.index(b"\xff\xd3")
    short = restarts[:place - 20] + restarts[place:]
    put("damaged-interval-short.jpg", short, expected(short))
    numbered = restarts.replace(b"\xff\xd2", b"\xff\xd7", 1)
    put("damaged-restart-number.jpg", numbered, expected(numbered))
    skipped = restarts.replace(b"\xff\xd2", b"\xff\xd4", 1)
    put("damaged-restart-ahead.jpg", skipped, expected(skipped))
    lost = restarts.replace(b"\xff\xd2", b"", 1)
    put("damaged-restart-lost.jpg", lost, expected(restarts))
    # No Huffman tables: those of annex K.3 are meant, which Pillow's files carry.
    parts, position = [base[:2]], 2
    while base[position + 1] != 0xDA:
        length = 2 + struct.unpack(">H", base[position + 2:position + 4])[0]
        if base[position + 1] != 0xC4:
            parts.append(base[position:position + length])
        position += length
    put("damaged-no-tables.jpg", b"".join(parts) + base[position:], expected(base))
    # The DC scan of a spectral-selection file twice.
    planes = rgb.transpose(2, 0, 1)
    twice = jpegwriter.write(planes, [(1, 1)] * 3, 61, 43, progressive=True)
    first = twice.index(b"\xff\xda")
    second = twice.index(b"\xff\xda", first + 2)
    twice = twice[:second] + twice[first:]
    put("damaged-scan-twice.jpg", twice, expected(twice))
    for little in [True, False]:
        tiff = bytearray(exif(6, little))
        at = tiff.index(struct.pack("<H" if little else ">H", 0x0112))
        tiff[at:at + 12] = struct.pack("<HHII" if little else ">HHII", 0x0112, 4, 1, 6)
        name = "little" if little else "big"
        data = coded(exif=b"Exif\0\0" + bytes(tiff))
        put(f"damaged-exif-long-{name}.jpg", data, expected(data))
    # The height behind the scan, which libjpeg does not read.
    frame = base.index(b"\xff\xc0")
    late = base[:frame + 5] + b"\0\0" + base[frame + 7:-2] + b"\xff\xdc\0\4" + struct.pack(">H", 43) + end
    put("damaged-dnl.jpg", late, expected(base))
    # A bit turned over inside the scan: nonsense from there on, the same nonsense as libjpeg's.
    for seed in range(6):
        rng = np.random.default_rng(seed)
        start = base.index(b"\xff\xda") + 14
        while True:
            data = bytearray(base)
            data[int(rng.integers(start, len(data) - 2))] ^= 1 << int(rng.integers(0, 8))
            if b"\xff" not in data[start:-2].replace(b"\xff\0", b""):
                break
        put(f"flipped-{seed}.jpg", bytes(data), expected(bytes(data)), kind="flipped")


def pngs(picture, put):
    samples = picture(23, 17).astype(int)
    good = pngwriter.write(samples, 2, 8)
    image = Image.fromarray(samples.astype(np.uint8))
    at = good.index(b"IDAT") + 4
    length = struct.unpack(">I", good[at - 8:at - 4])[0]
    data = good[at:at + length]

    def with_data(stream, extra=()):
        out = good[:at - 8]
        for name, content in extra:
            out += pngwriter.chunk(name, content)
        return out + pngwriter.chunk(b"IDAT", stream) + pngwriter.chunk(b"IEND", b"")

    wrong = bytearray(good)
    wrong[at + length] ^= 1
    put("damaged-crc-idat.png", bytes(wrong), image)
    header = bytearray(good)
    header[8 + 8 + 13] ^= 1
    put("damaged-crc-ihdr.png", bytes(header), image)
    text = bytearray(with_data(data, [(b"tEXt", b"Comment\0hello")]))
    text[text.index(b"hello") + 5] ^= 1
    put("damaged-crc-text.png", bytes(text), image)
    # An ancillary chunk whose CRC is wrong does not count.
    keyed = bytearray(with_data(data, [(b"tRNS", struct.pack(">HHH", *samples[0, 0]))]))
    keyed[keyed.index(b"tRNS") + 10] ^= 1
    put("damaged-crc-trns.png", bytes(keyed), image)
    put("damaged-no-iend.png", good[:-12], image)
    put("damaged-no-adler.png", with_data(data[:-4]), image)
    put("damaged-adler.png", with_data(data[:-1] + bytes([data[-1] ^ 1])), image)
    more = pngwriter.write(np.vstack([samples, samples]), 2, 8)
    more = good[:at - 8] + more[at - 8:]
    put("damaged-too-much.png", more, image)
    stored = pngwriter.write(samples, 2, 8, level=0)
    cut = Image.new("RGB", image.size, "white")
    rows = (len(stored) - 200 - stored.index(b"IDAT") - 4 - 2 - 5) // (1 + 3 * 23)
    cut.paste(image.crop((0, 0, 23, rows)))
    put("damaged-cut.png", stored[:-200], cut)
    split = pngwriter.write(samples, 2, 8, idat=50)
    broken = bytearray(split)
    second = split.index(b"IDAT", split.index(b"IDAT") + 4)
    broken[second + 54] ^= 0x80
    put("damaged-crc-second-idat.png", bytes(broken), image)
