"""Generators on their way out, of the networks that configurations make."""

from collections.abc import Sequence

import torch
from torch import nn

from gan_cli.export.exported import Exported
from gan_cli.latents import Latents
from gan_cli.networks import DataFacts, build_generator, build_sampler, generator_arguments
from gan_cli.schema import Config
from gan_cli.streams import Streams

STREAMS = Streams(0, torch.device("cpu"))


def exported(config: Config, shape: Sequence[int], classes: Sequence[str] = ()) -> Exported:
    """The generator of a configuration, with numbers everywhere that initial ones would not tell from none."""
    data = DataFacts((*shape,), (*classes,))
    generator = build_generator(config, data, STREAMS)
    torch.manual_seed(0)
    for name, tensor in generator.state_dict().items():
        if tensor.is_floating_point():
            tensor.add_(
                0.1 * torch.randn_like(tensor).abs() if "running_var" in name else 0.1 * torch.randn_like(tensor)
            )
    build_sampler(config, generator, data, STREAMS).settle()
    return of_network(generator, generator_arguments(config, data), config.latent.dim, data, config)


def of_network(
    generator: nn.Module, architecture: dict[str, object], dim: int, data: DataFacts, config: Config | None = None
) -> Exported:
    """A network of any kind."""
    return Exported(
        generator=generator.eval(),
        architecture=architecture,
        latents=Latents(dim, "normal", STREAMS),
        sample_shape=data.sample_shape,
        classes=data.classes_for(config) if config else data.classes,
        step=3,
        seed=1,
        weights="raw",
        batch_norm="eval",
        source="0" * 64,
        version="0",
    )
