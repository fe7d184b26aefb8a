"""Lossy WebP files under settings that Pillow's save does not offer: the libwebp inside Pillow's wheel, called directly."""
import ctypes
import glob
import os

import PIL

VERSION = 0x0210
FIELDS = ["lossless", "quality", "method", "image_hint", "target_size", "target_PSNR", "segments", "sns_strength",
          "filter_strength", "filter_sharpness", "filter_type", "autofilter", "alpha_compression", "alpha_filtering",
          "alpha_quality", "passes", "show_compressed", "preprocessing", "partitions", "partition_limit",
          "emulate_jpeg_size", "thread_level", "low_memory", "near_lossless", "exact", "use_delta_palette", "use_sharp_yuv",
          "qmin", "qmax"]


class Config(ctypes.Structure):
    _fields_ = [(name, ctypes.c_float if name in ("quality", "target_PSNR") else ctypes.c_int) for name in FIELDS]


class Picture(ctypes.Structure):
    _fields_ = [("use_argb", ctypes.c_int), ("colorspace", ctypes.c_int), ("width", ctypes.c_int), ("height", ctypes.c_int),
                ("planes", ctypes.c_void_p * 3), ("strides", ctypes.c_int * 2), ("alpha", ctypes.c_void_p),
                ("alpha_stride", ctypes.c_int), ("pad1", ctypes.c_uint32 * 2), ("argb", ctypes.c_void_p),
                ("argb_stride", ctypes.c_int), ("pad2", ctypes.c_uint32 * 3), ("writer", ctypes.c_void_p),
                ("custom", ctypes.c_void_p), ("rest", ctypes.c_uint64 * 32)]


def write(rgb, quality, **settings):
    """rgb: [height, width, 3] of uint8."""
    folder = os.path.join(os.path.dirname(os.path.dirname(PIL.__file__)), "pillow.libs")
    for name in ["libsharpyuv", "libwebp-"]:
        library = ctypes.CDLL(glob.glob(os.path.join(folder, name + "*"))[0])
    config, picture, out = Config(), Picture(), bytearray()
    assert library.WebPConfigInitInternal(ctypes.byref(config), 0, ctypes.c_float(quality), VERSION)
    for name, value in settings.items():
        setattr(config, name, value)
    assert library.WebPValidateConfig(ctypes.byref(config))
    assert library.WebPPictureInitInternal(ctypes.byref(picture), VERSION)
    picture.height, picture.width = rgb.shape[:2]
    assert library.WebPPictureImportRGB(ctypes.byref(picture), rgb.tobytes(), 3 * rgb.shape[1])

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_uint8), ctypes.c_size_t, ctypes.c_void_p)
    def take(data, size, _):
        out.extend(ctypes.string_at(data, size))
        return 1

    picture.writer = ctypes.cast(take, ctypes.c_void_p)
    assert library.WebPEncode(ctypes.byref(config), ctypes.byref(picture))
    library.WebPPictureFree(ctypes.byref(picture))
    return bytes(out)
