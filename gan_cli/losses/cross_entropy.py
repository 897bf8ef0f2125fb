"""Cross-entropy on logits, exact at any size of logit."""

from torch import Tensor
from torch.nn.functional import logsigmoid

from gan_cli.losses.label_targets import LabelTargets, mean_target


def cross_entropy(logits: Tensor, target: float | Tensor) -> Tensor:
    """H(target, σ(logits)) = -target log σ(logits) - (1 - target) log(1 - σ(logits)), element by element.

    Not softplus(l) - t·l: torch's softplus becomes the identity above 20, where log(1 + e^-l) still counts in float64.
    """
    if not isinstance(target, Tensor) and target in (0, 1):  # the same numbers with half of the work
        return -logsigmoid(logits if target else -logits)
    return -(target * logsigmoid(logits) + (1 - target) * logsigmoid(-logits))


def check_probabilities(targets: LabelTargets) -> None:
    """Raise `ValueError` for a target outside [0, 1] on average: its cross-entropy has no minimum."""
    for name in ("real_target", "fake_target", "generator_target"):
        target = getattr(targets, name)
        if not isinstance(target, Tensor) and not 0 <= (mean := mean_target(target)) <= 1:
            bound = "at least 0" if mean < 0 else "at most 1"
            average = "" if mean == target else " on average"
            raise ValueError(f"{name} must be {bound}{average}, got {target}")
