import base64
import io

import numpy as np
from PIL import Image

from clipworks.search import thumbnails
from clipworks.search.thumbnails import choose_tile_px, make_sheets
from tests.support.colours import COLOURS, save_picture


def opened(uri):
    kind, _, content = uri.partition("base64,")
    assert kind == "data:image/webp;"
    return Image.open(io.BytesIO(base64.b64decode(content))).convert("RGBA")


def test_every_picture_has_its_square(tmp_path, monkeypatch):
    monkeypatch.setattr(thumbnails, "SHEET_PX", 80)  # four squares of 40 on each sheet
    names = ["red", "green", "blue", "red", "green"]
    paths = [str(save_picture(tmp_path / f"{n}.png", name)) for n, name in enumerate(names)]
    told = []
    sheets, missing = make_sheets([*paths, None, "gone.png"], 40, lambda *n: told.append(n))
    assert missing == 2
    assert told[-1] == (7, 7)
    assert len(sheets) == 2
    for number, name in enumerate(names):
        sheet = opened(sheets[number // 4])
        spot = (number % 2 * 40 + 20, number % 4 // 2 * 40 + 20)
        assert sheet.getpixel(spot)[3] == 255
        distance = np.abs(np.subtract(sheet.getpixel(spot)[:3], COLOURS[name])).max()
        assert distance < 40
    assert opened(sheets[1]).getpixel((60, 20))[3] == 0  # the one that there is none of


def test_shapes_are_kept_and_what_is_see_through_is_white(tmp_path):
    Image.new("RGBA", (60, 30), (255, 0, 0, 0)).save(tmp_path / "a.png")
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(tmp_path / "b.png")
    (sheet,), _ = make_sheets([str(tmp_path / "a.png"), str(tmp_path / "b.png")], 40)
    image = opened(sheet)
    assert image.size == (80, 40)
    assert image.getpixel((20, 2))[3] == 0
    assert min(image.getpixel((20, 20))) > 250


def test_the_more_pictures_the_smaller_they_are():
    sizes = [choose_tile_px(count) for count in (10, 2000, 20_000, 1_000_000)]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == 4
