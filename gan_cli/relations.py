"""What a configuration must not ask for at once, as far as it can be told without building anything."""

from collections.abc import Iterator

from gan_cli.errors import Incompatible, Refused
from gan_cli.schema import Conditional, Config, Extractors, Kind


def check_relations(config: Config) -> None:
    """Raise `Incompatible` with the first contradiction and the overrides that mend it."""
    for objection in _objections(config):
        raise Incompatible(objection)


def _objections(config: Config) -> Iterator[str]:
    kind = config.data.kind
    if kind not in config.model.accepts:
        takes = " and ".join(accepted.name for accepted in config.model.accepts)
        yield (
            f"this model takes {takes} data, and the data are {kind.name}s.\n"
            f"Use model=mlp, which takes both, or data that are {takes}s, such as data=mnist."
        )
    if kind is Kind.vector:
        augment = config.augment["_target_"]
        if augment.startswith("gan_cli.augment.") and not augment.endswith(".NoAugment"):
            yield "augment changes images, and these data are vectors: augment=none; critic.noise is for both"
        if config.critic.flip:
            yield "critic.flip mirrors images, and these data are vectors: critic.flip=false"
        if config.evaluate.extractor is not Extractors.auto:
            name = config.evaluate.extractor.name
            yield f"evaluate.extractor={name} looks at images, and these data are vectors: evaluate.extractor=auto"
        if config.data.flip:
            yield "data.flip mirrors images, and these data are vectors: data.flip=false"
    yield from _packing(config)
    optim = config.optim
    if config.train.unroll and (optim.discriminator.weight_clip is not None or optim.clip_norm is not None):
        yield (
            "train.unroll differentiates through the discriminator's updates, and clipping is not part of those: "
            "train.unroll=0, or optim.discriminator.weight_clip=null optim.clip_norm=null"
        )


def _packing(config: Config) -> Iterator[str]:
    packing = config.model.discriminator.get("packing", 1)
    if not isinstance(packing, int) or packing < 1:
        raise Refused(f"model.discriminator.packing must be a whole number from 1 up, got {packing!r}")
    elif packing > 1:
        if config.model.conditional is not Conditional.none:
            yield (
                "packing judges several samples as one, and a conditional discriminator one sample under one label: "
                "model.discriminator.packing=1 or model.conditional=none"
            )
        if config.train.batch_size % packing:
            yield (
                f"train.batch_size={config.train.batch_size} cannot be divided into packs of {packing}: "
                f"train.batch_size={config.train.batch_size // packing * packing or packing}"
            )
        if not config.data.drop_last:
            yield (
                "packing needs whole batches, and data.drop_last=false may leave a ragged one: data.drop_last=true or "
                "model.discriminator.packing=1"
            )
