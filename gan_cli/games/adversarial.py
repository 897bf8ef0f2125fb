"""What a critic and a generator ask of each other, in any game: real and fake told apart, and fakes taken for real."""

from collections.abc import Callable

import torch
from torch import Tensor

from gan_cli.critic import Critic, Logits, mean_logit, over_scales
from gan_cli.losses import AdversarialLoss
from gan_cli.penalties import Penalty
from gan_cli.step import Stats
from gan_cli.streams import Draws

Gather = Callable[[Tensor], Tensor]
"""Of processes that share a batch, puts the rows of all in the place of one's own."""


def told_apart(
    critic: Critic,
    loss: AdversarialLoss,
    penalty: Penalty,
    real: Tensor,
    fake: Tensor,
    labels: Tensor | None,
    turn: int,
    draws: Draws,
    gather: Gather = lambda rows: rows,
) -> tuple[Tensor, Stats, Logits]:
    """What a discriminator minimizes, statistics, and its logits of the real samples.

    Args:
        real, fake: (N, ...), the latter without a gradient.
        labels: (N,) of both, where labels count.
        turn: the number of the discriminator's move, by which a penalty is due.
    """
    real_logits = gathered(critic.seeing(draws.of("real"), labels)(real), gather)
    fake_logits = gathered(critic.seeing(draws.of("fake"), labels)(fake), gather)
    total = over_scales(loss.drawn(draws.whole, len(real_logits[0])).discriminator, real_logits, fake_logits)
    stats = {
        "loss/D": total.detach(),
        "logits/real": mean_logit(real_logits),
        "logits/fake": mean_logit(fake_logits),
    }
    if penalty.due(turn):
        exact = critic.seeing(draws.of("penalty"), labels).exact
        fitted = penalty.fitted(real, gather)
        value = gather(fitted(exact, critic.packs(real), critic.packs(fake), draws)).mean()
        total = total + penalty.every * value
        stats["penalty/D"] = value.detach()
    return total, stats, real_logits


def taken_for_real(
    critic: Critic,
    loss: AdversarialLoss,
    real: Tensor,
    fake: Tensor,
    labels: Tensor | None,
    draws: Draws,
    gather: Gather = lambda rows: rows,
) -> Tensor:
    """What a generator minimizes before a critic that stands still; real samples count if the loss is relativistic."""
    logits = [gathered(critic.seeing(draws.of("fake"), labels)(fake), gather)]
    if loss.relativistic:
        logits.append(gathered(critic.seeing(draws.of("real"), labels)(real), gather))
    return over_scales(loss.drawn(draws.whole, len(logits[0][0])).generator, *logits)


def margins(loss: AdversarialLoss, real_logits: Logits, packing: int) -> Tensor:
    """How a loss reads the logits of real samples, of every sample of a pack: (N, numbers of all scales)."""
    told = [loss.margin(logits.detach()) for logits in real_logits]
    return torch.cat([margin for margin in told if margin is not None], 1).repeat_interleave(packing, 0)


def gathered(logits: Logits, gather: Gather) -> Logits:
    """The logits of all processes, scale by scale."""
    return tuple(gather(scale) for scale in logits)
