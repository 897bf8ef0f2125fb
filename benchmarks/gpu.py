"""The training step on a GPU, beside the plain loop fed from the GPU's memory.

    python benchmarks/gpu.py

Ours is in bfloat16 with `device.compile=graph`; the plain loop in float32, as it is copied. Before that, whether steps
that are replayed as a CUDA graph leave the same weights as steps that are not.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import notebooks
import torch
from step import built, operations, seconds
from table import Row, machine, table
from torchvision.io import write_png

from gan_cli.data.mnist import load

_OURS = ["device=cuda", "device.precision=bf16", "device.compile=graph"]


def _synchronized(step: Callable[[], object], steps: int) -> float:
    def all_of_them() -> None:
        for _ in range(steps):
            step()
        torch.cuda.synchronize()

    return seconds(all_of_them, 1) / steps


def difference(experiment: str) -> float:
    """The largest between weights of the generator after 24 steps in float32, replayed and not; cuDNN deterministic."""
    torch.backends.cudnn.deterministic = True
    weights = []
    for how in ("none", "graph"):
        with tempfile.TemporaryDirectory() as directory:
            overrides = [f"experiment={experiment}", "device=cuda", f"device.compile={how}", "train.evaluate_every=0"]
            run = built(overrides, Path(directory))
            for _ in range(24):
                run.advance()
        parameters = run.game.networks["generator"].parameters()
        weights.append(torch.cat([parameter.detach().flatten().double() for parameter in parameters]))
    torch.backends.cudnn.deterministic = False
    return float((weights[0] - weights[1]).abs().max())


def matrix_rate() -> float:
    """Of bfloat16 products of 8192×8192 matrices, in operations a second; the best of many."""
    one, two = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    return 2 * 8192**3 / min(_synchronized(lambda: one @ two, 5) for _ in range(10))


def bandwidth() -> float:
    """Of copies within the card's memory, in bytes read and written a second; the best of many."""
    one = torch.empty(2**30, dtype=torch.uint8, device="cuda")
    two = torch.empty_like(one)
    return 2 * one.numel() / min(_synchronized(lambda: two.copy_(one), 5) for _ in range(10))


def rows(rounds: int, steps: int) -> Iterator[Row]:
    """MLP and DCGAN at batch 128, DCGAN 64×64 at batch 256."""
    digits = load().samples.float().div(127.5).sub(1).cuda()
    pictures = torch.rand(2048, 3, 64, 64, device="cuda") * 2 - 1
    rate = matrix_rate()
    with tempfile.TemporaryDirectory() as directory:
        tensors = Path(directory)
        for number, picture in enumerate(pictures[:256].add(1).mul(127.5).byte().cpu()):
            write_png(picture, str(tensors / f"{number}.png"))
        folder = ["experiment=d2l_pokemon", "data=folder", f"data.root={directory}", "train.batch_size=256"]
        for name, overrides, plain, aim in (
            ("MLP 28×28, batch 128", ["model=mlp"], lambda: notebooks.from_memory(False, digits, 128, "cuda"), 8.0),
            ("DCGAN 28×28, batch 128", ["model=dcgan"], lambda: notebooks.from_memory(True, digits, 128, "cuda"), 8.0),
            ("DCGAN 64×64, batch 256", folder, lambda: notebooks.d2l_dcgan(pictures, 256, "cuda"), 3.0),
        ):
            run, theirs = built([*overrides, *_OURS], Path(directory)), plain()
            for step in (run.advance, theirs):
                _synchronized(step, 20)
            times = [
                (1000 * _synchronized(theirs, steps), 1000 * _synchronized(run.advance, steps)) for _ in range(rounds)
            ]
            flops, batch = operations(overrides), run.train.batch_size
            yield Row.of(
                name,
                "ms a step",
                times,
                aim,
                lambda ours, flops=flops, batch=batch: (  # type: ignore[misc]
                    f"{batch / ours * 1000:,.0f} samples/s, {flops / ours / 1e9:,.1f} of {rate / 1e12:,.0f} TFLOP/s"
                ),
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args()
    print(f"{torch.cuda.get_device_name()}, {bandwidth() / 1e9:,.0f} GB/s; {machine()}")
    for experiment in ("mnist_fast", "cs231n_gan", "ring8", "cgan_mnist"):
        print(f"{experiment}, replayed and not: largest difference of weights {difference(experiment):g}")
    print(table("A training step on a GPU", rows(options.rounds, options.steps)))


if __name__ == "__main__":
    main()
