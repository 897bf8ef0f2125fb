"""What a game is made of that keeps several from being one, seen from its parts."""

from collections.abc import Iterator

import torch
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from gan_cli.augment.none import NoAugment
from gan_cli.games.gan import GAN
from gan_cli.losses import AdversarialLoss
from gan_cli.streams import Draws
from gan_cli.traits import is_spectral

_LOGITS = 64  # of a loss that is looked at
_ROUNDING = 1e-5  # of a sum of as many numbers


def obstacle_in(game: GAN) -> str | None:
    """Why a game cannot be stacked; None where nothing known of it is against it."""
    return next(_obstacles(game), None)


def _obstacles(game: GAN) -> Iterator[str]:
    for module in (*game.generator.modules(), *game.discriminator.modules()):
        name = type(module).__name__
        if isinstance(module, _DropoutNd):
            yield f"{name} draws from one generator for all runs"
        if isinstance(module, _BatchNorm):
            yield f"the gradient of a bias before {name} is rounding alone, of which an optimizer makes whole steps"
        if is_spectral(module):
            yield f"the spectral norm of {name} changes its vectors in a way that torch.func.vmap does not follow"
    if type(game.view.augment) is not NoAugment:
        yield f"the augmentation {type(game.view.augment).__name__} is not known to keep runs apart"
    if _is_blind_to_shifts(game.loss, game.streams.draws("rehearsal", 0)):
        yield (
            f"the loss {type(game.loss).__name__} measures logits from their averages, so that the gradient of what "
            "shifts them all is rounding alone, of which an optimizer makes whole steps"
        )


def _is_blind_to_shifts(loss: AdversarialLoss, draws: Draws) -> bool:
    """Whether adding a number to all logits changes nothing, and that shows in rounded sums alone.

    Between pairs of samples it shows exactly: what one logit of a pair adds to a sum, the other takes away.
    """
    real, fake = (draws.normal(name, (_LOGITS, 1)).requires_grad_() for name in ("real", "fake"))
    up, down = torch.autograd.grad(loss.drawn(draws, _LOGITS).discriminator(real, fake), (real, fake))
    shift = (up.sum() + down.sum()).abs()
    return bool(shift <= _ROUNDING * up.abs().sum()) and not torch.equal(up, -down)
