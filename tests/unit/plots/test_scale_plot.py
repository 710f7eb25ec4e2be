import xml.etree.ElementTree as ElementTree

import pytest
from PIL import Image

from clipworks.errors import MissingExtraError
from clipworks.plots.scale_plot import ScalePoint, draw_scale

POINTS = [
    ScalePoint("ours", 10, {"build, s": 1.0, "query, ms": 0.1}),
    ScalePoint("ours", 100, {"build, s": 5.0, "query, ms": 0.2}),
    ScalePoint("theirs", 10, {"build, s": 9.0}),
]


def test_a_panel_a_quantity_and_a_colour_a_series(tmp_path):
    files = [tmp_path / "p.svg", tmp_path / "p.png"]
    draw_scale(POINTS, files, title="A title", size="rows")
    ElementTree.parse(files[0])
    with Image.open(files[1]) as picture:
        assert picture.size == (960, 510)
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 20)}
    assert {(0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)} <= colours


def test_without_matplotlib_the_pip_line_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"clipworks\[plots\]"):
        draw_scale(POINTS, [tmp_path / "p.svg"], title="t", size="s")
