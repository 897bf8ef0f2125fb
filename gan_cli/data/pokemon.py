"""D2L's Pokémon sprites: a folder of species in one archive, fetched once."""

from collections.abc import Sequence

from gan_cli.data import folder
from gan_cli.data.dataset import Dataset
from gan_cli.data.download import fetch
from gan_cli.data.origin import Origin

URL = "https://d2l-data.s3-accelerate.amazonaws.com/pokemon.zip"
SHA1 = "c065c0e2593b8b161a2d7873e42418bf6a21106c"
ORIGIN = Origin(
    "Pokémon sprites",
    "the makers of the games, collected for Dive into Deep Learning",
    "none is granted: the drawings belong to the makers of the games (Nintendo, Game Freak, Creatures)",
    "https://d2l.ai/chapter_generative-adversarial-networks/dcgan.html",
)
INSTEAD = (
    "Get pokemon.zip on another machine, from the address above or any archive of sprites laid out as\n"
    "pokemon/SPECIES/NAME.png, and name it, or the unpacked folder: data.root=PATH"
)


def load(
    root: str | None = None,
    channels: int = 3,
    resolution: int = 64,
    fit: str = "stretch",
    background: Sequence[int] = (255, 255, 255),
    strict: bool = False,
) -> Dataset:
    """The sprites as RGB images, transparency over white, one class a species (see `folder.load`).

    Args:
        root: an archive or folder that is already there; None fetches D2L's.

    Raises:
        Refused: as `folder.load` and `download.fetch`.
    """
    path = root or str(fetch(URL, f"sha1:{SHA1}", INSTEAD))
    return folder.load(path, channels, resolution, fit, background, strict)
