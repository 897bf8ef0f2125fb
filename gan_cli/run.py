"""The real objects of one training run."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from gan_cli import checkpoint, memory
from gan_cli.checkpoint import Checkpoint
from gan_cli.dials import Dial
from gan_cli.ema import EMA
from gan_cli.evaluation.evaluator import Evaluation, Evaluator
from gan_cli.games.game import Game
from gan_cli.meter import Meter
from gan_cli.preview import Preview
from gan_cli.ranks.ranks import ALONE, Ranks
from gan_cli.run_directory import RunDirectory
from gan_cli.sampling import Sampler
from gan_cli.schema import TrainConf
from gan_cli.step import Stats

_SELECTION = "evaluation/selection"


@dataclass
class Run:
    """Everything that training changes, and what it changes it with.

    Attributes:
        config: resolved, as plain containers: what a checkpoint stores.
        facts: what the configuration does not say and a reader of a checkpoint needs.
        total_steps: where the run ends.
        ema: of the game's generator.
        samplers: draw from the generator by the weights that they have, "ema" or "raw"; pictures and selection take the
            first.
        selection: measures while the run goes on.
        final: measures at the end.
        play: the game's moves of a step, where they are not taken as the game takes them.
        dials: turned before each step.
        hparams: what tells the run from others beside it, by key; by default its whole configuration.
        hopeless: whether the run should end, by a step and what was measured there.
        ranks: the processes that train the run together.
        step: finished steps.
    """

    directory: RunDirectory
    device: torch.device
    config: dict[str, Any]
    facts: dict[str, Any]
    train: TrainConf
    game: Game
    preview: Preview
    samplers: Mapping[str, Sampler]
    total_steps: int
    selection: Evaluator | None = None
    final: Evaluator | None = None
    play: Callable[[int], Stats] | None = None
    dials: Sequence[Dial] = ()
    ema: EMA | None = None
    hparams: Mapping[str, Any] = field(default_factory=dict)
    hopeless: Callable[[int, Mapping[str, float]], bool] = lambda step, values: False
    ranks: Ranks = ALONE
    meter: Meter = field(default_factory=Meter)
    step: int = 0

    def advance(self) -> None:
        """One step: every player's moves, under the step's learning rates and other scheduled numbers."""
        for turn in self.dials:
            turn(self.step)
        seen = self.images_seen
        stats = (self.play or self.game.play)(self.step)
        self.step += 1
        if self.ema is not None:
            self.ema.update(self.game.networks["generator"], self.images_seen - seen, self.images_seen)
        self.meter.add(self.step, stats)

    def select(self) -> Evaluation | None:
        """What the generator is worth now, of samples that nothing else shows."""
        if self.selection is None:
            return None
        weights, sampler = next(iter(self.samplers.items()))
        return self.selection.evaluate(sampler.of_stream(_SELECTION), weights)

    def assist(self, final: bool) -> None:
        """This rank's share of the work of `select`, or of `evaluate` at the end, which the first rank does."""
        evaluator = self.final if final else self.selection
        for sampler in self.samplers.values():
            if evaluator is not None:
                evaluator.assist(sampler if final else sampler.of_stream(_SELECTION))
            if not final:
                return

    def evaluate(self) -> Iterator[Evaluation]:
        """What the generator is worth at the end, with each of its weights, of samples that no choice has seen: those
        that gan-evaluate draws with the run's seed."""
        if self.final is not None:
            for weights, sampler in self.samplers.items():
                yield self.final.evaluate(sampler, weights)

    @property
    def curves(self) -> list[str]:
        """The names of what is most worth a curve."""
        guides = [f"metrics/{self.selection.guide.metric}"] if self.selection is not None else []
        return [*guides, *(f"loss/{player.name}" for player in self.game.players)]

    @property
    def networks(self) -> dict[str, nn.Module]:
        """What is saved, by name: those of the game, and the average."""
        return self.game.networks | ({} if self.ema is None else {"ema": self.ema.network})

    @property
    def images_seen(self) -> int:
        """Real samples shown to the discriminator so far."""
        return self.game.images_seen(self.step)

    def state(self) -> Checkpoint:
        """All that an exact resume needs."""
        tensors: dict[str, Tensor] = {}
        for name, network in self.networks.items():
            tensors |= checkpoint.network_state(name, network)
        for player in self.game.players:
            tensors |= checkpoint.optimizer_state(player.name, player.optimizer)
        tensors |= {f"meter/{name}": tensor for name, tensor in self.meter.state().items()}
        return Checkpoint(self.step, self.config, self.facts, tensors)

    def restore(self, stored: Checkpoint) -> None:
        """Take up the state of a checkpoint, exactly.

        Raises:
            Refused: it belongs to other networks.
        """
        for name, network in self.networks.items():
            if name != "augment" or stored.part("network/augment"):  # an augmentation allowed now begins now
                stored.load_network(name, network)
        for player in self.game.players:
            stored.load_optimizer(player.name, player.optimizer)
        self.meter.restore(stored.part("meter"), self.device)
        self.step = stored.step

    def save(self) -> None:
        """Write `last` and the checkpoint of this step; remove numbered ones beyond the newest `train.keep`. Of several
        ranks the first one writes.

        Raises:
            Diverged: the state is not worth keeping.
            RunFailed: the ranks hold different ones.
        """
        self.meter.check()
        state, keep = self.state(), self.train.keep
        self.ranks.check_equal(self.step, state.tensors)
        if not self.ranks.leads:
            return
        if keep and self.step:
            checkpoint.save(self.directory.checkpoint(self.step), state, second_name=self.directory.last)
        else:
            checkpoint.save(self.directory.last, state)
        numbered = sorted(self.directory.checkpoints.glob("step_*.safetensors"))
        for old in numbered[: max(0, len(numbered) - keep)]:
            old.unlink(missing_ok=True)

    def save_best(self) -> None:
        """Write `best`.

        Raises:
            Diverged: the state is not worth keeping.
        """
        self.meter.check()
        checkpoint.save(self.directory.best, self.state())

    def with_less_memory(self) -> str:
        """What to type to train the same with less memory."""
        batch = self.train.batch_size
        discriminator = self.config["model"]["discriminator"]
        group = int(discriminator.get("minibatch_std", 0)) or 1
        smaller = memory.smaller_batch(batch, int(discriminator.get("packing", 1)), group)
        if smaller is None:
            return "smaller widths of the model need less"
        return f"train.batch_size={smaller} needs about half of what train.batch_size={batch} does"

    def description(self) -> list[str]:
        """The arithmetic that the configuration implies, for a person."""
        shape = "×".join(map(str, self.facts["sample_shape"]))
        device = self.config["device"]
        return [
            str(self.directory.path),
            ", ".join(f"{name} {count:,} parameters" for name, count in self.parameters().items()),
            self._size(),
            f"{self.facts['num_samples']:,} samples of {shape}; {self.total_steps:,} steps of {self.train.batch_size} "
            f"samples{self._shared_out}; {device['type']}, {device['precision']}, {self.facts['threads']} threads",
        ]

    @property
    def _shared_out(self) -> str:
        size = self.ranks.size
        return "" if size == 1 else f", {self.train.batch_size // size} on each of {size} ranks"

    def _size(self) -> str:
        """What lies in memory throughout."""
        weights = [tensor for network in self.networks.values() for tensor in network.state_dict().values()]
        moved = [parameter for network in self.game.networks.values() for parameter in network.parameters()]
        states = [
            state for player in self.game.players for state in checkpoint.expected_state(player.optimizer).values()
        ]
        sizes = {
            "weights": sum(tensor.nbytes for tensor in weights),
            "gradients": sum(parameter.nbytes for parameter in moved),
            "optimizers": sum(dtype.itemsize * math.prod(shape) for dtype, shape in states),
            "data": sum(dataset.samples.nbytes for dataset in self.preview.datasets),
        }
        told = "in memory: " + ", ".join(f"{name} {size / 2**20:,.1f} MB" for name, size in sizes.items())
        if any(dataset.mapped for dataset in self.preview.datasets):
            return told + ", mapped from a file: read as needed, dropped when memory is short"
        away = any(dataset.samples.device.type != self.device.type for dataset in self.preview.datasets)
        return told + (f", beside the {self.device.type} device: brought there batch by batch" if away else "")

    def parameters(self) -> dict[str, int]:
        """The number of parameters of each network of the game that has any."""
        counts = {
            name: sum(parameter.numel() for parameter in network.parameters())
            for name, network in self.game.networks.items()
        }
        return {name: count for name, count in counts.items() if count}
