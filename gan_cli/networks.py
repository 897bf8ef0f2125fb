"""The networks of a configuration: built, or rebuilt from a checkpoint, for the shape and the classes of the data."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from gan_cli.checkpoint import Checkpoint
from gan_cli.data.dataset import Dataset
from gan_cli.errors import Refused
from gan_cli.latents import Latents
from gan_cli.models.initialize import initialize
from gan_cli.objective import check_part
from gan_cli.parse import parse_stored
from gan_cli.sampling import Sampler
from gan_cli.schema import BatchNormMode, Conditional, Config, GameName, Weights
from gan_cli.streams import Streams
from gan_cli.target_options import SELF_DECLARING
from gan_cli.targets import Trust, accepts, create

_MEMBERS: dict[GameName, dict[str, tuple[str, ...]]] = {
    GameName.gan: {},
    GameName.cyclegan: {"generator": ("a2b", "b2a"), "discriminator": ("a", "b")},
}
"""Of the games that play with several networks of one kind: what each is called, by the kind."""

_INSTEAD = {
    GameName.gan: "the generator of this run draws samples and translates nothing: gan-sample checkpoint=RUN",
    GameName.cyclegan: (
        "the generators of this run translate pictures (game=cyclegan): "
        "gan-translate checkpoint=RUN input=DIR out=DIR direction=a2b"
    ),
}
"""What to type of a run of each game, where a command is for runs of another."""


@dataclass(frozen=True)
class DataFacts:
    """What networks must know of the data.

    Attributes:
        sample_shape: (C, H, W) or (D,).
        classes: their names; none where the data have no labels.
    """

    sample_shape: tuple[int, ...]
    classes: tuple[str, ...] = ()

    @classmethod
    def of(cls, dataset: Dataset) -> "DataFacts":
        """Those of data at hand."""
        return cls(dataset.sample_shape, dataset.classes if dataset.labels is not None else ())

    @classmethod
    def stored(cls, checkpoint: Checkpoint) -> "DataFacts":
        """Those that a checkpoint tells of; the file may be anyone's.

        Raises:
            Refused: it tells nonsense.
        """
        shape, classes = checkpoint.facts.get("sample_shape"), checkpoint.facts.get("classes", [])
        if not isinstance(shape, list) or not all(type(size) is int and size > 0 for size in shape):
            raise Refused(f"the checkpoint's sample_shape must be a list of sizes, got {str(shape)[:80]}")
        if not isinstance(classes, list) or not all(type(name) is str for name in classes):
            raise Refused(f"the checkpoint's classes must be a list of names, got {str(classes)[:80]}")
        check_shape(tuple(shape))
        return cls(tuple(shape), tuple(classes))

    def classes_for(self, config: Config) -> tuple[str, ...]:
        """The classes that the networks of a configuration take labels of; none where they take no labels."""
        return self.classes if config.model.conditional is not Conditional.none else ()

    def check_labelled(self, config: Config) -> None:
        """Raise `Refused` where a conditional model is to learn from data without labels."""
        how = config.model.conditional
        if how is not Conditional.none and not self.classes:
            raise Refused(
                f"model.conditional={how.name} needs labels, and these data ({config.data.source['_target_']}) have "
                "none: model.conditional=none, or data=mnist, or a folder whose sub-folders name the classes"
            )


def check_shape(sample_shape: tuple[int, ...]) -> None:
    """Raise `Refused` unless samples are images of one or three channels, or vectors of two numbers or more."""
    if not ((len(sample_shape) == 1 and sample_shape[0] > 1) or (len(sample_shape) == 3 and sample_shape[0] in (1, 3))):
        raise Refused(
            "samples must be grey or RGB images, (1 or 3, H, W), or vectors of two numbers or more: "
            f"their sample_shape is {str(sample_shape)[:80]}"
        )


def build_generator(config: Config, data: DataFacts, streams: Streams, trusted: Trust = None) -> nn.Module:
    """The generator with its initial weights, on torch's current device; of a game with several, a ModuleDict."""
    return _of_game(config, "generator", data, streams, trusted)


def build_discriminator(config: Config, data: DataFacts, streams: Streams, trusted: Trust = None) -> nn.Module:
    """The discriminator with its initial weights, on torch's current device; it takes packs of samples. Of a game with
    several, a ModuleDict."""
    return _of_game(config, "discriminator", data, streams, trusted)


def generator_arguments(config: Config, data: DataFacts, trusted: Trust = None) -> dict[str, Any]:
    """All that the generator's class, here `_target_`, is called with."""
    return config.model.generator | _facts(config, "generator", data, trusted)


def packing(config: Config) -> int:
    """How many samples the discriminator judges together."""
    return int(config.model.discriminator.get("packing", 1))


def _of_game(config: Config, name: str, data: DataFacts, streams: Streams, trusted: Trust) -> nn.Module:
    members = _MEMBERS[config.game.name].get(name)
    if members is None:
        return _network(config, name, f"init/{name}", data, streams, trusted)
    made = {member: _network(config, name, f"init/{name}/{member}", data, streams, trusted) for member in members}
    return nn.ModuleDict(made)


def _network(config: Config, name: str, purpose: str, data: DataFacts, streams: Streams, trusted: Trust) -> nn.Module:
    """A network with the initial weights that the purpose's random numbers give it."""
    node, path = dict(getattr(config.model, name)), f"model.{name}"
    facts = _facts(config, name, data, trusted)
    if name == "discriminator":
        node.pop("packing", None)
    with streams.modules(purpose):
        network = create(node, path, trusted, **facts)
        if not isinstance(network, nn.Module):
            raise Refused(f"{path}._target_: {node['_target_']} must be a torch.nn.Module")
        initialize(network, config.model.init.name, config.model.init_std)
    return network


def _facts(config: Config, name: str, data: DataFacts, trusted: Trust) -> dict[str, Any]:
    """What a network is told besides its options: of the latents, the data and the labels."""
    channels, *sizes = data.sample_shape
    joined = packing(config) if name == "discriminator" else 1
    facts: dict[str, Any] = {}
    if name == "generator" and config.latent is not None:  # without latents it starts from pictures
        facts = {"latent_dim": config.latent.dim}
    facts |= {"sample_shape": (joined * channels, *sizes)}
    if config.model.conditional is not Conditional.none:
        facts |= {"num_classes": len(data.classes)}
        target = getattr(config.model, name)["_target_"]
        if accepts(target, "conditional", f"model.{name}", trusted):  # a network of the user's own may know its way
            facts |= {"conditional": config.model.conditional.name}
    return facts


def restore_generator(
    stored: Checkpoint, trusted: Collection[str], weights: Weights | None = None
) -> tuple[Config, nn.Module]:
    """The trained generator of a checkpoint, which draws samples, and its configuration, from that file alone.

    The file may be anyone's: its configuration is checked as if it were typed, may only name trusted classes, and is
    compared with the stored weights before memory is taken for it.

    Args:
        weights: the generator's own or its average; None takes the average where there is one.

    Raises:
        Refused: the configuration is not valid or not trusted, or does not fit the weights, there is no average, or the
            run is of a game whose generators draw nothing.
    """
    return _restored(stored, trusted, weights, GameName.gan)


def restore_translators(
    stored: Checkpoint, trusted: Collection[str], weights: Weights | None = None
) -> tuple[Config, nn.ModuleDict]:
    """The trained generators of a CycleGAN's checkpoint, "a2b" and "b2a", and its configuration; as
    `restore_generator`."""
    config, generators = _restored(stored, trusted, weights, GameName.cyclegan)
    assert isinstance(generators, nn.ModuleDict)
    return config, generators


def _restored(
    stored: Checkpoint, trusted: Collection[str], weights: Weights | None, game: GameName
) -> tuple[Config, nn.Module]:
    config = parse_stored(stored.config)
    if config.game.name is not game:
        raise Refused(_INSTEAD[config.game.name])
    for path in ("loss", "penalty", "augment"):
        if getattr(config, path)["_target_"].startswith(SELF_DECLARING):
            check_part(config, path, trusted)  # not needed here, but its values are checked nowhere else
    averaged = config.ema.half_life is not None
    if weights is Weights.ema and not averaged:
        raise Refused("weights=ema: the run kept no average of its generator (ema.half_life was null): weights=raw")
    name = "ema" if averaged and weights is not Weights.raw else "generator"
    data = check_fit(stored, config, trusted, networks=(name,))
    generator = build_generator(config, data, Streams(config.seed, torch.device("cpu")), trusted)
    stored.load_network(name, generator)
    return config, generator


def sampler_of(stored: Checkpoint, config: Config, generator: nn.Module, streams: Streams) -> Sampler:
    """What draws from a restored generator; the seed of the streams is the samples'."""
    return build_sampler(config, generator, DataFacts.stored(stored), streams)


def build_sampler(config: Config, generator: nn.Module, data: DataFacts, streams: Streams) -> Sampler:
    """What draws from a generator as its configuration says; the seed of the streams is the samples'."""
    assert config.latent is not None
    return Sampler(
        generator,
        Latents(config.latent.dim, config.latent.distribution.name, streams),
        num_classes=len(data.classes_for(config)),
        batch_statistics=config.sampling.batch_norm is BatchNormMode.batch,
    )


def check_fit(
    stored: Checkpoint,
    config: Config,
    trusted: Trust,
    networks: Collection[str] = ("generator", "discriminator"),
) -> DataFacts:
    """Compare the networks that a configuration makes with a checkpoint's, on the meta device, which takes no memory.

    Returns:
        What the checkpoint knows of the data.

    Raises:
        Refused: they differ, or the configuration makes none.
    """
    data = DataFacts.stored(stored)
    data.check_labelled(config)
    streams = Streams(config.seed, torch.device("cpu"))
    makers = {"generator": build_generator, "ema": build_generator, "discriminator": build_discriminator}
    for name in networks:
        try:
            with torch.device("meta"):
                network = makers[name](config, data, streams, trusted)
        except (RuntimeError, OverflowError, TypeError) as error:  # sizes that no tensor can have
            raise Refused(f"the checkpoint's configuration makes no {name}: {str(error).splitlines()[0]}") from error
        stored.check_network(name, network)
    return data
