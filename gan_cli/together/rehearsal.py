"""Whether a game of several computes for each what its own game computes: tried, before anything is moved."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gan_cli.errors import Incompatible
from gan_cli.games.gan import GAN, Round
from gan_cli.step import set_trainable

_APART = 0.1  # of the largest entry: far from what rounding does to a gradient that means something


def rehearse(joined: GAN, games: Sequence[GAN]) -> None:
    """Compare the gradients of a first step with those of each game alone; everything stays as it is.

    Args:
        joined: its buffers are those of the games.

    Raises:
        Incompatible: they cannot be computed, or differ. They also do where a gradient is zero but for its rounding,
            of which optimizers that divide by its size make whole steps, in another direction each time.
    """
    before = [(buffer, buffer.clone()) for network in joined.networks.values() for buffer in network.buffers()]
    try:
        _compare(joined, games)
    finally:
        for buffer, value in before:
            buffer.copy_(value)


def _compare(joined: GAN, games: Sequence[GAN]) -> None:
    try:
        of_all = _gradients(joined)
    except Exception as error:  # a network or loss of the user's may do anything
        raise Incompatible(f"their moves cannot be vectorized: {str(error).splitlines()[0]}") from error
    for place, game in enumerate(games):
        for (name, whole), own in zip(of_all.items(), _gradients(game).values(), strict=True):
            if (whole[place] - own).abs().max() > _APART * own.abs().max():
                raise Incompatible(
                    f"vectorized, the gradient of the {name} is another than alone: it is "
                    "rounding and nothing else, or depends on more than this run's tensors"
                )


def _gradients(game: GAN) -> dict[str, Tensor]:
    """By what the players would be moved in a first step, for each parameter; zeros where one has no part in it."""
    set_trainable([game.generator, game.discriminator], True)
    real = game.batches(0)
    fake = game._generate(game.latents("discriminator", 0, len(real.samples)), real, differentiable=True)
    found = {}
    for player, name in ((game.discriminator_player, "discriminator"), (game.generator_player, "generator")):
        loss, _ = player.objective(Round(real, fake, 0, game.streams.draws(name, 0)))
        parameters = dict(game.networks[name].named_parameters())
        gradients = torch.autograd.grad(loss, list(parameters.values()), retain_graph=True, allow_unused=True)
        for (key, parameter), gradient in zip(parameters.items(), gradients, strict=True):
            found[f"{name}'s {key.removeprefix('network.')}"] = (
                torch.zeros_like(parameter) if gradient is None else gradient
            )
    return found
