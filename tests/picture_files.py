"""Files for the tests of folders: 25 that cannot be used, each for a reason of its own, and good ones of all kinds."""

import io
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image


def encoded(picture: Image.Image, format: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, format, **options)
    return file.getvalue()


def noise(seed: int, size: tuple[int, int] = (40, 30), channels: int = 3) -> Image.Image:
    """A picture that no codec makes short: what is cut from its file is missing."""
    shape = (size[1], size[0], channels)[: 3 if channels > 1 else 2]
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def claiming(side: int) -> bytes:
    """A PNG of a few bytes whose header speaks of side × side pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def cut(format: str, kept: float) -> bytes:
    content = encoded(noise(1), format)
    return content[: int(kept * len(content))]


def flipped() -> bytes:
    content = bytearray(encoded(noise(2)))
    content[content.index(b"IDAT") + 50] ^= 0xFF
    return bytes(content)


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        zipped.writestr("inside.png", encoded(noise(3)))
    return file.getvalue()


def node(kind: int) -> Callable[[Path], None]:
    return lambda path: os.mknod(path, kind | 0o600)


def link(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


UNREADABLE = "not a picture that can be read"
UNDECODABLE = os.fsdecode(b"caf\xe9.png")
# Its name, what it holds or how it is made, and the reason that is told.
BAD: dict[str, tuple[bytes | Callable[[Path], None], str]] = {
    "cut.jpg": (cut("JPEG", 0.6), r"damaged: .*truncated.*"),
    "cut.png": (cut("PNG", 0.6), r"damaged: .*"),
    "cut.gif": (cut("GIF", 0.6), r"damaged: .*truncated.*"),
    "cut.bmp": (cut("BMP", 0.6), r"damaged: .*truncated.*"),
    "cut.webp": (cut("WEBP", 0.6), rf"damaged: .*|{UNREADABLE}"),
    "flipped bytes.png": (flipped(), r"damaged: .*"),
    "signature.png": (b"\x89PNG\r\n\x1a\n", UNREADABLE),
    "empty.jpg": (b"", r"an empty file"),
    "text.png": (b"no picture\n", UNREADABLE),
    "page.jpg": (b"<!DOCTYPE html><html><body>404 Not Found</body></html>", UNREADABLE),
    "drawing.png": (b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>', UNREADABLE),
    "postscript.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n", UNREADABLE),
    "zipped.png": (archive(), UNREADABLE),
    "bomb of 144 megapixels.png": (claiming(12_000), r"12000×12000 pixels, more than 64,000,000"),
    "bomb of 900 megapixels.png": (claiming(30_000), r"its header claims more than 64,000,000 pixels"),
    "depth of 32.tif": (encoded(Image.new("I", (8, 8), 70_000), "TIFF"), r"pixels of mode I, .*"),
    "real numbers.tif": (encoded(Image.new("F", (8, 8), 0.5), "TIFF"), r"pixels of mode F, .*"),
    "photograph.heic": (b"\0\0\0\x18ftypheic", r"HEIC is not read: convert it to PNG or JPEG"),
    "Layers.PSD": (b"8BPS\0\1", r"PSD is not read: convert it to PNG or JPEG"),
    "dangling.png": (link("nowhere.png"), r"a link that leads nowhere"),
    "itself.png": (link("itself.png"), r"Too many levels of symbolic links"),
    "pipe.png": (node(stat.S_IFIFO), r"a pipe"),
    "socket.png": (node(stat.S_IFSOCK), r"a socket"),
    "null.png": (link("/dev/null"), r"a device"),
    UNDECODABLE: (b"no picture either", UNREADABLE),
}


def make_bad(root: Path) -> None:
    """All bad files, in one folder."""
    root.mkdir(parents=True, exist_ok=True)
    for name, (made, _) in BAD.items():
        if isinstance(made, bytes):
            (root / name).write_bytes(made)
        else:
            made(root / name)


def good(number: int) -> tuple[str, bytes]:
    """A picture's name and content: of all formats and depths that are read, one after the other."""
    animated = [noise(number + frame) for frame in range(3)]
    palette = noise(number).quantize(16)
    palette.info["transparency"] = 3
    sixteen = Image.frombytes("I;16", (16, 16), struct.pack("<256H", *range(0, 65536, 256)))
    kinds: list[tuple[str, Callable[[], bytes]]] = [
        (".png", lambda: encoded(noise(number))),
        (".jpg", lambda: encoded(noise(number), "JPEG")),
        (" 猫 größe.png", lambda: encoded(noise(number, (30, 40)))),
        (".cmyk.jpg", lambda: encoded(noise(number).convert("CMYK"), "JPEG")),
        (".palette.png", lambda: encoded(palette)),
        (".alpha.png", lambda: encoded(noise(number, channels=4))),
        (".animated.gif", lambda: encoded(animated[0], "GIF", save_all=True, append_images=animated[1:])),
        (".sixteen.png", lambda: encoded(sixteen)),
        (".grey.tif", lambda: encoded(noise(number, channels=1), "TIFF")),
        (".webp", lambda: encoded(noise(number), "WEBP", lossless=True)),
    ]
    suffix, make = kinds[number % len(kinds)]
    return f"{number:05d}{suffix}", make()


def make_good(root: Path, count: int) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        name, content = good(number)
        (root / name).write_bytes(content)
