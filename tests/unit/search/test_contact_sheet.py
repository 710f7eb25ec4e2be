import base64
import io
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from clipworks.search.contact_sheet import THUMBNAIL_PX, Answer, render_contact_sheet
from clipworks.search.hits import Hit
from tests.support.colours import save_picture
from tests.support.sources import write_tar

NASTY = """<script>alert("1")</script> & 'quotes' "double" </title> $title ${x}"""


class Page(HTMLParser):
    """Collects the tags, and the texts inside them."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if data.strip():
            self.texts.append(data.strip())

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def hit(rank=1, similarity=0.3, path=None, caption=None):
    return Hit(rank, similarity, rank - 1, None if path is None else str(path), caption, {})


def render(*answers, **settings):
    return Page(render_contact_sheet(answers, title="a title", **settings))


def thumbnail(page, number=0):
    kind, _, content = page.all("img")[number]["src"].partition("base64,")
    assert kind == "data:image/webp;"
    return Image.open(io.BytesIO(base64.b64decode(content)))


def test_the_page_needs_nothing_beside_it(tmp_path):
    html = render_contact_sheet(
        [Answer("red", [hit(path=save_picture(tmp_path / "a.png", "red"))])], title="t"
    )
    page = Page(html)
    assert not page.all("script")
    assert not page.all("link")
    assert all(image["src"].startswith("data:") for image in page.all("img"))
    assert "http" not in html
    assert "url(" not in html
    assert "prefers-color-scheme: dark" in html


def test_several_queries_stand_on_one_page(tmp_path):
    red, blue = (save_picture(tmp_path / f"{c}.png", c) for c in ("red", "blue"))
    page = render(Answer("one", [hit(path=red)]), Answer("two", [hit(path=blue), hit(2, path=red)]))
    assert len(page.all("section")) == 2
    assert len(page.all("li")) == 3
    assert "one" in page.texts
    assert "two" in page.texts
    assert thumbnail(page, 1).getpixel((8, 8))[2] > 200


def test_whatever_a_text_holds_is_shown_as_text(tmp_path):
    picture = save_picture(tmp_path / NASTY.replace("/", "") / "a.png", "red")
    answers = [Answer(NASTY, [hit(path=picture, caption=NASTY)])]
    html = render_contact_sheet(answers, title=NASTY, subtitle=NASTY, footer=NASTY)
    page = Page(html)
    assert not page.all("script")
    assert [text for text in page.texts if text == NASTY] == [NASTY] * 6
    (image,) = page.all("img")
    assert image["alt"] == NASTY
    assert {div["title"] for div in page.all("div") if "title" in div} == {NASTY, str(picture)}


def test_names_with_quotes_stay_whole(tmp_path):
    picture = save_picture(tmp_path / """it's "so" <b>.png""", "red")
    page = render(Answer("q", [hit(path=picture)]))
    assert """it's "so" <b>.png""" in page.texts
    assert page.all("img")[0]["alt"] == str(picture)


def test_thumbnails_are_small_and_keep_their_shape(tmp_path):
    path = tmp_path / "wide.png"
    Image.new("RGB", (2000, 500), "red").save(path)
    assert thumbnail(render(Answer("q", [hit(path=path)]))).size == (THUMBNAIL_PX, 80)


def test_a_small_picture_is_not_blown_up(tmp_path):
    page = render(Answer("q", [hit(path=save_picture(tmp_path / "a.png", "red", size=40))]))
    assert thumbnail(page).size == (40, 40)
    assert page.all("img")[0]["class"] == "paper small"


def test_cut_out_pictures_keep_their_transparency(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGBA", (400, 400), (255, 0, 0, 0)).save(path)
    page = render(Answer("q", [hit(path=path)]))
    assert page.all("img")[0]["class"] == "paper"
    assert thumbnail(page).mode == "RGBA"


def test_pictures_stand_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (300, 200), "red").save(tmp_path / "a.jpg", exif=exif)
    assert thumbnail(render(Answer("q", [hit(path=tmp_path / "a.jpg")]))).size == (200, 300)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "CMYK", "I;16", "F", "RGBA"])
def test_pictures_of_every_mode_are_shown(tmp_path, mode):
    path = tmp_path / ("a.tif" if mode in ("CMYK", "F", "I;16") else "a.png")
    if mode == "I;16":
        Image.fromarray((np.arange(40000).reshape(200, 200)).astype(np.uint16)).save(path)
    else:
        Image.new(mode, (200, 200)).save(path)
    assert thumbnail(render(Answer("q", [hit(path=path)]))).size == (200, 200)


def test_sixteen_bits_are_not_clipped_to_white(tmp_path):
    levels = np.linspace(0, 65535, 40000).reshape(200, 200).astype(np.uint16)
    Image.fromarray(levels).save(tmp_path / "a.tif")
    shown = np.asarray(thumbnail(render(Answer("q", [hit(path=tmp_path / "a.tif")]))))
    assert 100 < shown.mean() < 155


@pytest.mark.parametrize("content", [None, b"", b"no picture"])
def test_a_picture_that_cannot_be_shown_is_listed_with_a_note(tmp_path, content):
    path = tmp_path / "a.png"
    if content is not None:
        path.write_bytes(content)
    page = render(Answer("q", [hit(path=path, caption="words")]))
    assert not page.all("img")
    assert "the picture is no longer there, or cannot be read" in page.texts
    assert "words" in page.texts
    assert "a.png" in page.texts


def test_bars_are_relative_to_the_best_hit():
    page = render(Answer("q", [hit(1, 0.4), hit(2, 0.3), hit(3, -0.1)]))
    assert [bar["style"] for bar in page.all("i")] == ["width:100.0%", "width:75.0%", "width:0.0%"]
    assert "0.400" in page.texts


def test_a_picture_that_is_the_query_is_shown(tmp_path):
    query = save_picture(tmp_path / "query.png", "green")
    page = render(Answer("query.png", [], query))
    assert thumbnail(page).getpixel((5, 5))[1] > 200
    assert "like query.png" in page.texts
    assert "Nothing was found." in page.texts


def test_pictures_in_tars_are_shown(tmp_path):
    picture = save_picture(tmp_path / "red.png", "red")
    tar = write_tar(tmp_path / "0.tar", [("red.png", picture.read_bytes())])
    page = render(Answer("red", [hit(path=f"tar://red.png::{tar}"), hit(path="tar://no::/no.tar")]))
    (image,) = page.all("img")
    assert image["src"].startswith("data:image/webp;base64,")
    assert any("no longer there" in text for text in page.texts)
