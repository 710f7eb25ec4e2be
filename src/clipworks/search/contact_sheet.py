"""Search results as one HTML page that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from clipworks.data.addresses import short_name
from clipworks.data.contents import open_again
from clipworks.errors import InputError
from clipworks.inputs.decoding import decode_image
from clipworks.inputs.orientation import orient
from clipworks.search.hits import Hit
from clipworks.search.thumbnails import picture_uri, shrink

THUMBNAIL_PX = 320
_SMALL_PX = 150  # a picture below this is not blown up to the card's edges: it would be a blur
_QUALITY = 82


@dataclass(frozen=True)
class Answer:
    """One query and its hits.

    Attributes:
        query: in words; for a picture, its name.
        hits: best first.
        picture: the file, where the query was a picture.
    """

    query: str
    hits: Sequence[Hit]
    picture: Path | None = None


def render_contact_sheet(
    answers: Sequence[Answer],
    *,
    title: str,
    subtitle: str = "",
    footer: str = "",
) -> str:
    """Draw the page: every picture is in it as a thumbnail, so that it can be sent as it is.

    Args:
        answers: one section each.
        title: of the page.
        subtitle: a line below the title.
        footer: a line at the end, for example to name the pictures' makers.

    Returns:
        HTML. A picture that is gone, or cannot be read, is listed with a note in its place.
    """
    page = Template(files("clipworks.search").joinpath("contact_sheet.html").read_text("utf-8"))
    return page.substitute(
        title=escape(title),
        subtitle=escape(subtitle),
        sections="\n".join(_section(answer) for answer in answers),
        footer=escape(footer or "Made with clipworks."),
    )


def _section(answer: Answer) -> str:
    picture, words = "", escape(answer.query)
    if answer.picture:
        picture = _image_tag(str(answer.picture), alt="the query") or ""
        words = f"like {words}"
    best = max((hit.similarity for hit in answer.hits), default=0.0)
    cards = "\n".join(_card(hit, best) for hit in answer.hits)
    results = f"<ol>\n{cards}\n</ol>" if cards else '<p class="none">Nothing was found.</p>'
    return f"<section>\n<h2>{picture}<span>{words}</span></h2>\n{results}\n</section>"


def _card(hit: Hit, best: float) -> str:
    """Draw one hit; its bar is relative to the best one's, whatever the model's scale."""
    share = max(0.0, hit.similarity / best) if best > 0 else 0.0
    lines = [
        f'<div class="score"><span class="rank">{hit.rank}</span>'
        f'<span class="track"><i style="width:{share:.1%}"></i></span>'
        f"<span>{hit.similarity:.3f}</span></div>"
    ]
    if figures := _figures(hit):
        lines.append(f'<div class="figures">{escape(figures)}</div>')
    if hit.caption:
        lines.append(
            f'<div class="caption" title="{escape(hit.caption)}">{escape(hit.caption)}</div>'
        )
    if hit.image_path:
        name = short_name(hit.image_path)
        lines.append(f'<div class="file" title="{escape(hit.image_path)}">{escape(name)}</div>')
    words = "\n".join(lines)
    return f'<li>{_picture(hit)}<div class="words">{words}</div></li>'


def _figures(hit: Hit) -> str:
    figures = [] if hit.probability is None else [f"{hit.probability:.0%} likely"]
    return " · ".join([*figures, *(f"{name} {score:.2f}" for name, score in hit.scores.items())])


def _picture(hit: Hit) -> str:
    if not hit.image_path:
        return ""
    tag = _image_tag(hit.image_path, alt=hit.caption or hit.image_path)
    return f'<div class="picture">{tag or _GONE}</div>'


_GONE = '<span class="gone">the picture is no longer there, or cannot be read</span>'


def _image_tag(path: str, *, alt: str) -> str | None:
    """An `img` with the thumbnail in it; None where the picture cannot be read."""
    try:
        image = orient(decode_image(open_again(path)))
    except InputError:
        return None
    small = max(image.size) < _SMALL_PX
    # Icons and cut-out drawings are made for white paper, on a dark page too.
    names = "paper small" if small else "paper" if image.has_transparency_data else "full"
    source = picture_uri(shrink(image, THUMBNAIL_PX), quality=_QUALITY)
    return f'<img class="{names}" loading="lazy" alt="{escape(alt)}" src="{source}">'
