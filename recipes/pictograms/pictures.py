"""From a drawing to 80 x 80 RGBA pixels.

Axes: s = SIZE_PX rows and columns, c = 4 channels (red, green, blue, alpha; not premultiplied).
"""

from __future__ import annotations

import io

import numpy as np
import resvg_py
from PIL import Image

from recipes.pictograms.drawings import Drawing

SIZE_PX = 80
MIN_VISIBLE_SHARE = 0.01
VISIBLE_ALPHA = 24
PAGE_PX = 400
MARGIN_SHARE = 0.05
CSS_DPI = 96


class BlankPictureError(ValueError):
    """A rendering shows nothing."""


def draw(drawing: Drawing) -> np.ndarray:
    """Return the picture of a drawing as uint8 (s, s, c).

    Raises:
        BlankPictureError: less than one percent of the square is visible.
        Exception: whatever resvg or Pillow raises on a broken file.
    """
    pixels = np.asarray(square(decode(drawing)))
    if (pixels[:, :, 3] >= VISIBLE_ALPHA).mean() < MIN_VISIBLE_SHARE:
        raise BlankPictureError("blank")
    return pixels


def decode(drawing: Drawing) -> Image.Image:
    """Render or open a drawing; files of clip art lose the empty page around the drawing."""
    if drawing.path is None:
        return render_svg(drawing.svg, width_px=2 * SIZE_PX)
    if drawing.path.suffix == ".svg":
        text = drawing.path.read_text(encoding="utf-8", errors="replace")
        return trim(render_svg(text, width_px=PAGE_PX))
    with Image.open(drawing.path) as image:
        return trim(image.convert("RGBA"))


def render_svg(text: str, *, width_px: int) -> Image.Image:
    """Render SVG text at a width; the height follows."""
    png = resvg_py.svg_to_bytes(
        svg_string=text, width=width_px, dpi=CSS_DPI, skip_system_fonts=True
    )
    return Image.open(io.BytesIO(bytes(png))).convert("RGBA")


def trim(image: Image.Image) -> Image.Image:
    """Cut off transparent borders, keeping a margin of five percent."""
    visible = image.getchannel("A").point([0] * VISIBLE_ALPHA + [255] * (256 - VISIBLE_ALPHA))
    box = visible.getbbox()
    if box is None:
        return image
    margin = round(MARGIN_SHARE * max(box[2] - box[0], box[3] - box[1]))
    return image.crop((box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin))


def square(image: Image.Image) -> Image.Image:
    """Scale an image to fit SIZE_PX and centre it on a transparent square."""
    scale = SIZE_PX / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    premultiplied = image.convert("RGBa").resize((width, height), Image.Resampling.BOX)
    canvas = Image.new("RGBA", (SIZE_PX, SIZE_PX))
    corner = ((SIZE_PX - width) // 2, (SIZE_PX - height) // 2)
    canvas.paste(premultiplied.convert("RGBA"), corner)
    return canvas
