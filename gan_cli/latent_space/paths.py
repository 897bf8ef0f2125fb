"""From one latent to another without leaving where latents of their distribution lie."""

from collections.abc import Callable

import torch
from torch import Tensor

Way = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(a, b, t) -> the latents at t between a, t = 0, and b, t = 1; shapes as of `slerp`."""

_TINY = 1e-300


def path_for(distribution: str) -> Way:
    """The path that suits latents of a distribution.

    Normal latents of d dimensions lie near a sphere of radius √d, which a straight line would leave. Uniform ones fill
    a cube, which an arc would leave.
    """
    return slerp if distribution == "normal" else lerp


def lerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """The straight line (1 - t) a + t b; between each coordinate of a and of b. Arguments are those of `slerp`."""
    t = t[..., None].double()
    found = ((1 - t) * a.double() + t * b.double()).to(a.dtype)
    return _with_ends(found, a, b, t)


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """The great arc from the direction of a to that of b, with the norm going evenly from |a| to |b|.

        ((1 - t) |a| + t |b|) (u cos tΩ + e sin tΩ),  u = a/|a|,  e ⊥ u the direction in which b lies,  Ω the angle

    The angle from a is t Ω. Of opposite directions one of the many arcs is taken, always the same; in one dimension
    there is none, and the way leads through zero. A zero has the direction of the other end.

    Args:
        a, b: (..., d), broadcast with each other and with t.
        t: (...), from 0 to 1.

    Returns:
        (..., d), in the type of a; exactly a and b at the ends.

    Source: Shoemake 1985, "Animating rotation with quaternion curves"; for latents White 2016, arXiv:1609.04468, whose
    formula weighs a and b themselves by sin (1-t)Ω and sin tΩ: the same where |a| = |b|.
    """
    t = t[..., None].double()
    x, y = a.double(), b.double()
    norm_x, norm_y = x.norm(dim=-1, keepdim=True), y.norm(dim=-1, keepdim=True)
    u, v = x / norm_x.clamp(min=_TINY), y / norm_y.clamp(min=_TINY)
    u, v = torch.where(norm_x > 0, u, v), torch.where(norm_y > 0, v, u)
    # Kahan's angle: precise near 0 and π, too, where the arccosine is not.
    angle = 2 * torch.atan2((u - v).norm(dim=-1, keepdim=True), (u + v).norm(dim=-1, keepdim=True))
    across = _unit(_rejected(_rejected(v, u), u))  # twice, for what rounding leaves of u
    found = ((1 - t) * norm_x + t * norm_y) * (u * (t * angle).cos() + across * (t * angle).sin())
    return _with_ends(found.to(a.dtype), a, b, t)


def _rejected(v: Tensor, u: Tensor) -> Tensor:
    """What of v is orthogonal to u; where v is parallel to it, of the axis that u is least along."""
    axis = torch.nn.functional.one_hot(u.abs().argmin(-1), u.shape[-1]).to(u.dtype)
    across = v - (v * u).sum(-1, keepdim=True) * u
    other = axis - (axis * u).sum(-1, keepdim=True) * u
    return torch.where(across.norm(dim=-1, keepdim=True) > 1e-12, across, other)


def _unit(v: Tensor) -> Tensor:
    norm = v.norm(dim=-1, keepdim=True)
    return torch.where(norm > 1e-12, v / norm.clamp(min=_TINY), torch.zeros_like(v))


def _with_ends(found: Tensor, a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    return torch.where(t == 0, a, torch.where(t == 1, b, found))
