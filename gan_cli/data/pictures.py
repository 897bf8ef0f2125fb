"""One picture file -> RGB or grey bytes of one size, whatever its format, palette, depth or transparency."""

from collections.abc import Sequence
from typing import IO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor

# What may be opened: formats that Pillow decodes by itself (EPS, for one, would start another program).
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
MAX_PIXELS = 64_000_000  # read from the header, before anything is decoded


class Unreadable(Exception):
    """Why a file could not be used."""


def read(file: IO[bytes], channels: int, resolution: int, fit: str, background: Sequence[int]) -> Tensor:
    """A picture as uint8 (channels, resolution, resolution).

    Transparent pixels show the background: dropping the alpha channel would reveal whatever colour lies under it.
    Of an animation the first frame is taken; a photograph is turned as its camera says.

    Args:
        channels: 3 for RGB, 1 for grey.
        fit: how an oblong picture becomes a square. "stretch" it, "crop" its middle, or "pad" it with the background.

    Raises:
        Unreadable: not a picture, damaged, too large, or of an unknown kind.
    """
    try:
        with Image.open(file, formats=FORMATS) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise Unreadable(f"{picture.width}×{picture.height} pixels, more than {MAX_PIXELS:,}")
            flat = _opaque(_eight_bits(ImageOps.exif_transpose(picture)), tuple(background))
    except UnidentifiedImageError as error:
        raise Unreadable("not a picture that can be read") from error
    except Unreadable:
        raise
    except Exception as error:  # a damaged file surfaces as almost anything: OSError, SyntaxError, ValueError, ...
        raise Unreadable(f"damaged: {error}") from error
    size = (resolution, resolution)
    match fit:
        case "stretch":
            square = flat.resize(size, Image.Resampling.BILINEAR)
        case "crop":
            square = ImageOps.fit(flat, size, Image.Resampling.BILINEAR)
        case _:
            scale = resolution / max(flat.size)
            fitting = (max(1, round(flat.width * scale)), max(1, round(flat.height * scale)))
            square = ImageOps.pad(
                flat.resize(fitting, Image.Resampling.BILINEAR),
                size,
                Image.Resampling.BILINEAR,
                color=tuple(background),
            )
    pixels: Tensor = pil_to_tensor(square.convert("L" if channels == 1 else "RGB"))
    return pixels


def _eight_bits(picture: Image.Image) -> Image.Image:
    """16-bit grey scaled to 8 bits; Pillow's own conversion would clip nearly all of it to white."""
    if picture.mode.startswith("I;16"):
        scaled = picture.convert("I").point(lambda value: value / 257).convert("L")
        key = scaled.info.pop("transparency", None)  # a level of 16 bits
        if key is not None:
            scaled.putalpha(Image.fromarray(np.asarray(picture.convert("I")) != key).convert("L"))
        return scaled
    if picture.mode in ("I", "F"):
        raise Unreadable(f"pixels of mode {picture.mode}, whose range is not known")
    return picture


def _opaque(picture: Image.Image, background: tuple[int, ...]) -> Image.Image:
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    canvas = Image.new("RGBA", layer.size, (*background, 255))
    canvas.alpha_composite(layer)
    return canvas.convert("RGB")
