"""The table by which SentencePiece rewrites characters before it cuts a text.

The Rust tokenizer has the same table, but looks up what it takes for one letter: of letters with
several marks it loses some, and Korean syllables in parts stay in parts. SentencePiece takes the
longest match, wherever it ends, and so does this.

The table is a double-array trie (Aoe 1989; the units are those of darts-clone) over UTF-8, then the
replacements, each ending in a zero byte.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any, final

import numpy as np

from clipworks.errors import BundleError

_PRINTABLE = range(0x20, 0x7F)
_LABEL = 0x800000FF
_VALUE = 0x7FFFFFFF
_LEAF = 1 << 8
_DAMAGED = "the tokenizer's table of characters is damaged"


@final
class CharacterTable:
    """Rewrites texts by a `precompiled_charsmap`.

    Safe to call from many threads at once.

    Args:
        charsmap: the table as a SentencePiece model has it.

    Raises:
        BundleError: it is damaged.
    """

    def __init__(self, charsmap: bytes) -> None:
        size = int.from_bytes(charsmap[:4], "little")
        if size % 4 or not 0 < size <= len(charsmap) - 4:
            raise BundleError(_DAMAGED)
        self._units: list[int] = np.frombuffer(charsmap, "<u4", size // 4, offset=4).tolist()
        self._replacements = charsmap[4 + size :]
        plain = [chr(byte) for byte in _PRINTABLE if self._is_plain(byte)]
        self._plain = re.compile(f"[{re.escape(''.join(plain))}]*" if plain else "")

    def __call__(self, text: str) -> str:
        """The text, each longest match replaced, from left to right.

        Raises:
            UnicodeEncodeError: the text holds half of a surrogate pair.
            BundleError: the table is damaged.
        """
        if self._plain.fullmatch(text):
            return text
        content = text.encode()
        try:
            return self._rewrite(content).decode()
        except (IndexError, ValueError) as error:
            raise BundleError(_DAMAGED) from error

    def _rewrite(self, content: bytes) -> bytes:
        start, parts = 0, []
        while start < len(content):
            value, length = self._longest(content, start)
            if length:
                parts.append(self._replacement(value))
            else:
                length = _letter_bytes(content[start])
                parts.append(content[start : start + length])
            start += length
        return b"".join(parts)

    def _longest(self, content: bytes, start: int) -> tuple[int, int]:
        """The longest match's value and bytes; no bytes where nothing matches."""
        units, found = self._units, (0, 0)
        place = _offset(units[0])
        for index in range(start, len(content)):
            unit = self._step(place, content[index])
            if unit is None:
                break
            place ^= content[index] ^ _offset(unit)
            if unit & _LEAF:
                found = units[place] & _VALUE, index + 1 - start
        return found

    def _step(self, place: int, byte: int) -> int | None:
        """The unit that a byte leads to, or None."""
        place ^= byte
        if place >= len(self._units):
            return None
        unit = self._units[place]
        return unit if unit & _LABEL == byte else None

    def _is_plain(self, byte: int) -> bool:
        """Whether no match starts with this byte and goes on in ASCII."""
        root = _offset(self._units[0])
        unit = self._step(root, byte)
        if unit is None:
            return True
        after = root ^ byte ^ _offset(unit)
        return not unit & _LEAF and all(self._step(after, other) is None for other in range(1, 128))

    def _replacement(self, start: int) -> bytes:
        return self._replacements[start : self._replacements.index(b"\0", start)]


def take_character_table(tokenizer_json: bytes) -> tuple[bytes, CharacterTable | None]:
    """Part a `tokenizer.json` from its table of characters.

    Returns:
        The file without the table, and the table, where it has one.

    Raises:
        BundleError: the file or its table is damaged.
    """
    try:
        fields = json.loads(tokenizer_json)
        normalizer = fields.get("normalizer") or {}
    except (ValueError, AttributeError) as error:
        raise BundleError(f"tokenizer.json cannot be read: {error}") from error
    steps: list[dict[str, Any]] = normalizer.get("normalizers") or [normalizer]
    tables = [step for step in steps if step.get("type") == "Precompiled"]
    if not tables:
        return tokenizer_json, None
    others = [step for step in steps if step not in tables]
    fields["normalizer"] = {"type": "Sequence", "normalizers": others}
    try:
        charsmap = base64.b64decode(tables[0]["precompiled_charsmap"])
    except (KeyError, TypeError, binascii.Error) as error:
        raise BundleError(_DAMAGED) from error
    return json.dumps(fields, ensure_ascii=False).encode(), CharacterTable(charsmap)


def _offset(unit: int) -> int:
    return (unit >> 10) << ((unit & (1 << 9)) >> 6)


def _letter_bytes(lead: int) -> int:
    """How many bytes of UTF-8 a character has, by its first."""
    return 1 if lead < 0xC0 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
