import base64
import json
import re

import numpy as np
import pyarrow as pa
import pytest

from clipworks.search.map_page import Colouring, MapData, colour_by_column, render_map

NASTY = """</script><script>alert(1)</script> & "double" 'single' @@DATA@@ \\ $x"""


def data_of(page):
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    return json.loads(text)


def make(**changes):
    fields = {
        "title": NASTY,
        "subtitle": NASTY,
        "points": np.array([[0, 0.5], [-1, 1]], np.float32),
        "names": [NASTY, "/a/b.png"],
        "captions": ["a dog", NASTY],
        "colourings": [Colouring(NASTY, [0, None], [NASTY])],
        "sheets": ["data:image/webp;base64,AAAA"],
        "tile_px": 64,
    }
    return render_map(MapData(**{**fields, **changes}))


def test_the_page_holds_all_and_needs_nothing_beside_it():
    page = make()
    data = data_of(page)
    points = np.frombuffer(base64.b64decode(data["points"]), "<f4").reshape(-1, 2)
    np.testing.assert_array_equal(points, [[0, 0.5], [-1, 1]])
    assert data["names"] == [NASTY, "/a/b.png"]
    assert data["captions"] == ["a dog", NASTY]
    assert data["colourings"][0]["values"] == [0, None]
    assert (data["tile"], data["across"]) == (64, 32)
    assert "prefers-color-scheme: dark" in page
    for outside in ("http://", "https://", "url(", "src=", "@import"):
        assert outside not in page


def test_whatever_a_text_holds_is_shown_as_text():
    page = make()
    assert page.count("<script") == 2
    assert page.count("</script>") == 2
    assert "&lt;/script&gt;" in page
    assert "@@TITLE@@" not in page


def test_long_captions_are_cut():
    assert len(data_of(make(captions=["x" * 10_000, ""]))["captions"][0]) == 300


@pytest.mark.parametrize(
    ("values", "kinds", "found"),
    [
        (["b", "a", "b", None], ["b", "a"], [0, 1, 0, None]),
        ([True, False, None, True], ["True", "False"], [0, 1, None, 0]),
        (["a", "a", None, None], None, None),
        ([f"kind {n}" for n in range(60)], None, None),
    ],
)
def test_columns_of_a_few_kinds_colour_points(values, kinds, found):
    colouring = colour_by_column("c", pa.chunked_array([values]))
    if kinds is None:
        assert colouring is None
    else:
        assert list(colouring.kinds) == kinds
        assert list(colouring.values) == found


def test_columns_of_numbers_colour_by_their_share_of_the_range():
    numbers = [*range(101), None, float("nan")]
    colouring = colour_by_column("n", pa.chunked_array([pa.array(numbers, pa.float64())]))
    assert (colouring.low, colouring.high) == (1, 99)
    assert colouring.values[50] == pytest.approx(0.5)
    assert (colouring.values[0], colouring.values[100]) == (0, 1)
    assert colouring.values[-2:] == [None, None]
    assert colour_by_column("n", pa.chunked_array([pa.array([3, 3, None])])) is None
    assert colour_by_column("n", pa.chunked_array([pa.nulls(3, pa.int64())])) is None
