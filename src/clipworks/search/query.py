"""What to look for: texts, pictures and embeddings, and weighted sums of them.

    Query.text("a dog") - 0.5 * Query.text("grass") + Query.image("photo.jpg")

Axes: term (of the sum), dim (width of the joint space).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, final

import numpy as np
from jaxtyping import Float32

from clipworks.arrays import normalize_rows
from clipworks.data.addresses import is_address, short_name
from clipworks.data.contents import open_again
from clipworks.encoders.embedder import Embedder
from clipworks.errors import InputError, InvalidImageError, InvalidTextError
from clipworks.search.query_expression import ParsedTerm, parse_expression
from clipworks.search.vector_file import check_vector, read_vector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clipworks.encoders.embedder import ImageLike

_SHORTEST = 1e-6  # a sum below this is rounding, and has no direction


@dataclass(frozen=True, eq=False)
class Term:
    """One part of a query.

    Attributes:
        kind: which tower embeds it; an embedding needs none.
        value: words; a path, URL, bytes or a picture; numbers [dim].
        weight: what its unit embedding is multiplied by; below 0 to look for the opposite.
    """

    kind: Literal["text", "image", "embedding"]
    value: str | ImageLike | Float32[np.ndarray, "dim"]
    weight: float = 1.0

    @property
    def label(self) -> str:
        """The term for people, without its weight."""
        if self.kind == "text":
            return str(self.value)
        if self.kind == "image" and isinstance(self.value, str | Path):
            return short_name(str(self.value))
        return "a picture" if self.kind == "image" else "an embedding"


@final
@dataclass(frozen=True, eq=False)
class Query:
    """A sum of terms: `+`, `-`, and `*` with a number make new queries.

    Each term's embedding has length 1 before it is weighted, and so has the sum.
    """

    terms: tuple[Term, ...]

    @classmethod
    def text(cls, words: str) -> Query:
        """Look for what a text describes.

        Raises:
            InvalidTextError: it is blank.
        """
        if not words.strip():
            raise InvalidTextError("the query is blank: write what to look for")
        return cls((Term("text", words),))

    @classmethod
    def image(cls, source: ImageLike) -> Query:
        """Look for what resembles a picture: a path or an address, encoded bytes or Pillow's."""
        return cls((Term("image", source),))

    @classmethod
    def embedding(cls, numbers: Sequence[float] | np.ndarray) -> Query:
        """Look for what is nearest to an embedding of the folder's model, of any length but 0.

        Raises:
            InputError: it is no list of finite numbers, or all of them are 0.
        """
        return cls((Term("embedding", check_vector(numbers, "the embedding")),))

    @classmethod
    def parse(cls, expression: str) -> Query:
        """Read a sum such as `"a dog" - 0.5 * "grass" + photo.jpg`.

        Texts stand in quotes; what does not is a picture's path or URL, or the path of an
        embedding (.npy, or .json with a list). Signs stand between spaces.

        Raises:
            SettingsError: it is no such sum.
            InputError: an embedding's file cannot be read as one.
        """
        return cls(tuple(_term(parsed) for parsed in parse_expression(expression)))

    def __add__(self, other: Query) -> Query:
        return Query(self.terms + other.terms)

    def __sub__(self, other: Query) -> Query:
        return self + -other

    def __neg__(self) -> Query:
        return -1.0 * self

    def __mul__(self, weight: float) -> Query:
        if not math.isfinite(weight):
            raise InputError(f"a query's weight: expected a finite number, got {weight}")
        return Query(tuple(replace(term, weight=term.weight * weight) for term in self.terms))

    __rmul__ = __mul__

    @property
    def label(self) -> str:
        """The query for people; a lone text as it is."""
        first, *others = self.terms
        alone = not others and first.weight == 1
        words = [first.label if alone else _weighted(first, lead=True)]
        return " ".join(words + [_weighted(term, lead=False) for term in others])

    @property
    def is_text(self) -> bool:
        """Whether it holds nothing but texts."""
        return all(term.kind == "text" for term in self.terms)

    @property
    def picture(self) -> Path | None:
        """The picture's file, where the query is just one."""
        (term, *others) = self.terms
        if others or term.kind != "image" or not isinstance(term.value, str | Path):
            return None
        return None if is_address(str(term.value)) else Path(term.value)

    def embed(self, embedder: Embedder) -> Float32[np.ndarray, "dim"]:
        """The query's unit embedding.

        Raises:
            InvalidImageError: a picture cannot be read, or fetched.
            InputError: an embedding is not as wide as the model's, or the terms cancel out.
        """
        total = np.zeros(embedder.embedding_dim, np.float64)
        for term in self.terms:
            total += term.weight * _embed_term(term, embedder).astype(np.float64)
        if np.linalg.norm(total) < _SHORTEST:
            raise InputError(f"{self.label}: the terms cancel out, and nothing is left to look for")
        return normalize_rows(total[None].astype(np.float32))[0]


def _term(parsed: ParsedTerm) -> Term:
    if parsed.kind == "text":
        (term,) = Query.text(parsed.value).terms
    elif parsed.kind == "embedding":
        (term,) = Query.embedding(read_vector(Path(parsed.value))).terms
    else:
        term = Term("image", parsed.value)
    return replace(term, weight=parsed.weight)


def _weighted(term: Term, *, lead: bool) -> str:
    sign = "-" if term.weight < 0 else "+"
    factor = "" if abs(term.weight) == 1 else f"{abs(term.weight):g} * "
    label = f'"{term.label}"' if term.kind == "text" else term.label
    if lead:
        return f"{'- ' if sign == '-' else ''}{factor}{label}"
    return f"{sign} {factor}{label}"


def _embed_term(term: Term, embedder: Embedder) -> Float32[np.ndarray, "dim"]:
    if term.kind == "text":
        return embedder.embed_texts([str(term.value)])[0]
    if term.kind == "image":
        return embedder.embed_images([_picture(term.value)])[0]  # pyright: ignore[reportArgumentType]
    vector = np.asarray(term.value, np.float32)
    if len(vector) != embedder.embedding_dim:
        raise InputError(
            f"the embedding has {len(vector)} numbers, and those of {embedder.card.name} have "
            f"{embedder.embedding_dim}: give one that the folder's model made"
        )
    return normalize_rows(vector[None])[0]


def _picture(source: object) -> object:
    if not isinstance(source, str):
        return source
    try:
        return open_again(source)
    except InputError as error:
        raise InvalidImageError(source, str(error)) from error
