"""A CycleGAN small enough to train within a blink, on data that need no file."""

TINY_CYCLE = (
    *("experiment=cyclegan_digits", "data.split=test", "data.limit=24", "model.resolution=16"),
    *("model.generator.width=4", "model.generator.blocks=1", "model.discriminator.width=4"),
    *("game.adversarial_weight=2", "optim.lr=2e-4", "ema.half_life=null"),  # as in experiment=cyclegan
    *("game.pool=6", "train.batch_size=4", "train.steps=12", "train.log_every=4", "train.sample_every=6"),
    *("train.checkpoint_every=6", "device.threads=1"),
)
