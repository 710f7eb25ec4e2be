import numpy as np
import pytest
from PIL import Image

from recipes.pictograms.drawings import Drawing
from recipes.pictograms.nearness import find_copies
from recipes.pictograms.pictures import SIZE_PX, BlankPictureError, draw, square, trim
from recipes.pictograms.rendering_cache import RenderingCache, digest

HEAD = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 10" width="20" height="10">'
BOX = f'{HEAD}<rect width="20" height="10" fill="#f00"/></svg>'


def test_a_wide_drawing_stands_in_the_middle_of_a_transparent_square():
    pixels = draw(Drawing("set", "box", svg=BOX))
    assert pixels.shape == (SIZE_PX, SIZE_PX, 4)
    assert pixels[40, 40].tolist() == [255, 0, 0, 255]
    assert pixels[:20, :, 3].max() == pixels[60:, :, 3].max() == 0


def test_an_empty_drawing_is_refused():
    with pytest.raises(BlankPictureError):
        draw(Drawing("set", "nothing", svg=f"{HEAD}</svg>"))


def test_half_transparent_edges_keep_their_colour():
    image = Image.new("RGBA", (160, 160), (0, 0, 0, 0))
    image.paste((200, 100, 50, 255), (1, 1, 159, 159))
    assert np.asarray(square(image))[0, 40] == pytest.approx([200, 100, 50, 128], abs=1)


def test_the_empty_page_around_clip_art_is_cut_off():
    page = Image.new("RGBA", (400, 600))
    page.paste((0, 0, 255, 255), (300, 400, 340, 420))
    assert trim(page).size == (44, 24)


def test_copies_are_found_and_others_are_not():
    red = draw(Drawing("set", "red", svg=BOX))
    blue = draw(Drawing("set", "blue", svg=BOX.replace("#f00", "#00f")))
    nearly = np.clip(red.astype(int) - 3, 0, 255).astype(np.uint8)
    assert find_copies(np.stack([nearly, blue]), np.stack([red])).tolist() == [True, False]


def test_renderings_outlive_a_run(tmp_path):
    key = digest(Drawing("set", "red", svg=BOX))
    path = tmp_path / "renderings.sqlite"
    with RenderingCache(path) as cache:
        assert cache.get(key) is None
        cache.put(key, (b"pixels", ""))
    with RenderingCache(path) as cache:
        assert cache.get(key) == (b"pixels", "")
