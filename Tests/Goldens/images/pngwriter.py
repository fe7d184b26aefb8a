"""A PNG writer for every colour type, depth, filter and interlacing, from integer samples [height, width, channels]."""
import struct
import zlib

ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def pack(row, depth):
    if depth == 16:
        return b"".join(struct.pack(">H", int(v)) for v in row)
    if depth == 8:
        return bytes(int(v) for v in row)
    bits = "".join(format(int(v), f"0{depth}b") for v in row)
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))


def filtered(row, above, kind, step):
    out = bytearray([kind])
    for i, value in enumerate(row):
        a = row[i - step] if i >= step else 0
        b = above[i]
        c = above[i - step] if i >= step else 0
        p = a + b - c
        paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
        out.append((value - [0, a, b, (a + b) // 2, paeth][kind]) & 255)
    return bytes(out)


def write(samples, colour, depth, interlaced=False, palette=None, extra=(), level=9, strategy=0, idat=0, filters=None):
    height, width, channels = samples.shape
    step = max(1, channels * depth // 8)
    raw, number = b"", 0
    for x, y, dx, dy in (ADAM7 if interlaced else [(0, 0, 1, 1)]):
        part = samples[y::dy, x::dx]
        if part.shape[0] == 0 or part.shape[1] == 0:
            continue
        above = None
        for row in part:
            packed = pack(row.reshape(-1), depth)
            above = above or bytes(len(packed))
            raw += filtered(packed, above, (filters or [0, 1, 2, 3, 4])[number % len(filters or range(5))], step)
            above, number = packed, number + 1
    engine = zlib.compressobj(level, zlib.DEFLATED, 15, 8, strategy)
    data = engine.compress(raw) + engine.flush()
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced)))
    if palette is not None:
        out += chunk(b"PLTE", palette)
    for name, content in extra:
        out += chunk(name, content)
    for start in range(0, len(data), idat or len(data)):
        out += chunk(b"IDAT", data[start:start + (idat or len(data))])
    return out + chunk(b"IEND", b"")
