"""How networks take in labels: beside their input, in their BatchNorms, or in the discriminator's last layer."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from gan_cli.models.layers import weighted


class Labelled(nn.Module):
    """A layer that is called with the labels (N,) int64 beside its input."""


class LabelledSequential(nn.Sequential):
    """Layers in a row, of which those that are `Labelled` get the labels too."""

    def forward(self, inputs: Tensor, labels: Tensor | None = None) -> Tensor:
        """Of a network without labelled layers, `labels` may be None."""
        for layer in self:
            inputs = layer(inputs, labels) if isinstance(layer, Labelled) else layer(inputs)
        return inputs


class JoinLabels(Labelled):
    """Appends the label to a vector as a one-hot vector, to an image as planes of which one is 1 and the others 0.

    Source: Mirza and Osindero 2014, arXiv:1411.1784, section 3.2.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes

    def forward(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """(N, C, ...) and labels (N,) to (N, C + num_classes, ...)."""
        classes = torch.arange(self.num_classes, device=labels.device)
        hot = (labels.unsqueeze(1) == classes).to(inputs.dtype)  # one_hot would wait for the largest label
        planes = hot.reshape(*hot.shape, *(1,) * (inputs.dim() - 2)).expand(-1, -1, *inputs.shape[2:])
        return torch.cat([inputs, planes], 1)


class ConditionalBatchNorm(Labelled):
    """BatchNorm with a scale and a shift for each class; all classes share the statistics.

    Source: Dumoulin et al. 2017, arXiv:1610.07629, equation (5), in a generator as in Miyato and Koyama 2018,
    arXiv:1802.05637, section 4.

    Args:
        norm: without scale and shift of its own, over `features` channels.
    """

    def __init__(self, norm: nn.Module, features: int, num_classes: int) -> None:
        super().__init__()
        self.norm = norm
        self.scale = nn.Embedding(num_classes, features)
        self.shift = nn.Embedding(num_classes, features)
        nn.init.ones_(self.scale.weight)
        nn.init.zeros_(self.shift.weight)

    def forward(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """(N, features, ...) and labels (N,) to the same shape."""
        normalized = self.norm(inputs)
        per_channel = (labels.shape[0], -1, *(1,) * (inputs.dim() - 2))
        result: Tensor = self.scale(labels).reshape(per_channel) * normalized + self.shift(labels).reshape(per_channel)
        return result


class ProjectionHead(Labelled):
    """The discriminator's last layer, with the inner product of its features and a vector for each class.

        logit = output(h) + <v_y, Σ h over places>

    Args:
        output: features to one number.
        features: channels of h.
        places: of a map, over which h is summed.
        norm: "spectral" normalizes the matrix of the v too.

    Source: Miyato and Koyama 2018, arXiv:1802.05637, equation (3) and figure 2.
    """

    def __init__(self, output: nn.Module, features: int, num_classes: int, norm: str = "none", places: int = 1) -> None:
        super().__init__()
        self.output = output
        embedding = nn.Embedding(num_classes, features)
        nn.init.normal_(embedding.weight, 0.0, features**-0.5 / places)  # no larger than what a linear layer says
        self.embedding = weighted(embedding, norm)

    def forward(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """h (N, features) or (N, features, H, W), and labels (N,), to (N, 1)."""
        pooled = inputs.flatten(2).sum(2) if inputs.dim() > 2 else inputs
        matching = (self.embedding(labels) * pooled).sum(1, keepdim=True)
        result: Tensor = self.output(inputs).reshape(-1, 1) + matching
        return result


def join(conditional: str, num_classes: int) -> list[nn.Module]:
    """What stands before a network that takes labels beside its input."""
    return [JoinLabels(num_classes)] if conditional == "concat" else []


def num_joined(conditional: str, num_classes: int) -> int:
    """How many channels `join` adds."""
    return num_classes if conditional == "concat" else 0


def batch_norm(
    kind: Callable[..., nn.Module], features: int, conditional: str = "none", num_classes: int = 0
) -> nn.Module:
    """A generator's BatchNorm of the given kind; one that knows the class for "projection"."""
    if conditional == "projection":
        return ConditionalBatchNorm(kind(features, affine=False), features, num_classes)
    return kind(features)


def head(output: nn.Module, features: int, conditional: str, num_classes: int, norm: str, places: int = 1) -> nn.Module:
    """A discriminator's last layer, from which logits come as (N, 1) or (N, 1, 1, 1)."""
    if conditional == "projection":
        return ProjectionHead(output, features, num_classes, norm, places)
    return output
