"""What a `tokenizer.json` of another library puts around a text: its start, end and padding."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from clipworks.errors import CheckpointError
from clipworks.inputs.specs import TextSpec
from clipworks.inputs.tokenizer_file import TokenizerFile


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
    file = TokenizerFile(tokenizer_json, "tokenizer.json")
    start, end = file.frame()
    pad_id = _pad_id(file, tokenizer_config)
    return replace(usual, start_id=start, end_id=end, pad_id=pad_id)


def _pad_id(file: TokenizerFile, config: bytes | None) -> int:
    named = _pad_token(config) if config else None
    if named is not None and (index := file.id_of(named)) is not None:
        return index
    if file.pad_id is not None:
        return file.pad_id
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
