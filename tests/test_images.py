import torch
from PIL import Image

from gan_cli import images


def test_bytes_of_minus_one_zero_and_one() -> None:
    assert images.to_bytes(torch.tensor([-1.0, 0.0, 1.0, -5.0, 5.0])).tolist() == [0, 128, 255, 0, 255]


def test_stored_bytes_survive_the_way_through_the_network_range() -> None:
    from gan_cli.data.dataset import as_network_input

    every = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(images.to_bytes(as_network_input(every)), every)


def test_grid_places_image_n_at_its_row_and_column_enlarged_without_smoothing() -> None:
    colours = torch.linspace(-1, 1, 6)
    shown = images.grid(colours[:, None, None, None].expand(6, 1, 28, 28), columns=3)
    assert shown.shape == (1, 2 * 58 + 2, 3 * 58 + 2)
    for number in range(6):
        row, column = divmod(number, 3)
        cell = shown[0, 2 + 58 * row : 58 * (row + 1), 2 + 58 * column : 58 * (column + 1)]
        assert set(cell.flatten().tolist()) == set(images.to_bytes(colours[number : number + 1]).tolist())


def test_colour_grid_keeps_its_channels_apart() -> None:
    red = torch.tensor([1.0, -1.0, -1.0]).reshape(1, 3, 1, 1).expand(1, 3, 64, 64)
    assert images.grid(red)[:, 10, 10].tolist() == [255, 0, 0]


def test_png_is_lossless(tmp_path) -> None:
    for channels in (1, 3):
        noise = torch.randint(0, 256, (channels, 9, 7), dtype=torch.uint8)
        images.save_png(tmp_path / "a.png", noise)
        assert torch.equal(images.read_png(tmp_path / "a.png"), noise)


def test_animation_holds_the_grids_in_order_and_thins_out_long_ones(tmp_path) -> None:
    frames = []
    for shade in range(0, 250, 5):
        frames.append(tmp_path / f"{shade:03d}.png")
        images.save_png(frames[-1], torch.full((1, 16, 16), shade, dtype=torch.uint8))
    images.save_animation(tmp_path / "a.webp", frames)
    with Image.open(tmp_path / "a.webp") as animation:
        shades = []
        for number in range(animation.n_frames):
            animation.seek(number)
            shades.append(animation.convert("L").getpixel((8, 8)))
    assert shades == sorted(shades)
    assert len(shades) == 50
    images.save_animation(tmp_path / "b.webp", frames * 5)
    with Image.open(tmp_path / "b.webp") as animation:
        assert animation.n_frames <= 200
    images.save_animation(tmp_path / "none.webp", [])
    assert not (tmp_path / "none.webp").exists()
