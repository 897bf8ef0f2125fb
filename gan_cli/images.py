"""Samples as pictures: PNG files, grids, an animation."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gan_cli.files import replacing

_CELL = 56  # pixels: small images are enlarged in grids so that a person can see them
_GAP = 2  # black pixels around each image of a grid
_MAX_FRAMES = 200
_FRAME_MS, _LAST_FRAME_MS = 150, 1500


def to_bytes(images: Tensor) -> Tensor:
    """[-1, 1] float images -> uint8 0..255, rounded; values outside are clipped."""
    return images.float().add(1).mul(127.5).round().clamp(0, 255).byte().cpu()


def png(image: Tensor) -> bytes:
    """A uint8 (C, H, W) image as PNG; RGB for three channels, grey for one."""
    buffer = io.BytesIO()
    to_pil(image).save(buffer, "PNG")
    return buffer.getvalue()


def to_pil(image: Tensor) -> Image.Image:
    """A uint8 (C, H, W) image as a picture: RGB of three channels, grey of one."""
    rows = image.permute(1, 2, 0).numpy()
    return Image.fromarray(rows[:, :, 0] if len(image) == 1 else rows)


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
    count, channels, height, width = enlarged.shape
    columns = min(columns, count)
    down, across = height + _GAP, width + _GAP
    tiled = torch.zeros(channels, -(-count // columns) * down + _GAP, columns * across + _GAP, dtype=torch.uint8)
    for number, image in enumerate(enlarged):
        row, column = divmod(number, columns)
        tiled[:, row * down + _GAP : (row + 1) * down, column * across + _GAP : (column + 1) * across] = image
    return tiled


def save_png(path: Path, image: Tensor) -> None:
    """Write a uint8 (C, H, W) image."""
    with replacing(path, durable=False) as file:
        file.write(png(image))


def read_png(path: Path) -> Tensor | None:
    """A uint8 (C, H, W) image of ours; None where there is none."""
    picture = _opened(path)
    return None if picture is None else from_pil(picture)


def from_pil(picture: Image.Image) -> Tensor:
    """A grey or RGB picture as uint8 (C, H, W)."""
    pixels = torch.from_numpy(np.array(picture))
    return pixels.unsqueeze(0) if pixels.dim() == 2 else pixels.permute(2, 0, 1).contiguous()


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
    content = _webp(pictures, [_FRAME_MS] * (len(pictures) - 1) + [_LAST_FRAME_MS])
    with replacing(path) as file:
        file.write(content)


def animation(frames: Sequence[Tensor], frame_ms: int, last_ms: int | None = None) -> bytes:
    """uint8 (C, H, W) pictures of one size as a looping WebP, `frame_ms` each; the last one for `last_ms`."""
    return _webp([to_pil(frame) for frame in frames], [frame_ms] * (len(frames) - 1) + [last_ms or frame_ms])


def _webp(pictures: Sequence[Image.Image], duration: list[int]) -> bytes:
    buffer = io.BytesIO()
    first, *rest = pictures
    first.save(buffer, "WEBP", save_all=True, append_images=rest, duration=duration, loop=0, quality=80)
    return buffer.getvalue()
