"""Checks with Pillow and zlib that encoded.png, written by Occam's PNG encoder from picture.png, shows the same picture.

encoded.png is what `encodePNG` returns; after a change to the encoder run the tests with OCCAM_WRITE_ENCODED=PATH, look at
the result with this script (python3 check_encoder.py PATH), and copy it here.
"""
import os
import sys

from PIL import Image

here = os.path.dirname(os.path.abspath(__file__))
path = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "encoded.png")
written, source = Image.open(path), Image.open(os.path.join(here, "picture.png")).convert("RGB")
assert written.mode == "RGB" and written.size == source.size and written.tobytes() == source.tobytes(), "not the same picture"
print("same picture,", os.path.getsize(path), "bytes")
