"""The figures of a run that has ended, by their names."""

import json
import math
from functools import cached_property
from statistics import fmean
from typing import Any

import torch

from gan_cli.evaluation.point_evaluator import exact_moments
from gan_cli.losses import AdversarialLoss
from gan_cli.metrics.frechet import Moments
from gan_cli.run import Run
from gan_cli.verification.expectations import Figure

_SAMPLES = 10_000
_BATCH = 256


class Measured:
    """What a run came to.

    parameters/NETWORK: its number of parameters.
    blind/loss/D, blind/loss/G: the losses where every logit is 0, in float64: a discriminator that knows nothing.
    fitted/mean/I, fitted/covariance/I/J: of the generated points; an affine generator's exactly, from its weights.
    Any other name: the mean over the lines of metrics.jsonl within the figure's steps, or the last that has it.

    Args:
        loss: of the run.
    """

    def __init__(self, run: Run, loss: AdversarialLoss) -> None:
        self._run, self._loss = run, loss
        self._lines: list[dict[str, Any]] = [json.loads(line) for line in run.directory.metric_lines()]

    def __call__(self, figure: Figure) -> float:
        """nan where nothing of that name was seen."""
        match figure.name.split("/"):
            case ["parameters", network]:
                return self._run.parameters().get(network, math.nan)
            case ["blind", "loss", player]:
                return self._blind.get(player, math.nan)
            case ["fitted", "mean", place]:
                return float(self._fitted.mean[int(place)])
            case ["fitted", "covariance", row, column]:
                return float(self._fitted.covariance[int(row), int(column)])
        told = [(line["step"], line[figure.name]) for line in self._lines if line.get(figure.name) is not None]
        first, last = figure.steps or (told[-1][0] if told else 0, math.inf)
        values = [value for step, value in told if first <= step <= last]
        return fmean(values) if values else math.nan

    @cached_property
    def _blind(self) -> dict[str, float]:
        logits = torch.zeros(_BATCH, dtype=torch.float64)
        generator = self._loss.generator(logits, logits if self._loss.relativistic else None)
        return {"D": float(self._loss.discriminator(logits, logits)), "G": float(generator)}

    @cached_property
    def _fitted(self) -> Moments:
        sampler = next(iter(self._run.samplers.values()))
        return exact_moments(sampler) or Moments.of(sampler(range(_SAMPLES)).cpu())
