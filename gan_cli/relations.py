"""What a configuration must not ask for at once, as far as it can be told without building anything."""

from collections.abc import Iterator

from gan_cli.errors import Incompatible, Refused
from gan_cli.schema import (
    BatchNormMode,
    Conditional,
    Config,
    EvaluateConf,
    Extractors,
    GameName,
    Kind,
    Reuse,
    Shape,
)


def check_relations(config: Config) -> None:
    """Raise `Incompatible` with the first contradiction and the overrides that mend it."""
    for objection in _objections(config):
        raise Incompatible(objection)


def _objections(config: Config) -> Iterator[str]:
    kind = config.data.kind
    if kind not in config.model.accepts:
        yield _of_other_kind(config)
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
    yield from _two_domains(config) if config.game.name is GameName.cyclegan else _one_domain(config)
    optim = config.optim
    if optim.schedule.hold and optim.schedule.shape is Shape.constant:
        yield (
            "optim.schedule.hold is how long a rate stays before it changes, and this one never does: "
            "optim.schedule.shape=linear, or optim.schedule.hold=0"
        )
    if config.train.unroll and (optim.discriminator.weight_clip is not None or optim.clip_norm is not None):
        yield (
            "train.unroll differentiates through the discriminator's updates, and clipping is not part of those: "
            "train.unroll=0, or optim.discriminator.weight_clip=null optim.clip_norm=null"
        )


def _of_other_kind(config: Config) -> str:
    kind, takes = config.data.kind, " and ".join(accepted.name for accepted in config.model.accepts)
    if kind is Kind.unpaired:
        return (
            f"this model takes {takes} data, and these data are the two domains of unpaired pictures, which "
            "experiment=cyclegan takes"
        )
    if Kind.unpaired in config.model.accepts:
        return (
            f"this model takes {takes} data, two domains of pictures, and these are {kind.name}s: "
            "experiment=cyclegan data.a=DIR data.b=DIR, or another model"
        )
    return (
        f"this model takes {takes} data, and the data are {kind.name}s.\n"
        f"Use model=mlp, which takes both, or data that are {takes}s, such as data=mnist."
    )


def _one_domain(config: Config) -> Iterator[str]:
    """Of a game with one data set."""
    if config.data.kind is Kind.unpaired:
        yield "these data are two domains of pictures, and this game plays with one: experiment=cyclegan"
    if config.latent is None:
        raise Refused("latent is not set: latent.dim=96 latent.distribution=uniform")


def _two_domains(config: Config) -> Iterator[str]:
    """What a game that translates between two domains has no use for is refused rather than left unread."""
    game, train = "experiment=cyclegan", config.train
    if config.data.kind is not Kind.unpaired:
        yield f"game=cyclegan plays with two domains of pictures: {game} data.a=DIR data.b=DIR"
    if config.latent is not None:
        yield f"game=cyclegan has no latents, its generators translate pictures: {game}, which has latent=null"
    if config.model.conditional is not Conditional.none:
        yield "game=cyclegan takes no labels: model.conditional=none"
    if train.d_steps != 1:
        yield f"game=cyclegan moves each player once a step: train.d_steps=1, not {train.d_steps}"
    if train.reuse is not Reuse.none:
        yield (
            "game=cyclegan shows the discriminators the fakes that the generators have just moved by, through the "
            f"pool: train.reuse=none, not {train.reuse.name}"
        )
    if train.unroll:
        yield f"game=cyclegan foresees no updates: train.unroll=0, not {train.unroll}"
    if not config.data.drop_last:
        yield "game=cyclegan takes batches of one size from both domains: data.drop_last=true"
    if train.evaluate_every or config.evaluate != EvaluateConf():
        yield (
            "metrics compare drawn samples with data, and game=cyclegan draws none: train.evaluate_every=0, without "
            "evaluate.*; its previews and loss/cycle tell how a run goes"
        )
    if config.sampling.batch_norm is not BatchNormMode.eval or config.sampling.shown is not None:
        yield (
            "game=cyclegan shows translated pictures, sampling.columns of each domain: leave out sampling.batch_norm "
            "and sampling.shown"
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
