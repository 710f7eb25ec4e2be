"""The grammar of `--query`: texts, pictures and embeddings, added and taken away.

query  = [sign] term { sign term }
sign   = "+" | "-"                               between spaces
term   = [ number "*" ] value
value  = quoted                                  a text
       | word                                    a picture's path or URL, .npy or .json
       | ("text" | "image" | "embedding") ":" (quoted | word)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from clipworks.data.addresses import is_address
from clipworks.errors import SettingsError

Kind = Literal["text", "image", "embedding"]
_VECTOR_SUFFIXES = (".npy", ".json")
_TERM = re.compile(
    r"""\s*(?P<sign>[+-](?=\s|["']))?\s*
    (?:(?P<weight>\d+\.?\d*|\.\d+)\s*\*\s*)?
    (?:(?P<kind>text|image|embedding):(?=\S))?
    (?:"(?P<double>(?:[^"\\]|\\.)*)"(?!\S)|'(?P<single>(?:[^'\\]|\\.)*)'(?!\S)|(?P<word>[^\s"'+*-]\S*))
    \s*""",
    re.VERBOSE | re.DOTALL,
)
_EXAMPLE = """for example: '"a dog" - 0.5 * "grass" + photo.jpg'"""


@dataclass(frozen=True)
class ParsedTerm:
    """One term as it was written."""

    kind: Kind
    value: str
    weight: float


def parse_expression(expression: str) -> list[ParsedTerm]:
    """Read a sum of terms.

    Raises:
        SettingsError: the message says where the sum cannot be read.
    """
    terms: list[ParsedTerm] = []
    place = 0
    while place < len(expression) or not terms:
        found = _TERM.match(expression, place)
        if not found:
            rest = expression[place:].strip()
            where = f"cannot be read from {rest!r} on" if rest else "is empty"
            raise SettingsError(f"query {expression!r} {where}: {_EXAMPLE}")
        if terms and not found["sign"]:
            raise SettingsError(
                f"query {expression!r}: expected + or - before {found[0].strip()!r}: {_EXAMPLE}"
            )
        terms.append(_read_term(found))
        place = found.end()
    return terms


def _read_term(found: re.Match[str]) -> ParsedTerm:
    weight = float(found["weight"] or 1) * (-1 if found["sign"] == "-" else 1)
    quoted = found["double"] if found["double"] is not None else found["single"]
    if quoted is not None:
        value = re.sub(r"""\\(["'\\])""", r"\1", quoted)
        return ParsedTerm(found["kind"] or "text", value, weight)  # pyright: ignore[reportArgumentType]
    word = found["word"]
    kind: Kind = found["kind"] or _kind_of_word(word)  # pyright: ignore[reportAssignmentType]
    return ParsedTerm(kind, word, weight)


def _kind_of_word(word: str) -> Kind:
    if is_address(word):
        return "image"
    kind: Kind = "embedding" if word.lower().endswith(_VECTOR_SUFFIXES) else "image"
    if not Path(word).exists():
        raise SettingsError(f"{word}: no such file; a text stands in quotes of its own, {_EXAMPLE}")
    return kind
