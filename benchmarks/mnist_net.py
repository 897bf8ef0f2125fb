"""Trains the feature networks of gan_cli/metrics/weights; an existing file is never replaced.

    python benchmarks/mnist_net.py                  both, about a minute each on two cores
    python benchmarks/mnist_net.py mnist_v1         one of them

The last epoch's weights are kept: the test images choose nothing.
"""

import argparse
import hashlib
import time
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor
from torch.nn.functional import cross_entropy

from gan_cli.data import mnist
from gan_cli.data.dataset import Dataset
from gan_cli.extractors.files import WEIGHTS
from gan_cli.extractors.mnist import NAMES
from gan_cli.metrics.mnist_net import MNISTNet, as_input

SEEDS = dict(zip(NAMES, (1, 2), strict=True))
EPOCHS, BATCH, SHIFT = 10, 256, 2
LEARNING_RATE, WEIGHT_DECAY = 4e-3, 0.02
ARCHITECTURE = "conv5s2(32)-BN-ReLU-conv3s2(64)-BN-ReLU-linear(64)-BN=embedding-ReLU-linear(10)"


def shifted(images: Tensor, random: torch.Generator) -> Tensor:
    """Each image moved by its own -2 to 2 pixels down and right, black coming in."""
    size = images.shape[-1]
    windows = torch.nn.functional.pad(images, [SHIFT] * 4).unfold(2, size, 1).unfold(3, size, 1)
    down, right = torch.randint(2 * SHIFT + 1, (2, len(images)), generator=random)
    return windows[torch.arange(len(images)), :, down, right]


def train(data: Dataset, seed: int, epochs: int) -> MNISTNet:
    """AdamW with one cycle of the learning rate."""
    assert data.labels is not None
    torch.manual_seed(seed)
    random = torch.Generator().manual_seed(seed)
    network = MNISTNet()
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=WEIGHT_DECAY)
    per_epoch = len(data) // BATCH
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=epochs * per_epoch)
    for epoch in range(epochs):
        began, total = time.perf_counter(), 0.0
        for batch in torch.randperm(len(data), generator=random)[: per_epoch * BATCH].split(BATCH):
            _, logits = network(shifted(data.samples[batch], random))
            loss = cross_entropy(logits, data.labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            cycle.step()
            total += loss.item()
        print(f"epoch {epoch + 1}: loss {total / per_epoch:.4f}, {time.perf_counter() - began:.0f} s", flush=True)
    return network.eval()


@torch.no_grad()
def standardize(network: MNISTNet, images: Tensor) -> None:
    """Give each unit of the embedding mean 0 and variance 1 on the images, instead of a running estimate of them."""
    raw = torch.cat([network.embed(as_input(chunk)) for chunk in images.split(1000)]).double()
    layer = network.standardize
    assert layer.running_mean is not None
    assert layer.running_var is not None
    layer.running_mean.copy_(raw.mean(0))
    layer.running_var.copy_(raw.var(0))


@torch.no_grad()
def outputs(network: MNISTNet, images: Tensor) -> tuple[Tensor, Tensor]:
    """The embedding and the logits."""
    found = [network(chunk) for chunk in images.split(1000)]
    return torch.cat([embedding for embedding, _ in found]), torch.cat([logits for _, logits in found])


def sha256(data: Dataset) -> str:
    """Of the images' bytes, then of the labels'."""
    assert data.labels is not None
    return hashlib.sha256(data.samples.numpy().tobytes() + data.labels.byte().numpy().tobytes()).hexdigest()


def span(values: Tensor) -> str:
    return f"{float(values.min()):.4f} to {float(values.max()):.4f}"


def make(name: str, out: Path, epochs: int) -> None:
    """Train one network and write its file."""
    path = out / f"{name}.safetensors"
    if path.exists():
        print(f"{path} is there")
        return
    data, test = mnist.load(), mnist.load("test")
    network = train(data, SEEDS[name], epochs)
    standardize(network, data.samples)
    embedding, _ = outputs(network, data.samples)
    _, logits = outputs(network, test.samples)
    metadata = {
        "arch": ARCHITECTURE,
        "data_sha256": sha256(data),
        "seed": str(SEEDS[name]),
        "torch": torch.__version__,
        "test_accuracy": f"{float((logits.argmax(1) == test.labels).double().mean()):.4f}",
        "embedding_mean": span(embedding.double().mean(0)),
        "embedding_variance": span(embedding.double().var(0)),
    }
    path.write_bytes(save(network.state_dict(), metadata))
    print(path, metadata)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=NAMES, metavar="NAME", help=" or ".join(NAMES))
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    options = parser.parse_args()
    for name in options.names:
        make(name, options.out, options.epochs)


if __name__ == "__main__":
    main()
