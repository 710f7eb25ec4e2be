"""Texts to tokens: cleaned, cut, framed by the start and the end token, and padded.

Axes: text (texts in a batch), context (token positions).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Int64
from tokenizers import Tokenizer

from clipworks.arrays import Tokens
from clipworks.errors import BundleError, InvalidTextError, SettingsError
from clipworks.inputs.character_table import take_character_table
from clipworks.inputs.specs import TextSpec
from clipworks.inputs.text_cleaning import clean_for_siglip, clean_text


@final
class TextTokenizer:
    """Turns texts into a model's tokens.

    The file's own truncation, padding and special tokens are ignored: the spec has the say.
    Safe to call from many threads at once.

    Args:
        tokenizer_json: a `tokenizer.json` in Hugging Face's format, or the path to one.
        spec: the model's.

    Raises:
        BundleError: the file cannot be read.
        SettingsError: the spec names a token that the file lacks.
    """

    def __init__(self, tokenizer_json: bytes | Path, spec: TextSpec) -> None:
        self.spec = spec
        content, self._table = _read_content(tokenizer_json), None
        if spec.cleaning == "siglip":  # the one reference that SentencePiece itself serves
            content, self._table = take_character_table(content)
        self._tokenizer = _build_tokenizer(content)
        self._special = _special_pattern(self._tokenizer)
        self._start = [] if spec.start_id is None else [spec.start_id]
        self._end = [] if spec.end_id is None else [spec.end_id]
        self._check_ids()

    @property
    def vocab_size(self) -> int:
        """How many ids there are, special tokens included."""
        return self._tokenizer.get_vocab_size(with_added_tokens=True)

    def __call__(self, texts: Sequence[str]) -> Tokens:
        """The tokens of each text; a long text loses its tail, never its end token.

        Raises:
            InvalidTextError: something is not a text; the message has its index.
        """
        rows = self._encode(texts)
        spec = self.spec
        room = spec.context_length - len(self._start) - len(self._end)
        tokens = np.full((len(rows), spec.context_length), spec.pad_id, np.int64)
        for row, ids in zip(tokens, rows, strict=True):
            framed = self._start + ids[:room] + self._end
            row[: len(framed)] = framed
        return tokens

    def count(self, texts: Sequence[str]) -> Int64[np.ndarray, "text"]:
        """How many tokens each text needs, start and end included: more than the context is cut.

        Raises:
            InvalidTextError: something is not a text; the message has its index.
        """
        framing = len(self._start) + len(self._end)
        return np.array([len(ids) + framing for ids in self._encode(texts)], np.int64)

    def decode(self, ids: Iterable[int]) -> str:
        """The cleaned text that a row of tokens stands for, up to its end token."""
        kept = [int(index) for index in ids]
        if self.spec.end_id in kept:
            kept = kept[: kept.index(self.spec.end_id)]
        if kept[:1] == self._start:
            kept = kept[1:]
        return self._tokenizer.decode(kept, skip_special_tokens=False).strip()

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        cleaned = [self._clean(text) for text in _checked(texts)]
        try:
            if self._table is not None:
                cleaned = [self._table(text) for text in cleaned]
            encodings = self._tokenizer.encode_batch_fast(cleaned, add_special_tokens=False)
        except (TypeError, UnicodeEncodeError) as error:
            index = _find_half_character(cleaned)
            raise InvalidTextError(f"text {index} holds half of a surrogate pair") from error
        return [encoding.ids for encoding in encodings]

    def _clean(self, text: str) -> str:
        spec = self.spec
        if spec.cleaning == "siglip":
            return clean_for_siglip(text, lowercase=spec.lowercase, special=self._special)
        return clean_text(text, spec.cleaning, lowercase=spec.lowercase)

    def _check_ids(self) -> None:
        size = self.vocab_size
        for name in ("start_id", "end_id", "pad_id"):
            index = getattr(self.spec, name)
            if index is not None and not 0 <= index < size:
                raise SettingsError(
                    f"{name} {index} is not in the tokenizer, whose ids are 0 to {size - 1}"
                )


def _read_content(tokenizer_json: bytes | Path) -> bytes:
    if isinstance(tokenizer_json, bytes):
        return tokenizer_json
    try:
        return tokenizer_json.read_bytes()
    except OSError as error:
        raise BundleError(f"{tokenizer_json} cannot be read: {error.strerror}") from error


def _build_tokenizer(content: bytes) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_buffer(content)
    except Exception as error:
        # the bindings raise a bare Exception for whatever is wrong with the JSON
        raise BundleError(f"tokenizer.json cannot be read: {error}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _special_pattern(tokenizer: Tokenizer) -> re.Pattern[str] | None:
    """Matches the name of a special token, as one group."""
    added = tokenizer.get_added_tokens_decoder().values()
    names = [re.escape(token.content) for token in added if token.special]
    return re.compile(f"({'|'.join(names)})") if names else None


def _checked(texts: Sequence[str]) -> Sequence[str]:
    if isinstance(texts, str):
        raise InvalidTextError(f"expected a list of texts, not one string: [{texts[:40]!r}]")
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise InvalidTextError(
                f"text {index} is {type(text).__name__} ({str(text)[:40]!r}), expected a string"
            )
    return texts


def _find_half_character(texts: list[str]) -> int:
    """The first text with a lone surrogate; cleaning mends them, so it was not cleaned."""
    halves = (any("\ud800" <= letter <= "\udfff" for letter in text) for text in texts)
    return next(index for index, half in enumerate(halves) if half)
