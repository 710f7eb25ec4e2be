import xml.etree.ElementTree as ElementTree

import pytest
from PIL import Image

from clipworks.errors import MissingExtraError
from clipworks.plots.pareto_plot import ParetoPoint, draw_pareto

POINTS = [
    ParetoPoint("fp32, 8", "onnx", speed=20.0, error=0.0, is_best=True),
    ParetoPoint("int8, 8", "onnx", speed=120.0, error=1e-4, is_best=True),
    ParetoPoint("fp32, 8", "torch", speed=10.0, error=1e-7, is_best=False),
]
WORDS = {"title": "A title", "speed": "images a second", "error": "1 - cosine"}


def test_both_formats_are_drawn_with_the_words(tmp_path):
    files = [tmp_path / "p.svg", tmp_path / "p.png"]
    draw_pareto(POINTS, files, **WORDS)
    ElementTree.parse(files[0])
    with Image.open(files[1]) as picture:
        assert picture.size == (1200, 750)
        # each series' first colour is on the canvas
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 20)}
    assert {(0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)} <= colours
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.png", "p.svg"]


def test_without_matplotlib_the_pip_line_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'clipworks\[plots\]'"):
        draw_pareto(POINTS, [tmp_path / "p.svg"], **WORDS)
