"""A closed way through several latents."""

import torch
from torch import Tensor

from gan_cli.latent_space.paths import Way


def loop(stops: Tensor, steps: int, path: Way) -> Tensor:
    """Latents on the way through all stops and back to the first, from frame to frame.

    The speed falls to zero at each stop and rises again (3s² - 2s³ of the way at the time s), so that the way has no
    corners in time. The step after the last leads to the first: played again and again it has no seam.

    Args:
        stops: (K, ..., d).
        steps: from one stop to the next.
        path: between two of them.

    Returns:
        (K · steps, ..., d); number k · steps is stop k.
    """
    time = torch.arange(steps, device=stops.device, dtype=torch.float64) / steps
    eased = time.square() * (3 - 2 * time)
    following = stops.roll(-1, 0)
    way = path(stops[:, None], following[:, None], eased.reshape(1, steps, *[1] * (stops.dim() - 2)))
    return way.flatten(0, 1)
