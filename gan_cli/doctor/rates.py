"""Overrides that change who wins."""

from gan_cli.doctor.log import Log

_TOO_SLOW = 1e-5
"""A generator's rate below which it is the generator that must be sped up."""


def weaker_discriminator(log: Log) -> str:
    """The first that applies: equal learning rates, one update each, a penalty, a quarter of the rate."""
    generator, discriminator = log.rate("optim.generator.lr"), log.rate("optim.discriminator.lr")
    if generator and discriminator and discriminator > generator:
        if generator < _TOO_SLOW:
            return f"optim.generator.lr={_typed(min(discriminator, 2e-4))} optim.discriminator.lr=2e-4"
        return f"optim.discriminator.lr={_typed(generator)}"
    if (log.rate("train.d_steps") or 1) > 1:
        return "train.d_steps=1"
    normed = log.setting("model.discriminator.norm") == "batch"  # no penalty goes with it
    if str(log.setting("penalty._target_")).endswith(".NoPenalty") and not normed:
        return "penalty=r1"
    return (
        f"optim.discriminator.lr={_typed(discriminator / 4)}" if discriminator else "a smaller optim.discriminator.lr"
    )


def slower(log: Log) -> str:
    """Both learning rates a tenth."""
    generator, discriminator = log.rate("optim.generator.lr"), log.rate("optim.discriminator.lr")
    if not generator or not discriminator:
        return "a smaller optim.lr"
    if generator == discriminator:
        return f"optim.lr={_typed(generator / 10)}"
    return f"optim.generator.lr={_typed(generator / 10)} optim.discriminator.lr={_typed(discriminator / 10)}"


def _typed(rate: float) -> str:
    return f"{rate:.2g}"
