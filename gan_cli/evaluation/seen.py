"""A set of images as a feature network sees it."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from gan_cli.extractors import Extractor

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


def look(images: Iterable[Tensor], extractor: Extractor, labels: Tensor | None = None) -> Seen:
    """Put images through an extractor.

    Args:
        images: in batches, uint8 (n, C, H, W), on the extractor's device.
        labels: of all of them.
    """
    embeddings, classes, logits = [], [], []
    for batch in images:
        features = extractor(batch)
        embeddings.append(features.embedding.cpu())
        if features.logits is not None:
            classes.append(features.logits.argmax(1).cpu())
            if extractor.num_classes <= _MOST_CLASSES:
                logits.append(features.logits.cpu())
    return Seen(
        torch.cat(embeddings),
        torch.cat(classes) if classes else None,
        torch.cat(logits) if logits else None,
        labels,
    )
