"""A set of images as a feature network sees it."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from gan_cli.extractors import Extractor, Features
from gan_cli.ranks.ranks import ALONE, Ranks

_MOST_CLASSES = 100  # of which all logits are kept


@dataclass(frozen=True)
class Seen:
    """Features of n images, on the CPU.

    Attributes:
        embedding: float32 (n, d).
        classes: int64 (n,), the likeliest class; None from a network that tells none apart.
        logits: float32 (n, K); None also where there are more than a hundred classes.
        labels: int64 (n,), the classes that were asked for, or are known; None where there are none.
    """

    embedding: Tensor
    classes: Tensor | None = None
    logits: Tensor | None = None
    labels: Tensor | None = None

    def __len__(self) -> int:
        return len(self.embedding)


def look(images: Iterable[Tensor], extractor: Extractor, labels: Tensor | None = None, ranks: Ranks = ALONE) -> Seen:
    """Put images through an extractor.

    Args:
        images: in batches, uint8 (n, C, H, W), on any device.
        labels: of all of them.
        ranks: among which the batches are shared out; all of them see the whole.
    """
    embeddings, classes, logits = [], [], []
    mine = (extractor(batch.to(extractor.device)) for number, batch in enumerate(images) if ranks.deals_with(number))
    for embedding, likeliest, scores in ranks.collected(_kept(features, extractor.num_classes) for features in mine):
        embeddings.append(embedding)
        if likeliest is not None:
            classes.append(likeliest)
        if scores is not None:
            logits.append(scores)
    return Seen(
        torch.cat(embeddings),
        torch.cat(classes) if classes else None,
        torch.cat(logits) if logits else None,
        labels,
    )


def _kept(features: Features, num_classes: int) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """What is kept of a batch, on the CPU: its embedding, its likeliest classes and their logits."""
    embedding, logits = features.embedding.cpu(), features.logits
    if logits is None:
        return embedding, None, None
    return embedding, logits.argmax(1).cpu(), logits.cpu() if num_classes <= _MOST_CLASSES else None
