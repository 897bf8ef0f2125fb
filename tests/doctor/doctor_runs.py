"""Runs made to fail in each way, and healthy ones: the arguments of gan-train, small enough for seconds on one core."""

SHORT = "device.threads=1 train.sample_every=0 train.checkpoint_every=0 evaluate.final_images=2000"

MLP = (
    "model.generator.widths=[256,256] model.discriminator.widths=[128,128] optim.lr=2e-4 train.batch_size=64 "
    "train.steps=800 train.log_every=20 train.evaluate_every=80"
)
SMALL = (
    "model.generator.widths=[128] model.discriminator.widths=[128,128] train.batch_size=64 train.steps=400 "
    "train.log_every=10 train.evaluate_every=50"
)
DCGAN = (
    "model=dcgan model.generator.hidden=256 model.generator.widths=[32,16] model.discriminator.hidden=128 "
    "model.discriminator.widths=[16,32] train.batch_size=32 train.steps=320 train.log_every=10 train.evaluate_every=40"
)
RING = "experiment=ring8 train.steps=1000 train.log_every=25 train.evaluate_every=100"
GAUSSIAN = (
    "data=gaussian2d model.generator.widths=[32] model.discriminator.widths=[64,64] latent.dim=2 "
    "latent.distribution=normal train.batch_size=64 train.steps=1000 train.log_every=25 train.evaluate_every=100"
)
GP = "loss=wgan penalty=gp optim.betas=[0,0.9]"

FAILING: dict[str, tuple[str, str]] = {
    "saturated_bce": (
        f"{DCGAN} train.steps=240 optim.discriminator.lr=0.01 optim.generator.lr=1e-6",
        "discriminator saturated",
    ),
    "saturated_lsgan": (
        f"{SMALL} loss=lsgan optim.discriminator.lr=2e-3 optim.generator.lr=1e-5",
        "discriminator saturated",
    ),
    "saturated_hinge": (
        f"{SMALL} loss=hinge optim.discriminator.lr=2e-3 optim.generator.lr=1e-5",
        "discriminator saturated",
    ),
    "starved_minimax": (
        f"{SMALL} loss=minimax optim.discriminator.lr=5e-3 optim.generator.lr=2e-4",
        "generator starved",
    ),
    "starved_left_behind": (
        f"{SMALL} loss=rsgan optim.discriminator.lr=2e-3 optim.generator.lr=1e-5",
        "generator starved",
    ),
    "starved_unheard": (
        "experiment=d2l_gaussian seed=0 loss=hinge train.steps=1000 train.log_every=20 train.evaluate_every=100",
        "generator starved",
    ),
    "diverging_wgan": (
        "experiment=ring8 loss=wgan optim.discriminator.weight_clip=1e9 optim.lr=5e-3 train.steps=1000 "
        "train.log_every=20 train.evaluate_every=100",
        "diverging",
    ),
    "diverging_nan": (
        "experiment=ring8 loss=hinge optim=sgd optim.lr=1.0 train.steps=600 train.log_every=1 train.evaluate_every=5",
        "diverging",
    ),
    "collapsed_ring": (
        "data=ring8 data.std=0.05 model.generator.widths=[128,128] model.discriminator.widths=[128] latent.dim=1 "
        "latent.distribution=normal optim.betas=[0.9,0.999] train.batch_size=64 train.steps=2000 train.log_every=50 "
        "train.evaluate_every=200",
        "mode collapse",
    ),
    "collapsed_few": (
        "experiment=ring8 latent.dim=1 model.generator.widths=[8] train.steps=2000 train.log_every=50 "
        "train.evaluate_every=200",
        "mode collapse",
    ),
    "collapsed_mnist": (
        f"{SMALL} loss=rsgan penalty=r1r2 optim.lr=1e-3 latent.dim=1 train.steps=1000 train.log_every=20 "
        "train.evaluate_every=100",
        "mode collapse",
    ),
    "memorising_mnist": (
        f"{DCGAN} data.limit=100 train.steps=3000 optim.lr=1e-3 train.log_every=50 train.evaluate_every=500",
        "memorising",
    ),
}
"""By name: what to type, and what the doctor must see."""


def _healthy() -> dict[str, str]:
    runs = {}
    for loss in ("bce", "lsgan", "hinge", "rsgan"):
        for seed in (1, 2):
            runs[f"ring8 {loss} {seed}"] = f"{RING} loss={loss} seed={seed}"
            runs[f"gaussian2d {loss} {seed}"] = f"{GAUSSIAN} loss={loss} seed={seed}"
        runs[f"dcgan {loss} 1"] = f"{DCGAN} loss={loss} seed=1"
    for seed in (1, 2):
        runs[f"ring8 r3gan {seed}"] = f"{RING} loss=rsgan penalty=r1r2 seed={seed}"
        runs[f"mlp wgan-gp {seed}"] = f"{MLP} {GP} train.d_steps=2 seed={seed}"
        runs[f"gaussian2d lsgan {seed + 2}"] = f"{GAUSSIAN} loss=lsgan seed={seed + 2}"
    runs["ring8 bce r1 1"] = f"{RING} loss=bce penalty=r1 seed=1"
    runs["gaussian2d wgan-gp 1"] = f"{GAUSSIAN} {GP} train.d_steps=3 seed=1"
    runs["mlp bce 1"] = f"{MLP} loss=bce seed=1"
    runs["mlp lsgan 1"] = f"{MLP} loss=lsgan seed=1"
    runs["mlp r3gan 1"] = f"{MLP} loss=rsgan penalty=r1r2 seed=1"
    runs["dcgan lsgan 2"] = f"{DCGAN} loss=lsgan seed=2"
    runs["dcgan wgan-gp 1"] = f"{DCGAN} {GP} optim.lr=2e-4 train.d_steps=2 seed=1"
    return runs


HEALTHY = _healthy()
"""By name: what to type. Their samples come nearer to the data, by the metric that guides; none is finished."""
