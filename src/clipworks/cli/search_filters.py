"""The options by which `search`, `filter` and the others choose among a folder's samples."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipworks.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clipworks.encoders.embedder import Embedder
    from clipworks.search.folder_contents import Modality
    from clipworks.search.query import Query
    from clipworks.search.search_options import Aesthetic, HeadLimit

Words = Annotated[
    list[str] | None,
    typer.Argument(help="What to look for; each text is a query of its own.", show_default=False),
]
Pictures = Annotated[
    list[str] | None,
    typer.Option(
        "--image", "-i",
        help="Look for what resembles this picture, a file or an http(s) address.",
        show_default=False,
    ),
]  # fmt: skip
Expressions = Annotated[
    list[str] | None,
    typer.Option(
        "--query", "-q",
        help="A sum of texts in quotes, pictures and embeddings (.npy, .json): "
        "'\"a dog\" - 0.5 * \"grass\" + photo.jpg'.",
        show_default=False,
    ),
]  # fmt: skip
Where = Annotated[
    str,
    typer.Option(
        help="Only samples whose metadata fulfil this condition, as in SQL: "
        "\"width > 500 AND license = 'cc0'\".",
        show_default=False,
    ),
]
Relevant = Annotated[
    bool, typer.Option("--relevant", help="Only what probably is an answer; perhaps nothing.")
]
Heads = Annotated[
    list[str] | None,
    typer.Option(
        "--head",
        metavar="NAME=FILE[:MIN..MAX]",
        help="Score with this head, for example aesthetic=linear.pth:6.. for 6 and more.",
        show_default=False,
    ),
]
Dedup = Annotated[bool, typer.Option("--dedup", help="Leave near duplicates of better hits out.")]
DedupThreshold = Annotated[
    float,
    typer.Option(
        envvar="CLIPWORKS_DEDUP_THRESHOLD", help="The cosine from which on two are duplicates."
    ),
]
ModalityOption = Annotated[
    str, typer.Option("--modality", help="Look among pictures (image) or captions (text).")
]

_HEAD = re.compile(
    r"(?P<name>[\w-]+)=(?P<path>.+?)"
    r"(?::(?P<low>-?\d*\.?\d+|)\.\.(?P<high>-?\d*\.?\d+|))?"
)
_AESTHETIC = re.compile(r"(?P<path>.+?)(?::(?P<weight>-?\d*\.?\d+))?")


def make_queries(
    words: Sequence[str] | None, expressions: Sequence[str] | None, images: Sequence[str] | None
) -> list[Query]:
    """Make a query of each text, expression and picture.

    Raises:
        InputError: one of them cannot be used.
    """
    from clipworks.search.query import Query

    return [
        *(Query.text(text) for text in words or ()),
        *(Query.parse(expression) for expression in expressions or ()),
        *(Query.image(picture) for picture in images or ()),
    ]


def check_modality(given: str) -> Modality:
    """Return the modality.

    Raises:
        SettingsError: there is no such one.
    """
    from clipworks.search.folder_contents import MODALITIES

    for modality in MODALITIES:
        if given == modality:
            return modality
    raise SettingsError(f"--modality {given!r}: expected {' or '.join(MODALITIES)}")


def read_heads(given: Sequence[str] | None) -> tuple[HeadLimit, ...]:
    """Read `NAME=FILE[:MIN..MAX]`.

    Raises:
        SettingsError: it is not written so, or a name is given twice.
        CheckpointError: the file is no head.
    """
    from clipworks.search.heads import load_head
    from clipworks.search.search_options import HeadLimit

    limits: dict[str, HeadLimit] = {}
    for text in given or ():
        found = _HEAD.fullmatch(text)
        if not found or found["name"] in {*limits, "similarity", "probability"}:
            raise SettingsError(
                f"--head {text!r}: expected NAME=FILE or NAME=FILE:MIN..MAX, each name once, "
                "for example aesthetic=sa_0_4_vit_l_14_linear.pth:6.."
            )
        limits[found["name"]] = HeadLimit(
            found["name"],
            load_head(Path(found["path"])),
            low=float(found["low"] or "-inf"),
            high=float(found["high"] or "inf"),
        )
    return tuple(limits.values())


def read_aesthetic(given: str) -> Aesthetic | None:
    """Read `FILE[:WEIGHT]`; None where nothing is given.

    Raises:
        CheckpointError: the file is no embedding.
    """
    from clipworks.search.heads import read_aesthetic_embedding
    from clipworks.search.search_options import Aesthetic

    if not given:
        return None
    found = _AESTHETIC.fullmatch(given)
    path, weight = (found["path"], found["weight"]) if found else (given, None)
    return Aesthetic(read_aesthetic_embedding(Path(path)), float(weight or 0.5))


def say_words_are_embedded(embedder: Embedder) -> None:
    """Tell of the only wait that probabilities cost, where it is still to come."""
    from clipworks.search.relevance import everyday_words, words_path

    if not words_path(embedder).is_file():
        count = len(everyday_words())
        typer.echo(f"embedding {count} everyday words, once, to judge relevance by", err=True)
