"""ADA: augmentation that is as likely as the discriminator's overfitting asks for."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from gan_cli.augment import Augment
from gan_cli.augment.color import Color, recolored
from gan_cli.augment.geometry import Geometry, resampled
from gan_cli.bounds import bounded
from gan_cli.streams import Draws


@dataclass(frozen=True)
class ADA(Augment):
    """Each of the changes of `Geometry` and `Color` with probability p, for each image and change on its own.

    These are the paper's "bgc": pixel blitting, general geometry and color. A single map moves the pixels, with
    bilinear interpolation; the paper resamples between orthogonal wavelets at twice the resolution, which blurs and
    aliases less. Around the image stands its mirror image, as in the paper. Grey images have no hue or saturation.

    Args:
        p: the probability at the start; below about 0.8 the generator does not learn to augment (section 2.2).
        target: of r_t = E[sign(D(real))], the share of real samples taken for real less that of those taken for fakes;
            p grows while r_t is above. None: p stays as it is given.
        every: of how many of the discriminator's updates p is adjusted after one.
        images: real images in which p moves by 1.

    Attributes:
        adaptive: p as it is now, where there is a target.

    Raises:
        ValueError: `target` is neither a number nor None.

    Source: Karras et al. 2020, arXiv:2006.06676, section 3 and appendix B.
    """

    p: float = bounded(0.0, ge=0, le=1)
    target: float | None = bounded(0.6, gt=0, lt=1)
    every: int = bounded(4, ge=1)
    images: int = bounded(500_000, ge=1)
    adaptive: "Adaptation | None" = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        if self.target is None:
            return
        if isinstance(self.target, bool) or not isinstance(self.target, int | float):
            raise ValueError(f"target must be a number, or null for a p that stays, got {self.target!r}")
        object.__setattr__(self, "adaptive", Adaptation(self.p, self.target, self.every, self.images))

    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        p = self.p if self.adaptive is None else self.adaptive.p
        way_back = Geometry.drawn(draws, len(images), p).way_back(*images.shape[2:])
        seen = recolored(resampled(images, way_back), Color.drawn(draws, len(images), p))
        return seen.to(images.dtype)  # computed in float32 at least, as the draws are

    def observe(self, margins: Tensor) -> None:
        if self.adaptive is not None:
            self.adaptive.observe(margins)

    def stats(self) -> dict[str, Tensor]:
        """What there is to log: p and the r_t by which it was last adjusted, 0 before; nothing where p stays."""
        if self.adaptive is None:
            return {}
        return {"augment/p": self.adaptive.p.clone(), "augment/r_t": self.adaptive.r_t.clone()}  # they move in place


class Adaptation(nn.Module):
    """The probability p, which follows how far the discriminator is ahead of its training data.

        p ← clamp(p + sign(r_t - target) · n / images, 0, 1)        r_t = mean of sign(D(real)) over n real samples

    after every so many updates, n being the samples of these. What it knows is in buffers, and nothing waits for them.

    Args:
        p, target, every, images: see `ADA`.

    Attributes:
        p: (), float32.
        r_t: (), of the last adjustment.

    Source: Karras et al. 2020, arXiv:2006.06676, section 3, equation (1).
    """

    p: Tensor
    r_t: Tensor
    signs: Tensor
    samples: Tensor
    updates: Tensor

    def __init__(self, p: float, target: float, every: int, images: int) -> None:
        super().__init__()
        self._target, self._every, self._images = target, every, images
        self.register_buffer("p", torch.tensor(float(p)))
        self.register_buffer("r_t", torch.tensor(0.0))
        self.register_buffer("signs", torch.tensor(0.0))
        self.register_buffer("samples", torch.tensor(0))
        self.register_buffer("updates", torch.tensor(0))

    @torch.no_grad()
    def observe(self, margins: Tensor) -> None:
        """Take in one update of the discriminator: the margins (N, P) of its real samples."""
        self.signs += margins.sign().mean(1).sum()
        self.samples += len(margins)
        self.updates += 1
        due = self.updates >= self._every
        r_t = self.signs / self.samples
        moved = (self.p + (r_t - self._target).sign() * self.samples / self._images).clamp(0, 1)
        self.p.copy_(torch.where(due, moved, self.p))
        self.r_t.copy_(torch.where(due, r_t, self.r_t))
        for total in (self.signs, self.samples, self.updates):
            total.masked_fill_(due, 0)
