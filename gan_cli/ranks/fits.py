"""What several ranks cannot train as one would, each with what mends it."""

from collections.abc import Iterator
from math import gcd

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from gan_cli.errors import Refused
from gan_cli.models.minibatch_std import MinibatchStd
from gan_cli.ranks.ranks import Ranks
from gan_cli.traits import MIXES_SAMPLES


def check_batches(ranks: Ranks, batch_size: int, num_samples: int, drop_last: bool, packing: int) -> None:
    """Raise `Refused` unless every batch can be cut into as many shares of whole packs as there are ranks."""
    whole = ranks.size * packing
    of = f"{ranks.size} ranks" + (f" with packs of {packing}" if packing > 1 else "")
    if batch_size % whole:
        raise Refused(
            f"train.batch_size={batch_size} cannot be shared out among {of}: "
            f"train.batch_size={max(1, batch_size // whole) * whole} can"
        )
    ragged = 0 if drop_last else num_samples % batch_size
    if ragged % whole:
        raise Refused(
            f"the last batch of {ragged} samples cannot be shared out among {of}: data.drop_last=true, or "
            f"data.limit={num_samples - ragged % whole}"
        )


def check_parts(
    ranks: Ranks,
    discriminator: nn.Module,
    batch_size: int,
    num_samples: int,
    drop_last: bool,
    packing: int,
    unroll: int,
) -> None:
    """Raise `Refused` where a rank that sees its own samples alone would compute something else than one for all."""
    if ranks.size == 1:
        return
    if unroll:
        raise Refused(
            f"train.unroll={unroll} foresees updates of the discriminator, and each of {ranks.size} ranks would "
            "foresee those of its own share: train.unroll=0, or one process"
        )
    ragged = 0 if drop_last else num_samples % batch_size
    for layer in _mixing(discriminator):
        if not isinstance(layer, MinibatchStd):
            raise Refused(
                f"{type(layer).__name__} looks at several samples at once, and each of {ranks.size} ranks has a share "
                "of them alone: one process trains it"
            )
        for count in (batch_size // packing, ragged // packing):
            group, each = gcd(count, layer.group_size), count // ranks.size
            if each % max(group, 1):
                raise Refused(
                    f"model.discriminator.minibatch_std={layer.group_size} makes groups of {group} in {count} samples, "
                    f"and the {each} of each of {ranks.size} ranks are no whole number of groups: "
                    f"model.discriminator.minibatch_std={gcd(each, layer.group_size)} makes groups that fit"
                )


def _mixing(discriminator: nn.Module) -> Iterator[nn.Module]:
    for module in discriminator.modules():
        if getattr(module, MIXES_SAMPLES, False) and not isinstance(module, _BatchNorm):
            yield module
