import io
import struct
import zlib

import pytest
import torch
from PIL import Image, ImageFile
from torch import Tensor
from torch.nn.functional import interpolate

from gan_cli.data import pictures
from gan_cli.data.pictures import Unreadable

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
BACKGROUND = (10, 20, 30)


def encoded(picture: Image.Image, format: str = "PNG", **options) -> io.BytesIO:
    file = io.BytesIO()
    picture.save(file, format, **options)
    return io.BytesIO(file.getvalue())


def read(
    file: io.BytesIO, resolution: int = 8, channels: int = 3, fit: str = "stretch", background=BACKGROUND
) -> Tensor:
    return pictures.read(file, channels, resolution, fit, background).pixels


def plain(color: tuple[int, ...], height: int = 8, width: int = 8) -> Tensor:
    return torch.tensor(color, dtype=torch.uint8)[:, None, None].expand(-1, height, width)


def picture_of(pixels: Tensor) -> Image.Image:
    """uint8 (3, H, W) as a picture."""
    return Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())


def assert_nearly(pixels: Tensor, expected: Tensor, levels: int = 1) -> None:
    torch.testing.assert_close(pixels.int(), expected.int(), rtol=0, atol=levels)


NOISE = torch.randint(0, 256, (3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


# Formats and depths


@pytest.mark.parametrize(
    ("format", "options"), [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("PPM", {}), ("WEBP", {"lossless": True})]
)
@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_a_lossless_picture_of_the_right_size_comes_through_byte_for_byte(format, options, fit):
    assert torch.equal(read(encoded(picture_of(NOISE), format, **options), fit=fit), NOISE)


def test_a_palette_gives_its_colors_and_not_its_indices():
    picture = Image.new("P", (8, 8), 0)
    picture.putpalette([*GREEN, *BLUE])
    picture.paste(1, (4, 0, 8, 8))
    assert torch.equal(read(encoded(picture)), torch.cat([plain(GREEN, 8, 4), plain(BLUE, 8, 4)], 2))


@pytest.mark.parametrize("value", [0, 1])
def test_a_bilevel_picture_is_black_and_white(value):
    assert torch.equal(read(encoded(Image.new("1", (8, 8), value))), plain((255 * value,) * 3))


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bit_grey_is_scaled_to_eight(format, channels):
    levels = torch.arange(65536)
    picture = Image.frombytes("I;16", (256, 256), struct.pack("<65536H", *levels.tolist()))
    pixels = read(encoded(picture, format), resolution=256, channels=channels).reshape(channels, -1)
    expected = (levels / 257).expand(channels, -1)
    assert ((pixels - expected).abs() < 1).all()
    assert torch.equal(pixels[:, ::257].int(), torch.arange(256, dtype=torch.int32).expand(channels, -1))


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pixels_whose_range_is_not_known_are_refused(mode):
    with pytest.raises(Unreadable, match=f"mode {mode}"):
        read(encoded(Image.new(mode, (8, 8), 70_000), "TIFF"))


@pytest.mark.parametrize(
    ("ink", "color"),
    [((0, 255, 255, 0), RED), ((255, 255, 0, 0), BLUE), ((0, 0, 0, 0), WHITE), ((0, 0, 0, 255), (0,) * 3)],
)
def test_cmyk_is_converted_as_ink_on_white_paper(ink, color):
    assert_nearly(read(encoded(Image.new("CMYK", (16, 16), ink), "JPEG", quality=100)), plain(color), levels=3)


def test_of_an_animation_the_first_frame_is_taken():
    frames = [Image.new("RGB", (8, 8), color) for color in (RED, GREEN, BLUE)]
    assert torch.equal(read(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])), plain(RED))


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda stored: stored),
        (2, lambda stored: stored.flip(2)),
        (3, lambda stored: stored.flip(1, 2)),
        (4, lambda stored: stored.flip(1)),
        (5, lambda stored: stored.mT),
        (6, lambda stored: stored.rot90(-1, (1, 2))),
        (7, lambda stored: stored.mT.flip(1, 2)),
        (8, lambda stored: stored.rot90(1, (1, 2))),
    ],
)
def test_a_photograph_is_turned_as_its_camera_says(orientation, upright):
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert torch.equal(read(encoded(picture_of(NOISE), exif=exif)), upright(NOISE))


def test_an_oblong_photograph_is_turned_before_it_is_cropped():
    bars = torch.cat([plain(RED, 8, 8), plain(GREEN, 8, 8), plain(BLUE, 8, 16)], 2)  # 8 high, 32 wide
    exif = Image.Exif()
    exif[0x0112] = 6  # clockwise: red on top
    pixels = read(encoded(picture_of(bars), exif=exif), fit="pad", resolution=32)
    assert torch.equal(pixels[:, :, 12:20], torch.cat([plain(RED), plain(GREEN), plain(BLUE, 16, 8)], 1))


# Transparency


def palette() -> io.BytesIO:
    picture = Image.new("P", (8, 8), 0)
    picture.putpalette([*RED, *BLUE])
    picture.paste(1, (0, 0, 4, 8))
    return encoded(picture, transparency=0)


def palette_with_alphas() -> io.BytesIO:
    picture = Image.new("P", (8, 8), 0)
    picture.putpalette([*RED, *BLUE])
    picture.paste(1, (0, 0, 4, 8))
    return encoded(picture, transparency=bytes([0, 255]))


def with_alpha(format: str, **options) -> io.BytesIO:
    picture = Image.new("RGBA", (8, 8), (*RED, 0))
    picture.paste((*BLUE, 255), (0, 0, 4, 8))
    return encoded(picture, format, **options)


def with_color_key() -> io.BytesIO:
    picture = Image.new("RGB", (8, 8), RED)
    picture.paste(BLUE, (0, 0, 4, 8))
    return encoded(picture, transparency=RED)


TRANSPARENT = {
    "palette": palette,
    "palette-alphas": palette_with_alphas,
    "RGBA": lambda: with_alpha("PNG"),
    "RGBA-webp": lambda: with_alpha("WEBP", lossless=True, exact=True),
    "RGBA-tiff": lambda: with_alpha("TIFF"),
    "gif": lambda: with_alpha("GIF"),
    "color-key": with_color_key,
}


@pytest.mark.parametrize("made", TRANSPARENT.values(), ids=TRANSPARENT)
@pytest.mark.parametrize("background", [BACKGROUND, WHITE])
def test_transparent_red_shows_the_background(made, background):
    expected = torch.cat([plain(BLUE, 8, 4), plain(background, 8, 4)], 2)
    assert torch.equal(read(made(), background=background), expected)


@pytest.mark.parametrize(
    "picture", [Image.new("LA", (8, 8), (200, 0)), Image.new("L", (8, 8), 200)], ids=["LA", "grey-key"]
)
def test_transparent_grey_shows_the_background(picture):
    options = {} if picture.mode == "LA" else {"transparency": 200}
    assert torch.equal(read(encoded(picture, **options)), plain(BACKGROUND))


def test_transparent_sixteen_bit_grey_shows_the_background():
    """The transparent level is 0x1234; 0x3434, which is as bright as its lower byte, is not."""
    picture = Image.frombytes("I;16", (8, 8), struct.pack("<64H", *([0x1234] * 32 + [0x3434] * 32)))
    pixels = read(encoded(picture, transparency=0x1234))
    assert torch.equal(pixels, torch.cat([plain(BACKGROUND, 4, 8), plain((0x34,) * 3, 4, 8)], 1))


@pytest.mark.parametrize("alpha", [0, 1, 77, 128, 254, 255])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_half_transparent_pixels_are_mixed_with_the_background_by_their_alpha(mode, alpha):
    color = (200, 200, 200) if mode == "LA" else (200, 100, 50)
    if mode == "P":
        picture = Image.new("P", (8, 8), 0)
        picture.putpalette(color)
        file = encoded(picture, transparency=bytes([alpha]))
    else:
        file = encoded(Image.new(mode, (8, 8), (*color[: len(mode) - 1], alpha)))
    mixed = [round((alpha * over + (255 - alpha) * under) / 255) for over, under in zip(color, BACKGROUND, strict=True)]
    assert_nearly(read(file), plain(tuple(mixed)))


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("resolution", [3, 8, 19])
def test_no_fringe_of_a_hidden_color_appears_when_a_picture_is_resized(fit, resolution):
    picture = Image.new("RGBA", (10, 10), (*RED, 0))
    picture.paste((*BLUE, 255), (3, 2, 7, 9))
    pixels = read(encoded(picture), resolution=resolution, fit=fit, background=BLUE)
    assert torch.equal(pixels, plain(BLUE, resolution, resolution))


# From oblong to square


def test_stretch_shows_the_whole_width():
    thirds = torch.cat([plain(color) for color in (RED, GREEN, BLUE)], 2)  # 8 high, 24 wide
    pixels = read(encoded(picture_of(thirds)))
    for column, color in ((1, RED), (4, GREEN), (6, BLUE)):
        assert torch.equal(pixels[:, :, column : column + 1], plain(color, 8, 1))


@pytest.mark.parametrize("axis", [1, 2])
def test_crop_shows_the_middle_alone(axis):
    thirds = torch.cat([plain(color) for color in (RED, GREEN, BLUE)], axis)
    assert torch.equal(read(encoded(picture_of(thirds)), fit="crop"), plain(GREEN))


@pytest.mark.parametrize("axis", [1, 2])
def test_crop_takes_as_much_from_either_side(axis):
    halves = torch.cat([plain(RED), plain(BLUE)], axis)
    kept = read(encoded(picture_of(halves)), fit="crop")
    assert torch.equal(kept, torch.cat([plain(RED), plain(BLUE)], axis).narrow(axis, 4, 8))


@pytest.mark.parametrize("axis", [1, 2])
def test_pad_keeps_every_pixel_between_two_bars_of_background(axis):
    halves = torch.cat([plain(RED), plain(BLUE)], axis)
    across = 3 - axis
    bar = plain(BACKGROUND, 4, 16) if across == 1 else plain(BACKGROUND, 16, 4)
    pixels = read(encoded(picture_of(halves)), resolution=16, fit="pad")
    assert torch.equal(pixels, torch.cat([bar, halves, bar], across))


@pytest.mark.parametrize(
    ("fit", "height", "width"), [("stretch", 8, 8), ("crop", 8, 16), ("pad", 4, 8)], ids=["stretch", "crop", "pad"]
)
def test_pixels_are_resampled_as_torch_does_it_with_antialiasing(fit, height, width):
    noise = torch.randint(0, 256, (3, 10, 20), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)
    whole = interpolate(noise[None].float(), (height, width), mode="bilinear", antialias=True)[0].round()
    above, left = (8 - height) // 2, (width - 8) // 2
    pixels = read(encoded(picture_of(noise)), fit=fit)
    assert_nearly(pixels[:, above : above + height], whole[:, :, left : left + 8])


@pytest.mark.parametrize("fit", ["stretch", "crop"])
@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (7, 5)])
def test_a_plain_picture_of_any_proportions_stays_plain(fit, size):
    assert torch.equal(read(encoded(Image.new("RGB", size, GREEN)), fit=fit), plain(GREEN))


@pytest.mark.parametrize("size", [(1, 3000), (3000, 1)])
def test_a_line_is_padded_to_a_line(size):
    pixels = read(encoded(Image.new("RGB", size, GREEN)), fit="pad")
    green = (pixels == plain(GREEN)).all(0)
    assert torch.equal(green | (pixels == plain(BACKGROUND)).all(0), torch.ones(8, 8, dtype=torch.bool))
    assert green.sum() == 8


# Grey


@pytest.mark.parametrize("color", [RED, GREEN, BLUE, WHITE, (12, 200, 99)])
def test_grey_is_the_luma_of_the_colors(color):
    luma = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]  # ITU-R BT.601
    assert_nearly(read(encoded(Image.new("RGB", (8, 8), color)), channels=1), plain((round(luma),)))


def test_a_grey_picture_has_three_equal_channels_or_one():
    grey = encoded(Image.fromarray(NOISE[0].numpy()))
    assert torch.equal(read(grey, channels=1), NOISE[:1])
    assert torch.equal(read(grey), NOISE[:1].expand(3, -1, -1))


def test_transparency_and_padding_show_the_background_in_grey_too():
    pixels = read(
        encoded(Image.new("LA", (16, 8), (200, 0))), channels=1, resolution=16, fit="pad", background=(90,) * 3
    )
    assert torch.equal(pixels, plain((90,), 16, 16))


# What is no picture


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def claiming(width: int, height: int) -> io.BytesIO:
    """A PNG of a few bytes whose header speaks of width × height pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return io.BytesIO(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b""))


@pytest.mark.parametrize(("format", "kept"), [("PNG", 0.5), ("JPEG", 0.9), ("GIF", 0.5), ("BMP", 0.5), ("WEBP", 0.5)])
def test_a_truncated_picture_is_unreadable(format, kept):
    picture = picture_of(NOISE).resize((64, 64))
    content = encoded(picture, format).getvalue()
    with pytest.raises(Unreadable, match=r"damaged|not a picture"):
        read(io.BytesIO(content[: int(kept * len(content))]))


def test_a_picture_with_flipped_bytes_is_unreadable():
    content = bytearray(encoded(picture_of(NOISE)).getvalue())
    middle = content.index(b"IDAT") + 20
    content[middle] ^= 0xFF
    with pytest.raises(Unreadable, match="damaged"):
        read(io.BytesIO(content))


@pytest.mark.parametrize(
    "content",
    [b"", b"just a text\n", b"\x89PNG\r\n\x1a\n", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n"],
    ids=["zero-bytes", "text", "signature-alone", "program-in-PostScript"],
)
def test_what_is_no_picture_is_unreadable(content):
    with pytest.raises(Unreadable, match=r"^not a picture that can be read$"):
        read(io.BytesIO(content))


@pytest.mark.parametrize("side", [8001, 9500, 20_000, 2**31 - 1])
def test_a_header_that_claims_too_many_pixels_is_unreadable_before_anything_is_decoded(side, monkeypatch):
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("it was decoded"))
    with pytest.raises(Unreadable, match="pixels"):
        read(claiming(side, side))


def test_the_largest_picture_that_is_read_has_max_pixels(monkeypatch):
    monkeypatch.setattr(pictures, "MAX_PIXELS", 64)
    assert torch.equal(read(encoded(picture_of(NOISE))), NOISE)
    with pytest.raises(Unreadable, match="13×5 pixels, more than 64"):
        read(encoded(Image.new("RGB", (13, 5))))
