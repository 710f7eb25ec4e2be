"""What a `tokenizer.json` of another library puts around a text: its start, end and padding."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from tokenizers import Tokenizer

from clipworks.errors import CheckpointError
from clipworks.inputs.specs import TextSpec

_PROBE = "a"


def text_spec_of_tokenizer(
    tokenizer_json: bytes, usual: TextSpec, *, tokenizer_config: bytes | None = None
) -> TextSpec:
    """Fill in the special tokens of a tokenizer that is not CLIP's own.

    The file itself says what it adds: a short text is encoded with and without it.

    Args:
        tokenizer_json: in Hugging Face's format.
        usual: context, cleaning and case; what it says of special tokens is replaced.
        tokenizer_config: the `tokenizer_config.json` beside it, which names the padding token.

    Raises:
        CheckpointError: the file cannot be read, adds more than one token at an end, or nobody
            names the padding token.
    """
    try:
        tokenizer = Tokenizer.from_buffer(tokenizer_json)
    except Exception as error:
        # the bindings raise a bare Exception for whatever is wrong with the JSON
        raise CheckpointError(f"tokenizer.json cannot be read: {error}") from error
    pad_id = _pad_id(tokenizer, tokenizer_config)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    plain = tokenizer.encode(_PROBE, add_special_tokens=False).ids
    start, end = _around(plain, tokenizer.encode(_PROBE).ids)
    return replace(usual, start_id=start, end_id=end, pad_id=pad_id)


def _around(plain: list[int], framed: list[int]) -> tuple[int | None, int | None]:
    for begin in range(len(framed) - len(plain) + 1):
        before, after = framed[:begin], framed[begin + len(plain) :]
        if framed[begin : begin + len(plain)] == plain and len(before) < 2 and len(after) < 2:
            return (before or [None])[0], (after or [None])[0]
    raise CheckpointError(
        f"tokenizer.json makes {framed} of {plain}: expected at most one token before and after"
    )


def _pad_id(tokenizer: Tokenizer, config: bytes | None) -> int:
    named = _pad_token(config) if config else None
    if named is not None and (index := tokenizer.token_to_id(named)) is not None:
        return index
    if tokenizer.padding is not None:
        return int(tokenizer.padding["pad_id"])
    raise CheckpointError(
        "neither tokenizer.json nor tokenizer_config.json says which token texts are padded with"
    )


def _pad_token(config: bytes) -> str | None:
    try:
        fields: Any = json.loads(config)
        token = fields.get("pad_token")
    except (ValueError, AttributeError) as error:
        raise CheckpointError(f"tokenizer_config.json cannot be read: {error}") from error
    return token.get("content") if isinstance(token, dict) else token
