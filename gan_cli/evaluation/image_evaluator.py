"""Images measured by the features of a network."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from gan_cli import images
from gan_cli.data.dataset import Dataset
from gan_cli.evaluation import pictures
from gan_cli.evaluation.evaluator import Evaluation, Guide
from gan_cli.evaluation.measure import Measure
from gan_cli.evaluation.memorization import Memory
from gan_cli.evaluation.reference import Reference, Split, knows, standardized
from gan_cli.evaluation.scores import Score, scores
from gan_cli.evaluation.seen import BATCH, look
from gan_cli.extractors import Extractor
from gan_cli.sampling import Sampler


@dataclass(frozen=True)
class ImageEvaluator:
    """Compares samples with real images.

    Attributes:
        dataset: the images that the generator was trained on.
        data_digest: its fingerprint.
        extractor: on the device of the samples.
        count: samples to draw; at most half as many as there are real images, so that as many can be held out.
        most: real images to compare with.
        thorough: whether copies are searched for, and pictures made.
        cache: the directory of reference statistics.
    """

    dataset: Dataset
    data_digest: str
    extractor: Extractor
    count: int
    most: int
    thorough: bool
    cache: Path
    guide: Guide = Guide("kid", guard="coverage")

    def evaluate(self, sampler: Sampler, weights: str) -> Evaluation:
        """fid, kid, precision and so on (see `scores`), each with its floor; of copies, if thorough."""
        reference = self._reference
        count = len(reference.split.held_out)
        drawn, labels = self._drawn(sampler, count)
        seen = standardized(look(self._batches(drawn), self.extractor, labels), reference.standardizer)
        told, floors, shown = scores(seen, reference.compared), dict(reference.floors), {}
        if self.thorough:
            memory = self._memory
            found = memory.search(seen)
            told |= memory.scores(seen, found, told["fid"].value if "fid" in told else None)
            floors |= memory.floors(floors)
            shown = pictures.of(drawn, seen, found, self.dataset, reference)
        measures = [self._measure(name, told[name], floors[name], weights) for name in told]
        return Evaluation(measures, shown, reference.key)

    def _drawn(self, sampler: Sampler, count: int) -> tuple[Tensor, Tensor | None]:
        """Samples as bytes, and the labels they were made with: as frequent as they are in the data."""
        labels = self.dataset.labels
        if not sampler.num_classes or labels is None:
            return torch.cat([images.to_bytes(chunk) for chunk in sampler.chunks(range(count))]), None
        order = torch.cat([self._split.held_out, self._split.compared])
        sampler = replace(sampler, labels=labels[order.to(labels.device)])
        drawn = torch.cat([images.to_bytes(chunk) for chunk in sampler.chunks(range(count))])
        return drawn, sampler.labels_of(torch.arange(count)) if knows(self.extractor, self.dataset) else None

    def _batches(self, drawn: Tensor) -> Iterator[Tensor]:
        for batch in drawn.split(BATCH):
            yield batch.to(self.extractor.device)

    def _measure(self, name: str, score: Score, floor: Score, weights: str) -> Measure:
        return Measure(name, score.value, floor.value, score.count, weights, self.extractor.name)

    @cached_property
    def _split(self) -> Split:
        return Split.of(len(self.dataset), self.count, self.most)

    @cached_property
    def _reference(self) -> Reference:
        return Reference.of(self.dataset, self.data_digest, self.extractor, self._split, self.cache)

    @cached_property
    def _memory(self) -> Memory:
        return Memory.of(self.dataset, self.extractor, self._reference, self.cache)
