"""Samples as pictures: PNG files, grids, scatter plots, an animation."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor, to_pil_image
from torchvision.utils import make_grid

from gan_cli.files import replacing

_CELL = 56  # pixels: small images are enlarged in grids so that a person can see them
_COLORS = ("#9aa5b1", "#d1495b")
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
    columns = columns or max(1, round(len(images) ** 0.5))
    factor = max(1, -(-_CELL // images.shape[-1]))
    enlarged = to_bytes(images).repeat_interleave(factor, -1).repeat_interleave(factor, -2)
    tiled: Tensor = make_grid(enlarged, nrow=columns, padding=2)  # always three channels
    return tiled[:1] if images.shape[1] == 1 else tiled


def scatter(groups: Mapping[str, Tensor], title: str = "") -> Tensor:
    """Points (N, D ≥ 2) of each named group in their first two coordinates: uint8 (3, H, W).

    The axes are fixed by the first group, so that successive plots compare; points outside are not shown.
    """
    # Only vectors need matplotlib, and importing it takes half a second.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), dpi=100, layout="tight")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for (name, points), color in zip(groups.items(), _COLORS, strict=False):
        axes.scatter(points[:, 0].tolist(), points[:, 1].tolist(), s=6, color=color, label=name)
    framing = next(iter(groups.values()))[:, :2].cpu().double()
    finite = framing[framing.isfinite().all(1)]
    low, high = (finite if len(finite) else torch.zeros(1, 2)).aminmax(dim=0)
    margin = (0.25 * (high - low)).maximum(1e-3 * torch.maximum(low.abs(), high.abs()).clamp(min=1))
    axes.set_xlim(float(low[0] - margin[0]), float(high[0] + margin[0]))
    axes.set_ylim(float(low[1] - margin[1]), float(high[1] + margin[1]))
    axes.legend(loc="upper left")
    axes.set_title(title, fontsize="medium")
    canvas.draw()
    width, height = canvas.get_width_height()
    rgba = torch.frombuffer(bytearray(canvas.buffer_rgba()), dtype=torch.uint8).reshape(height, width, 4)
    return rgba[..., :3].permute(2, 0, 1).contiguous()


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
