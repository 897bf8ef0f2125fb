"""Is experiment=sprites64 better than the course's DCGAN on few pictures? Trains both, in turns, on real sprites.

    python benchmarks/sprites.py --data pokemon.zip --pictures 500 --seeds 0 1 2 --device cuda
    python benchmarks/sprites.py --table         the table of what the log holds

The data are an archive laid out as pokemon/SPECIES/NAME.png. Pictures of one species are nearly alike, so species are
kept together: a fifth of them is held out, and both recipes learn from all others or from the first so many pictures of
them, species after species in a shuffled order. Samples are compared with the species held out.

Ours trains for so many images. The course's is measured twice: when it has seen as many images, and when it has had as
much time; measuring is not training. The judge is a random convolutional network like `random_v1` with other weights,
which no setting was chosen by.
"""

import argparse
import json
import random
import statistics
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from interval import interval
from random_net import draw
from step import built
from table import machine
from timed import Timed
from torch import Tensor

from gan_cli import images
from gan_cli.data.dataset import Dataset
from gan_cli.data.pokemon import load
from gan_cli.extractors import Extractor
from gan_cli.extractors.random_conv import Pictures
from gan_cli.metrics.kid import polynomial_mmd2
from gan_cli.metrics.neighbors import copied_share, nearest
from gan_cli.metrics.prdc import prdc
from gan_cli.metrics.random_net import EMBEDDING_DIM
from gan_cli.metrics.standardize import Standardizer, standardizer
from gan_cli.sampling import Sampler

LOG = Path(__file__).parent / "results" / "sprites.jsonl"
OURS, COURSE = ["experiment=sprites64"], ["experiment=d2l_pokemon", "train.epochs=100000"]
ALL, HELD_OUT = 0, 0.2
PLANTED = 0.1  # share of the samples replaced by mirrored training images, to see that copies would be found
JUDGE_SEED = 2


def split(archive: Path, directory: Path, pictures: int) -> tuple[Path, Path]:
    """Unpack the training pictures and those held out, as folders of species.

    Args:
        pictures: how many to train on; `ALL` for all that are not held out.
    """
    train, held_out = directory / "train", directory / "held_out"
    with zipfile.ZipFile(archive) as opened:
        groups = together([entry for entry in opened.infolist() if not entry.is_dir()])
        random.Random(0).shuffle(groups)
        every = [name for group in groups for name in group]
        aside = list(accumulate(map(len, groups)))
        last = next(count for count in aside if count >= HELD_OUT * len(every))
        opened.extractall(held_out, every[:last])
        opened.extractall(train, every[last:][: pictures or None])
    return train, held_out


def together(entries: Sequence[zipfile.ZipInfo]) -> list[list[str]]:
    """The names of the files, by species; species that share a file, as forms of one do, are one."""
    groups: list[tuple[set[tuple[int, int]], set[str]]] = []
    species: dict[str, list[zipfile.ZipInfo]] = {}
    for entry in entries:
        species.setdefault(PurePosixPath(entry.filename).parent.name, []).append(entry)
    for members in species.values():
        contents, names = {(entry.CRC, entry.file_size) for entry in members}, {entry.filename for entry in members}
        kin = [group for group in groups if group[0] & contents]
        groups = [group for group in groups if not group[0] & contents]
        groups.append((contents.union(*(one for one, _ in kin)), names.union(*(one for _, one in kin))))
    return sorted(sorted(names) for _, names in groups)


@dataclass(frozen=True)
class Judge:
    """Compares samples with pictures of species that nobody was trained on.

    Attributes:
        see: bytes -> features.
        real, trained_on: what is held out, and what both learn from.
    """

    see: Extractor
    real: Dataset
    trained_on: Dataset

    def __call__(self, sampler: Sampler) -> dict[str, float]:
        """As many samples as there are pictures held out."""
        drawn = images.to_bytes(sampler(range(len(self.real))))
        seen = self._features(drawn)
        planted = drawn.clone()
        count = round(PLANTED * len(drawn))
        planted[:count] = self.trained_on.samples[:count].flip(-1)
        return self._scores(seen) | {"planted": self._copied(self._features(planted))}

    def floor(self) -> dict[str, float]:
        """What the training pictures score beside those held out: real ones, of other species."""
        order = torch.randperm(len(self.trained_on), generator=torch.Generator().manual_seed(0))
        real = self._features(self.trained_on.samples[order[: len(self.real)]])
        told = self._scores(real)
        return {name: told[name] for name in ("kid", "precision", "coverage")}

    def _scores(self, seen: Tensor) -> dict[str, float]:
        found = prdc(self._held_out[: len(seen)], seen)
        return {
            "kid": polynomial_mmd2(seen, self._held_out),
            "precision": found.precision,
            "coverage": found.coverage,
            "copied": self._copied(seen),
        }

    def _copied(self, seen: Tensor) -> float:
        """The share that is nearer to a training picture than all but 0.5 % of the pictures held out."""
        return copied_share(self._to_training(seen), self._baseline)

    def _to_training(self, seen: Tensor) -> Tensor:
        return torch.minimum(*(nearest(seen, form)[0] for form in self._training))

    def _features(self, pictures: Tensor) -> Tensor:
        return self._standardizer(self._embedding(pictures))

    def _embedding(self, pictures: Tensor) -> Tensor:
        return torch.cat([self.see(some.to(self.see.device)).embedding for some in pictures.split(250)])

    @cached_property
    def _standardizer(self) -> Standardizer:
        return standardizer(self._embedding(self.real.samples))

    @cached_property
    def _held_out(self) -> Tensor:
        return self._features(self.real.samples)

    @cached_property
    def _training(self) -> tuple[Tensor, Tensor]:
        samples = self.trained_on.samples
        return self._features(samples), self._features(samples.flip(-1))

    @cached_property
    def _baseline(self) -> Tensor:
        return self._to_training(self._held_out)


def judge(real: Path, trained_on: Path, device: torch.device, seed: int = JUDGE_SEED) -> Judge:
    """The judge of these folders."""
    see = Extractor("random", Pictures(draw(seed)), EMBEDDING_DIM, "").to(device)
    return Judge(see, load(str(real)), load(str(trained_on)))


def race(
    seed: int, archive: Path, pictures: int, count: int, turn: int, common: Sequence[str], sheets: Path | None
) -> dict[str, Any]:
    """One seed of both: what was measured of each, after how many images and seconds.

    Args:
        count: of images that ours is trained on.
        turn: images of a turn, of either.
        sheets: where 64 samples of each are put.
    """
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        train, held_out = split(archive, place, pictures)
        settings = [f"data.root={train}", f"seed={seed}", "train.evaluate_every=0", *common]
        ours = Timed(built([*OURS, f"train.steps={count // 64}", *settings], place))
        course = Timed(built([*COURSE, *settings], place))
        told = judge(held_out, train, ours.run.device)

        def of(one: Timed, name: str) -> dict[str, Any]:
            weights, sampler = next(iter(one.run.samplers.items()))
            if sheets is not None:
                sheets.mkdir(parents=True, exist_ok=True)
                sheet = images.png(images.grid(sampler(range(64)), 8))
                (sheets / f"{name}_{pictures or 'all'}_{seed}.png").write_bytes(sheet)
            reached = {"at": name, "images": one.run.images_seen, "seconds": one.seconds, "weights": weights}
            return reached | told(sampler)

        while not ours.done:
            ours.advance(turn // 64)
            course.advance(turn // 256)
        lines, left = [of(ours, "ours")], {"images", "time"}
        while left:
            reached = {"images": course.run.images_seen >= count, "time": course.seconds >= ours.seconds}
            for name in sorted(name for name in left if reached[name]):
                lines.append(of(course, name))
                left.remove(name)
            if left:
                course.advance(turn // 256)
        facts = {"seed": seed, "pictures": pictures, "trained_on": len(told.trained_on), "held_out": len(told.real)}
        device = ours.run.facts["device"]
        return facts | {"machine": f"{device}; {machine()}", "floor": told.floor(), "told": lines}


def rows(races: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Of one set of pictures: figures of ours and of the course, and by how much they differ from seed to seed."""

    def values(at: str, name: str) -> list[float]:
        return [line[name] for one in races for line in one["told"] if line["at"] == at]

    floor = races[0]["floor"]
    for name, digits in (("kid", 2), ("coverage", 3), ("precision", 3), ("copied", 3), ("planted", 3)):
        ours = values("ours", name)
        cells = [name, interval(ours, digits)]
        for at in ("images", "time"):
            theirs = values(at, name)
            differences = [mine - other for mine, other in zip(ours, theirs, strict=True)]
            cells += [interval(theirs, digits), interval(differences, digits) + better(name, differences)]
        cells.append(f"{floor[name]:.{digits}f}" if name in floor else "")
        yield "| " + " | ".join(cells) + " |"


def better(name: str, differences: Sequence[float]) -> str:
    """In how many seeds ours is; of what has a better."""
    if name not in ("kid", "coverage", "precision"):
        return ""
    count = sum(difference < 0 if name == "kid" else difference > 0 for difference in differences)
    return f", better in {count} of {len(differences)}"


def table(races: Sequence[Mapping[str, Any]]) -> str:
    """What the log says, a table for each set of pictures."""
    lines = []
    for pictures in sorted({one["pictures"] for one in races}):
        some = [one for one in races if one["pictures"] == pictures]
        seen = {line["at"]: line for line in some[0]["told"]}
        taken = [statistics.median(line["seconds"] for one in some for line in one["told"] if line["at"] == at)
                 for at in ("ours", "images")]  # fmt: skip
        lines += [
            f"{some[0]['trained_on']:,} pictures, {len(some)} seeds, {seen['ours']['images']:,} images of ours in "
            f"{taken[0]:.0f} s, as many of the course's in {taken[1]:.0f} s; {some[0]['machine']}",
            "",
            "| | ours | course, equal images | difference | course, equal time | difference | real, other species |",
            "|---|---|---|---|---|---|---:|",
            *rows(some),
            "",
        ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the archive of sprites")
    parser.add_argument("--pictures", type=int, default=ALL, help="to train on; 0: all that are not held out")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--images", type=int, default=192_000, help="that ours sees")
    parser.add_argument("--turn", type=int, default=6_400, help="images of a turn")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--set", nargs="*", default=[], help="further settings of both")
    parser.add_argument("--sheets", type=Path)
    parser.add_argument("--log", type=Path, default=LOG)
    parser.add_argument("--table", action="store_true", help="train nothing")
    options = parser.parse_args()
    for seed in () if options.table else options.seeds:
        common = [f"device={options.device}", *options.set]
        one = race(seed, options.data, options.pictures, options.images, options.turn, common, options.sheets)
        with options.log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(one) + "\n")
        print(f"{options.pictures or 'all'} pictures, seed {seed} done", flush=True)
    lines = options.log.read_text(encoding="utf-8").splitlines() if options.log.exists() else []
    print(table([json.loads(line) for line in lines]) if lines else "nothing is in the log yet")


if __name__ == "__main__":
    main()
