"""Images measured by the features of a network."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import torch
from torch import Tensor

from gan_cli import images, sampling
from gan_cli.data.dataset import Dataset
from gan_cli.evaluation import pictures
from gan_cli.evaluation.evaluator import Evaluation, Guide
from gan_cli.evaluation.measure import Measure
from gan_cli.evaluation.memorization import Memory
from gan_cli.evaluation.reference import Reference, Split, knows, standardized
from gan_cli.evaluation.scores import Score, scores
from gan_cli.evaluation.seen import Seen, look
from gan_cli.extractors import CHUNK, Extractor
from gan_cli.ranks.ranks import ALONE, Ranks
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
        ranks: share out the samples; scores are the first one's.
    """

    dataset: Dataset
    data_digest: str
    extractor: Extractor
    count: int
    most: int
    thorough: bool
    cache: Path
    ranks: Ranks = ALONE
    guide: Guide = Guide("kid", guard="coverage")

    def evaluate(self, sampler: Sampler, weights: str) -> Evaluation:
        """fid, kid, precision and so on (see `scores`), each with its floor; of copies, if thorough."""
        reference = self._reference
        drawn, seen = self._looked_at(sampler)
        seen = standardized(seen, reference.standardizer)
        told, floors = scores(seen, reference.compared), dict(reference.floors)
        draw: Callable[[], Mapping[str, Tensor]] = dict
        if self.thorough:
            memory = self._memory
            found = memory.search(seen)
            told |= memory.scores(seen, found, told["fid"].value if "fid" in told else None)
            floors |= memory.floors(floors)
            draw = partial(pictures.of, drawn, seen, found, self.dataset, reference)
        measures = [self._measure(name, told[name], floors[name], weights) for name in told]
        return Evaluation(measures, draw, reference.key)

    def assist(self, sampler: Sampler) -> None:
        """Draw this rank's share of the samples, and look at its share of their batches."""
        self._looked_at(sampler)

    def _looked_at(self, sampler: Sampler) -> tuple[Tensor, Seen]:
        """Samples as bytes, and what the extractor sees of them."""
        drawn, labels = self._drawn(sampler, len(self._split.held_out))
        return drawn, look(drawn.split(CHUNK), self.extractor, labels, self.ranks)

    def _drawn(self, sampler: Sampler, count: int) -> tuple[Tensor, Tensor | None]:
        """Samples as bytes, and the labels they were made with: as frequent as they are in the data."""
        labels, asked = self.dataset.labels, None
        if sampler.num_classes and labels is not None:
            sampler = replace(sampler, labels=labels[self._split.places.to(labels.device)])
            if knows(self.extractor, self.dataset):
                asked = sampler.labels_of(torch.arange(count))
        mine = [index for index in range(count) if self.ranks.deals_with(index // sampling.CHUNK)]
        return torch.cat(self.ranks.collected(images.to_bytes(chunk) for chunk in sampler.chunks(mine))), asked

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
