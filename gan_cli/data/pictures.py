"""One picture file -> RGB or grey bytes of one size, whatever its format, palette, depth or transparency."""

import contextlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np
import PIL
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from gan_cli.images import from_pil

# What may be opened: formats that Pillow decodes by itself (EPS, for one, would start another program).
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
MAX_PIXELS = 64_000_000  # read from the header, before anything is decoded
DECODER = f"1, Pillow {PIL.__version__}"  # what else the bytes of a picture depend on; the number is that of this file

Box = tuple[int, int, int, int]
"""Left, top, right and bottom, in pixels as they are stored; the last two lie outside."""

_LARGE = 16_000_000  # pixels of a picture that is decoded while no other large one is: threads do not multiply memory
_alone = threading.Lock()


class Unreadable(Exception):
    """Why a file could not be used."""


@dataclass(frozen=True)
class Picture:
    """A picture as it is used.

    Attributes:
        pixels: uint8 (channels, resolution, resolution).
        animated: whether it is the first of several frames or pages.
    """

    pixels: Tensor
    animated: bool = False


def read(
    file: IO[bytes], channels: int, resolution: int, fit: str, background: Sequence[int], box: Box | None = None
) -> Picture:
    """A picture, decoded whole and resized with antialiasing.

    Transparent pixels show the background: dropping the alpha channel would reveal whatever colour lies under it.
    Of an animation the first frame is taken; a photograph is turned as its camera says.

    Args:
        channels: 3 for RGB, 1 for grey.
        fit: how an oblong picture becomes a square. "stretch" it, "crop" its middle, or "pad" it with the background.
        box: the part that is taken, before the picture is turned; what of it lies outside the picture is left out.

    Raises:
        Unreadable: not a picture, damaged, too large, of an unknown kind, or nothing of it lies in the box.
        OSError, MemoryError: the file could not be read, or not now.
    """
    try:
        with Image.open(file, formats=FORMATS) as picture:
            pixels = picture.width * picture.height
            if pixels > MAX_PIXELS:
                raise Unreadable(f"{picture.width}×{picture.height} pixels, more than {MAX_PIXELS:,}")
            with _alone if pixels > _LARGE else contextlib.nullcontext():
                part = picture if box is None else picture.crop(_within(box, picture))
                flat = _opaque(_eight_bits(ImageOps.exif_transpose(part)), tuple(background))
                square = _square(flat, resolution, fit, tuple(background))
            animated = _has_more(picture)
    except UnidentifiedImageError as error:
        raise Unreadable("not a picture that can be read") from error
    except Image.DecompressionBombError as error:  # Pillow's own limit, which is higher than ours
        raise Unreadable(f"its header claims more than {MAX_PIXELS:,} pixels") from error
    except (Unreadable, MemoryError):
        raise
    except Exception as error:  # a damaged file surfaces as almost anything: OSError, SyntaxError, ValueError, ...
        if isinstance(error, OSError) and error.errno is not None:  # the system's, and no fault of the picture
            raise
        raise Unreadable(f"damaged: {str(error) or type(error).__name__}") from error
    return Picture(from_pil(square.convert("L" if channels == 1 else "RGB")), animated)


def _within(box: Box, picture: Image.Image) -> Box:
    left, top, right, bottom = box
    clipped = (max(left, 0), max(top, 0), min(right, picture.width), min(bottom, picture.height))
    if clipped[0] >= clipped[2] or clipped[1] >= clipped[3]:
        raise Unreadable(f"nothing in its box {box}: the picture has {picture.width}×{picture.height} pixels")
    return clipped


def _square(flat: Image.Image, resolution: int, fit: str, background: tuple[int, ...]) -> Image.Image:
    size = (resolution, resolution)
    match fit:
        case "stretch":
            return flat.resize(size, Image.Resampling.BILINEAR)
        case "crop":
            return ImageOps.fit(flat, size, Image.Resampling.BILINEAR)
        case _:
            scale = resolution / max(flat.size)
            fitting = (max(1, round(flat.width * scale)), max(1, round(flat.height * scale)))
            resized = flat.resize(fitting, Image.Resampling.BILINEAR)
            return ImageOps.pad(resized, size, Image.Resampling.BILINEAR, color=background)


def _has_more(picture: Image.Image) -> bool:
    """Whether frames follow the first; damaged ones follow, too."""
    try:
        return bool(getattr(picture, "is_animated", False))
    except Exception:  # whatever a damaged file makes of the parser; the first frame is whole
        return True


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
