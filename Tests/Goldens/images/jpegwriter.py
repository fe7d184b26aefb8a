"""A small JPEG writer for the kinds Pillow cannot write: any sampling, one scan per component, YCCK, any component
numbers, spectral-selection progressive. Huffman tables are those of ITU-T T.81, annex K.3."""
import struct

import numpy as np

ZIGZAG = sorted(range(64), key=lambda i: (i // 8 + i % 8, (i // 8 if (i // 8 + i % 8) % 2 else i % 8)))
DC_COUNTS = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]
DC_VALUES = list(range(12))
AC_COUNTS = [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7D]
AC_VALUES = list(bytes.fromhex(
    "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a3435363738"
    "393a434445464748494a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798999aa2a3a4a5"
    "a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa"))


def codes(counts, values):
    table, code, index = {}, 0, 0
    for length, count in enumerate(counts, 1):
        for _ in range(count):
            table[values[index]] = (code, length)
            code, index = code + 1, index + 1
        code <<= 1
    return table


DC, AC = codes(DC_COUNTS, DC_VALUES), codes(AC_COUNTS, AC_VALUES)


class Bits:
    def __init__(self):
        self.text = []

    def put(self, value, width):
        if width:
            self.text.append(format(value & ((1 << width) - 1), f"0{width}b"))

    def number(self, value):
        size = int(abs(value)).bit_length()
        return size, (value if value >= 0 else value - 1)

    def bytes(self):
        bits = "".join(self.text)
        bits += "1" * (-len(bits) % 8)
        raw = int(bits, 2).to_bytes(len(bits) // 8, "big") if bits else b""
        return raw.replace(b"\xff", b"\xff\x00")


def segment(marker, content):
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def dct_matrix():
    k, n = np.mgrid[0:8, 0:8]
    matrix = np.cos((2 * n + 1) * k * np.pi / 16) / 2
    matrix[0] /= np.sqrt(2)
    return matrix


def blocks_of(plane, rows, columns, step):
    """Quantised coefficients of a plane padded to rows x columns blocks: [rows, columns, 64] in zigzag order."""
    padded = np.pad(plane, ((0, rows * 8 - plane.shape[0]), (0, columns * 8 - plane.shape[1])), mode="edge")
    matrix = dct_matrix()
    cut = padded.reshape(rows, 8, columns, 8).transpose(0, 2, 1, 3).astype(float) - 128
    coefficients = np.rint(matrix @ cut @ matrix.T / step).astype(int)
    return coefficients.reshape(rows, columns, 64)[:, :, ZIGZAG]


def write(planes, sampling, width, height, step=12, identifiers=None, adobe=None, jfif=False, restart=0,
          interleaved=True, progressive=False, sof=None, extra=b"", wide_quant=False):
    """planes: full-resolution components; sampling: (h, v) of each."""
    count = len(planes)
    identifiers = identifiers or list(range(1, count + 1))
    hmax, vmax = max(h for h, _ in sampling), max(v for _, v in sampling)
    mcus_wide, mcus_high = -(-width // (8 * hmax)), -(-height // (8 * vmax))
    components = []
    for plane, (h, v) in zip(planes, sampling):
        w, t = -(-width * h // hmax), -(-height * v // vmax)
        ys = np.minimum(np.arange(t) * vmax // v, height - 1)
        xs = np.minimum(np.arange(w) * hmax // h, width - 1)
        small = plane[np.ix_(ys, xs)]
        components.append((blocks_of(small, mcus_high * v, mcus_wide * h, step), -(-w // 8), -(-t // 8), h, v))

    out = b"\xff\xd8"
    if jfif:
        out += segment(0xE0, b"JFIF\0\x01\x01\x00\x00\x01\x00\x01\x00\x00")
    if adobe is not None:
        out += segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([adobe]))
    out += extra
    quant = (b"\x10" + struct.pack(">64H", *[step] * 64)) if wide_quant else b"\0" + bytes([step] * 64)
    out += segment(0xDB, quant)
    frame = struct.pack(">BHHB", 8, height, width, count)
    for identifier, (h, v) in zip(identifiers, sampling):
        frame += bytes([identifier, h << 4 | v, 0])
    out += segment(sof or (0xC2 if progressive else 0xC0), frame)
    out += segment(0xC4, b"\x00" + bytes(DC_COUNTS) + bytes(DC_VALUES))
    out += segment(0xC4, b"\x10" + bytes(AC_COUNTS) + bytes(AC_VALUES))
    if restart:
        out += segment(0xDD, struct.pack(">H", restart))

    def units(members):
        if len(members) == 1:
            _, wide, high, _, _ = components[members[0]]
            return [[(members[0], y, x)] for y in range(high) for x in range(wide)]
        return [[(m, my * components[m][4] + y, mx * components[m][3] + x)
                 for m in members for y in range(components[m][4]) for x in range(components[m][3])]
                for my in range(mcus_high) for mx in range(mcus_wide)]

    def scan(members, first, last):
        header = bytes([len(members)]) + b"".join(bytes([identifiers[m], 0]) for m in members)
        data = segment(0xDA, header + bytes([first, last, 0]))
        bits, previous, number = Bits(), [0] * count, 0
        for index, unit in enumerate(units(members)):
            if restart and index and index % restart == 0:
                data += bits.bytes() + bytes([0xFF, 0xD0 + number % 8])
                bits, previous, number = Bits(), [0] * count, number + 1
            for member, y, x in unit:
                block = [int(c) for c in components[member][0][y, x]]
                if first == 0:
                    size, value = bits.number(block[0] - previous[member])
                    previous[member] = block[0]
                    bits.put(*DC[size])
                    bits.put(value, size)
                run = 0
                for k in range(max(first, 1), last + 1):
                    if block[k] == 0:
                        run += 1
                        continue
                    while run > 15:
                        bits.put(*AC[0xF0])
                        run -= 16
                    size, value = bits.number(block[k])
                    bits.put(*AC[run << 4 | size])
                    bits.put(value, size)
                    run = 0
                if run:
                    bits.put(*AC[0])
        return data + bits.bytes()

    everyone = list(range(count))
    if progressive:
        out += scan(everyone, 0, 0)
        for member in everyone:
            out += scan([member], 1, 5) + scan([member], 6, 63)
    elif interleaved:
        out += scan(everyone, 0, 63)
    else:
        for member in everyone:
            out += scan([member], 0, 63)
    return out + b"\xff\xd9"
