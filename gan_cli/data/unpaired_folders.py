"""Pictures of the user's own in two folders or .zip archives, between which is translated."""

from collections.abc import Sequence

from gan_cli.data.folder import looking, pictures_of
from gan_cli.data.origin import Origin
from gan_cli.data.unpaired import Unpaired

ORIGIN = Origin("two folders of pictures", "", "not known to gan-cli: yours to name")


def load(
    a: str,
    b: str,
    channels: int = 3,
    resolution: int = 256,
    fit: str = "crop",
    background: Sequence[int] = (255, 255, 255),
    strict: bool = False,
) -> Unpaired:
    """All pictures of both sides, each read as `folder.load` reads them; every message names its side.

    Args:
        a, b: directories or .zip files, with any number of pictures each.
        channels, resolution, fit, background, strict: of both (see `folder.load`).

    Raises:
        Refused: as `folder.load`, of either.
    """
    look = looking(channels, resolution, fit, background)
    return Unpaired(*(pictures_of(root, look, strict, f"data.{side}") for side, root in (("a", a), ("b", b))))
