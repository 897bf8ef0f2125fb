"""One of several ranks, without the others: its share of draws and batches, and what it refuses."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import TINY, Result
from torch import nn

from gan_cli import accelerate
from gan_cli.build import build
from gan_cli.checkpoint import Checkpoint
from gan_cli.commands.conduct import take_up
from gan_cli.commands.resumed import joining
from gan_cli.commands.sample import sample
from gan_cli.data.batches import Batches
from gan_cli.data.dataset import Dataset
from gan_cli.errors import Refused
from gan_cli.parse import typed_as
from gan_cli.ranks.batch_norm import SharedBatchNorm, share_statistics
from gan_cli.ranks.draws import SharedStreams
from gan_cli.ranks.ranks import ALONE, Ranks
from gan_cli.run_directory import RunDirectory
from gan_cli.schema import Config, DeviceConf, DeviceType, Facts
from gan_cli.streams import Streams

FIRST, SECOND = Ranks(0, 2, 0), Ranks(1, 2, 1)
ENVIRONMENT = {"RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "GROUP_RANK": "0"}
ENVIRONMENT |= {"MASTER_ADDR": "localhost", "MASTER_PORT": "1"}


def of_ranks(size: int) -> list[SharedStreams]:
    return [SharedStreams(5, torch.device("cpu"), Ranks(rank, size)) for rank in range(size)]


@pytest.mark.parametrize("kind", ["normal", "uniform"])
def test_what_all_ranks_draw_is_what_one_draws_for_the_whole_batch(kind: str, streams: Streams) -> None:
    whole = getattr(Streams(5, streams.device), kind)("latents", 3, (12, 4))
    parts = [getattr(part, kind)("latents", 3, (4, 4)) for part in of_ranks(3)]
    assert torch.equal(torch.cat(parts), whole)
    assert not torch.equal(parts[0], parts[1])


def test_the_numbers_of_a_move_are_shared_out_and_whole_ones_are_not() -> None:
    first, second = (part.draws("D", 7) for part in of_ranks(2))
    whole = Streams(5, torch.device("cpu")).draws("D", 7)
    found = torch.cat([first.of("fake").normal("noise", (3, 2)), second.of("fake").normal("noise", (3, 2))])
    assert torch.equal(found, whole.of("fake").normal("noise", (6, 2)))
    assert torch.equal(second.whole.uniform("targets", (6, 1)), whole.uniform("targets", (6, 1)))


def test_an_order_is_the_same_on_every_rank_and_dropout_is_not() -> None:
    first, second = of_ranks(2)
    assert torch.equal(first.permutation("data/order", 0, 9), second.permutation("data/order", 0, 9))
    dropped = []
    for part in (first, second, Streams(5, torch.device("cpu"))):
        with torch.random.fork_rng():
            part.seed_modules("modules", 2)
            dropped.append(torch.rand(8))
    assert torch.equal(dropped[0], dropped[2])
    assert not torch.equal(dropped[0], dropped[1])


def test_batches_of_ranks_are_those_of_one_cut_up(streams: Streams) -> None:
    dataset = Dataset(torch.arange(20).reshape(20, 1, 1, 1).expand(-1, 1, 1, 2).to(torch.uint8), torch.arange(20))

    def batches(streams: Streams, ranks: Ranks) -> Batches:
        return Batches(dataset, 8, streams, shuffle=True, drop_last=False, flip=True, ranks=ranks)

    whole = batches(streams, ALONE)
    parts = [batches(SharedStreams(0, streams.device, ranks), ranks) for ranks in (FIRST, SECOND)]
    for number in range(6):  # two epochs, with their ragged ends
        found = [part(number) for part in parts]
        assert torch.equal(torch.cat([batch.samples for batch in found]), whole(number).samples)
        assert torch.equal(
            torch.cat([batch.labels for batch in found if batch.labels is not None]), whole(number).labels
        )
    assert parts[0].images_in(5) == whole.images_in(5) == 36


def test_a_rank_is_one_where_torchrun_says_so_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    assert Ranks.of_environment() == Ranks(1, 4, 1, 0)
    monkeypatch.delenv("MASTER_PORT")  # left over from something else
    assert Ranks.of_environment() == ALONE


def test_other_commands_are_refused_under_torchrun(cli: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (ENVIRONMENT | {"RANK": "0", "LOCAL_RANK": "0"}).items():
        monkeypatch.setenv(name, value)
    refused = cli("checkpoint=run", command=sample)
    assert refused.code == 2
    assert refused.err == "gan-command: 4 processes would each do all of it: run it without torchrun\n".replace(
        "gan-command", "gan-sample"
    )


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["train.batch_size=15"], "train.batch_size=15 cannot be shared out among 2 ranks: train.batch_size=14 can"),
        (
            ["model.discriminator.packing=4", "train.batch_size=12"],
            "train.batch_size=12 cannot be shared out among 2 ranks with packs of 4: train.batch_size=8 can",
        ),
        (
            ["data.num_samples=61", "data.drop_last=false"],
            "the last batch of 13 samples cannot be shared out among 2 ranks: data.drop_last=true, or data.limit=60",
        ),
        (["train.unroll=2"], "train.unroll=2 foresees updates of the discriminator, and each of 2 ranks"),
        (
            ["model.discriminator.minibatch_std=16"],
            "makes groups of 16 in 16 samples, and the 8 of each of 2 ranks are no whole number of groups: "
            "model.discriminator.minibatch_std=8 makes groups that fit",
        ),
    ],
)
def test_what_cannot_be_shared_out_is_refused_with_its_mend(
    overrides: list[str], told: str, compose: Callable[..., Config]
) -> None:
    with pytest.raises(Refused) as refused:
        build(compose(*TINY, *overrides), RunDirectory(Path("unused")), ranks=FIRST)
    assert told in str(refused.value)
    mend = str(refused.value).rsplit(" or ", 1)[-1].rsplit(": ", 1)[-1].split()[0]
    if "=" in mend:
        build(compose(*TINY, *overrides, mend), RunDirectory(Path("unused")), ranks=FIRST)


def test_a_layer_that_looks_at_several_samples_in_its_own_way_is_refused() -> None:
    class OfMine(nn.BatchNorm1d):
        pass

    for layer, name in ((OfMine(3), "OfMine"), (nn.BatchNorm1d(3, momentum=None), "momentum=None")):
        with pytest.raises(Refused, match=name):
            share_statistics(nn.Sequential(layer), FIRST)
        share_statistics(nn.Sequential(layer), ALONE)


def test_a_shared_batch_norm_keeps_names_and_parameters_and_is_alone_in_evaluation() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.BatchNorm1d(4)))
    before, inputs = dict(network.named_parameters()), torch.randn(6, 3)
    keys, expected = list(network.state_dict()), network.eval()(inputs)
    share_statistics(network, FIRST)
    assert isinstance(network[1][0], SharedBatchNorm)
    assert list(network.state_dict()) == keys
    assert all(parameter is before[name] for name, parameter in network.named_parameters())
    assert torch.equal(network(inputs), expected)


@pytest.mark.parametrize("shape", [(8, 3), (8, 3, 4, 5)])
def test_a_shared_batch_norm_of_one_is_torchs(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.BatchNorm1d(3) if len(shape) == 2 else nn.BatchNorm2d(3)).double()
    ours = nn.Sequential(type(plain[0])(3)).double()
    share_statistics(ours, Ranks(0, 2))
    object.__setattr__(ours[0], "ranks", ALONE)
    inputs, weights = 3 + 2 * torch.randn(shape, dtype=torch.float64), torch.randn(shape, dtype=torch.float64)
    results = []
    for network in (plain, ours):
        leaf = inputs.clone().requires_grad_()
        outputs = network(leaf)
        (outputs * weights).sum().backward()
        results.append([outputs, leaf.grad, *(p.grad for p in network.parameters()), *network.buffers()])
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_a_rank_has_the_gpu_of_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    conf = DeviceConf(type=DeviceType.cuda, threads=None)
    assert accelerate.prepare(conf, SECOND) == torch.device("cuda", 1)
    with pytest.raises(Refused, match="no GPU for process 2 of this host, which has 2: torchrun --nproc-per-node=2"):
        accelerate.prepare(conf, Ranks(2, 3, 2))
    with pytest.raises(Refused, match=r"device.index=1.*leave device.index out"):
        accelerate.prepare(DeviceConf(type=DeviceType.cuda, threads=None, index=1), SECOND)


def test_the_other_ranks_have_hydra_make_and_log_nothing() -> None:
    typed = ["loss=bce", "hydra.run.dir=elsewhere", "hydra/job_logging=run", "hydra.output_subdir=x"]
    silent = ["hydra.run.dir=.", "hydra.output_subdir=null", "hydra/job_logging=console"]
    silent += ["hydra.job_logging.root.level=ERROR"]
    assert joining(Path("/runs/a"), typed) == ["loss=bce", *silent]
    assert joining(Path("/runs/a"), ["seed=1", "resume=/runs/a"]) == ["resume=/runs/a", "seed=1", *silent]


def test_another_number_of_ranks_is_told_when_a_run_is_taken_up(
    compose: Callable[..., Config], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = build(compose(*TINY), RunDirectory(tmp_path))
    assert run.facts["ranks"] == 1
    stored = json.loads(json.dumps(run.facts)) | {"ranks": 2}
    take_up(run, typed_as(Facts, stored, "the facts"))
    assert "not bit-exact from here on: ranks was 2, is 1" in caplog.text
    older = Checkpoint(0, {}, {key: value for key, value in stored.items() if key != "ranks"}, {})
    assert typed_as(Facts, older.facts, "the facts").ranks == 1
