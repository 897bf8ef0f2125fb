"""Points in the plane as a picture of few pixels."""

import torch
from torch import Tensor

_REAL, _GENERATED = (70, 95, 130), (255, 150, 60)  # RGB; where both are, the sum is nearly white
_MARGIN = 0.25  # of the real points' extent, on each side
_FULL = 4  # points in a pixel that give it its full color


def cloud(real: Tensor, generated: Tensor, height: int, width: int) -> Tensor:
    """Real points dim and blue, generated ones bright and orange, (N, D ≥ 2) by their first two coordinates:
    uint8 (3, height, width).

    The frame is that of the real points; what lies outside is not shown.
    """
    finite = real[:, :2].double().cpu()
    finite = finite[finite.isfinite().all(1)]
    low, high = (finite if len(finite) else torch.zeros(1, 2)).double().aminmax(dim=0)
    margin = (_MARGIN * (high - low)).maximum(1e-3 * torch.maximum(low.abs(), high.abs()).clamp(min=1))
    picture = torch.zeros(3, height, width, dtype=torch.float64)
    for points, color in ((real, _REAL), (generated, _GENERATED)):
        place = (points[:, :2].double().cpu() - (low - margin)) / (high - low + 2 * margin)
        inside = place[((place >= 0) & (place < 1)).all(1)]
        column, row = (inside * torch.tensor([width, height])).long().unbind(1)
        counts = torch.zeros(height * width, dtype=torch.float64)
        counts.index_add_(0, (height - 1 - row) * width + column, torch.ones(len(inside), dtype=torch.float64))
        strength = (counts / _FULL).clamp(max=1).sqrt().view(1, height, width)
        picture += strength * torch.tensor(color, dtype=torch.float64).view(3, 1, 1)
    return picture.round().clamp(max=255).byte()
