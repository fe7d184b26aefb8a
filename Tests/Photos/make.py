"""Writes the test photos from the sample images inside scikit-image's wheel.

usage: python make.py scikit_image-0.26.0-*.whl        (pip download scikit-image==0.26.0 --no-deps)
Made with Pillow 13.0.0.
"""
import io
import sys
import zipfile
from pathlib import Path

from PIL import Image

here = Path(__file__).parent
wheel = zipfile.ZipFile(sys.argv[1])


def sample(name: str) -> Image.Image:
    return Image.open(io.BytesIO(wheel.read(f"skimage/data/{name}"))).convert("RGB")


def write(image: Image.Image, name: str, progressive: bool) -> None:
    image.save(here / f"{name}.png", optimize=True)
    image.save(here / f"{name}.jpg", quality=90, subsampling="4:2:0", progressive=progressive, optimize=True)


write(sample("chelsea.png"), "cat", progressive=False)  # 451 x 300, landscape, odd width
write(sample("coffee.png").crop((141, 0, 460, 400)), "cup", progressive=True)  # 319 x 400, portrait, odd width
