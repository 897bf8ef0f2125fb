"""Samples as pictures: PNG files, grids, an animation."""

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor, to_pil_image
from torchvision.utils import make_grid

from gan_cli.files import replacing

_CELL = 56  # pixels: small images are enlarged in grids so that a person can see them
_MAX_FRAMES = 200
_FRAME_MS, _LAST_FRAME_MS = 150, 1500


def to_bytes(images: Tensor) -> Tensor:
    """[-1, 1] float images -> uint8 0..255, rounded; values outside are clipped."""
    return images.float().add(1).mul(127.5).round().clamp(0, 255).byte().cpu()


def png(image: Tensor) -> bytes:
    """A uint8 (C, H, W) image as PNG; RGB for three channels, grey for one."""
    buffer = io.BytesIO()
    to_pil_image(image).save(buffer, "PNG")
    return buffer.getvalue()


def grid(images: Tensor, columns: int | None = None) -> Tensor:
    """Images (N, C, H, W) in [-1, 1] side by side: uint8 (C, rows · height, columns · width), as square as it gets.

    Images below 56 pixels are enlarged by a whole factor, without smoothing.
    """
    return grid_of_bytes(to_bytes(images), columns)


def grid_of_bytes(images: Tensor, columns: int | None = None) -> Tensor:
    """`grid` of uint8 images."""
    columns = columns or max(1, round(len(images) ** 0.5))
    factor = max(1, -(-_CELL // images.shape[-1]))
    enlarged = images.repeat_interleave(factor, -1).repeat_interleave(factor, -2)
    tiled: Tensor = make_grid(enlarged, nrow=columns, padding=2)  # always three channels
    return tiled[:1] if images.shape[1] == 1 else tiled


def save_png(path: Path, image: Tensor) -> None:
    """Write a uint8 (C, H, W) image."""
    with replacing(path, durable=False) as file:
        file.write(png(image))


def read_png(path: Path) -> Tensor | None:
    """A uint8 (C, H, W) image of ours; None where there is none."""
    picture = _opened(path)
    image: Tensor | None = None if picture is None else pil_to_tensor(picture)
    return image


def _opened(path: Path) -> Image.Image | None:
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            picture.load()
            return picture
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def save_animation(path: Path, frames: Sequence[Path]) -> None:
    """The pictures in order as a looping WebP; of more than 200, every n-th and the last.

    What is no picture, or of another size than the last, is left out.
    """
    stride = -(-len(frames) // _MAX_FRAMES) or 1
    pictures = [picture for frame in (*frames[:-1:stride], *frames[-1:]) if (picture := _opened(frame))]
    pictures = [picture for picture in pictures if picture.size == pictures[-1].size]
    if not pictures:
        return
    first, *rest = pictures
    duration = [_FRAME_MS] * len(rest) + [_LAST_FRAME_MS]
    with replacing(path) as file:
        first.save(file, "WEBP", save_all=True, append_images=rest, duration=duration, loop=0, quality=80)
