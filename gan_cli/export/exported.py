"""A generator on its way out, with all that those who run it must be told."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gan_cli.latents import Latents

FORMAT = 1
"""Of the facts that `Exported.metadata` puts into a file; a higher one may mean something else by the same names."""


@dataclass(frozen=True)
class Exported:
    """What a file of either format holds.

    Attributes:
        generator: settled (`Sampler.settle`), on the CPU: a function of latents and labels.
        architecture: its class as `_target_`, and the arguments that it is called with.
        latents: what it was trained on, with the seed of the samples shown.
        sample_shape: (C, H, W) or (D,).
        classes: the names of those that it takes labels of; none where it takes no labels.
        step: after which the weights were saved.
        seed: of the run.
        weights: "ema" for the average of the generator, "raw" for the generator itself.
        batch_norm: "eval" for running averages, "batch" for the statistics of one fixed batch in their place.
        source: SHA-256 of the checkpoint.
        version: of gan-cli.
    """

    generator: nn.Module
    architecture: Mapping[str, Any]
    latents: Latents
    sample_shape: tuple[int, ...]
    classes: tuple[str, ...]
    step: int
    seed: int
    weights: str
    batch_norm: str
    source: str
    version: str

    @property
    def is_images(self) -> bool:
        """Whether samples are images rather than vectors."""
        return len(self.sample_shape) == 3

    @property
    def input_names(self) -> tuple[str, ...]:
        """Latents (N, dim) float32 and, of a conditional generator, labels (N,) int64."""
        return ("latents", "labels") if self.classes else ("latents",)

    @property
    def output_name(self) -> str:
        """What the samples (N, *sample_shape) are called."""
        return "images" if self.is_images else "samples"

    def inputs(self, count: int) -> tuple[Tensor, ...]:
        """Latents, and labels of every class in turn: what to try the generator with."""
        latents = self.latents("export", 0, count)
        return (latents, torch.arange(count) % len(self.classes)) if self.classes else (latents,)

    @torch.no_grad()
    def outputs(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """What the generator makes of them."""
        samples: Tensor = self.generator(*inputs)
        return samples

    def metadata(self) -> dict[str, str]:
        """The facts that stand in the file itself. What is no text is JSON."""
        architecture = dict(self.architecture)
        facts = {
            "format": FORMAT,
            "class": architecture.pop("_target_"),
            "arguments": architecture,
            "latent_dim": self.latents.dim,
            "latent_distribution": self.latents.distribution,
            "sample_shape": self.sample_shape,
            "value_range": [-1, 1] if self.is_images else None,
            "classes": self.classes,
            "weights": self.weights,
            "batch_norm": self.batch_norm,
            "step": self.step,
            "seed": self.seed,
            "source_sha256": self.source,
        }
        texts = {name: fact if isinstance(fact, str) else json.dumps(fact) for name, fact in facts.items()}
        return {"producer": f"gan-cli {self.version}"} | texts
