"""Which losses, penalties and discriminators go together, from what each declares, and what mends those that do not."""

from gan_cli.errors import Incompatible
from gan_cli.losses import AdversarialLoss
from gan_cli.penalties import Penalty
from gan_cli.traits import CriticTraits


def check(loss: AdversarialLoss, penalty: Penalty, critic: CriticTraits, clipped: bool, norms: str) -> None:
    """Refuse a combination that is wrong mathematics.

    Args:
        clipped: whether the critic's weights are clipped.
        norms: the normalizations that the discriminator offers and that keep samples apart, as typed: "none|layer".
            Empty where it is somebody's own network.

    Raises:
        Incompatible: says why, and the overrides that mend it.
    """
    if penalty.per_sample and critic.mixes is not None:
        mend = f"model.discriminator.norm={norms}" if norms else f"replace {critic.mixes} in your discriminator"
        raise Incompatible(
            f"the penalty {type(penalty).__name__} takes the gradient of each sample's logit with respect to that "
            f"sample, and in this discriminator {critic.mixes} makes it a function of the whole batch: {mend} keeps "
            "samples apart, penalty=none goes without"
        )
    if loss.needs_bounded_slope and not (penalty.bounds_slope or critic.bounded_slope or clipped):
        spectral = " or model.discriminator.norm=spectral" if "spectral" in norms else ""
        raise Incompatible(
            f"the loss {type(loss).__name__} has no minimum for a critic of unbounded slope, because twice the critic "
            f"separates twice as far: penalty=gp, optim.discriminator.weight_clip=0.01{spectral} bounds it"
        )
