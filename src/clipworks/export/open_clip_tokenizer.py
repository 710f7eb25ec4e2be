"""The tokenizer of a model of open_clip, as one `tokenizer.json` and what goes around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from clipworks.encoders import hub
from clipworks.errors import CheckpointError, DownloadError, UnknownModelError
from clipworks.inputs.clip_vocabulary import (
    clip_tokenizer_from_hf,
    clip_tokenizer_json,
    is_clip_tokenizer,
)
from clipworks.inputs.specs import Cleaning, TextSpec
from clipworks.inputs.tokenizer_frame import text_spec_of_tokenizer

_FILE, _CONFIG_FILE = "tokenizer.json", "tokenizer_config.json"
_CONTEXT = 77  # open_clip's, where a text tower of `transformers` states none
_CLEANING: dict[str, tuple[Cleaning, bool]] = {
    "lower": ("whitespace", True),
    "whitespace": ("whitespace", False),
    "canonicalize": ("canonicalize", True),
}


def tokenizer_of_open_clip(
    config: Mapping[str, Any], folder: Path | None = None, given: Path | None = None
) -> tuple[bytes, TextSpec]:
    """The tokenizer that open_clip would take, without `transformers`.

    Args:
        config: the model's, in open_clip's words.
        folder: of the model, which may hold the tokenizer's files.
        given: the caller's own `tokenizer.json`, which goes first.

    Raises:
        CheckpointError: open_clip reads texts in a way that a bundle cannot say.
        DownloadError: the hub did not give the tokenizer.
    """
    text = config["text_cfg"]
    name = text.get("hf_tokenizer_name")
    if text.get("tokenizer_mode"):
        raise CheckpointError(f"tokenizer_mode {text['tokenizer_mode']!r} is not supported")
    options = dict(text.get("tokenizer_kwargs") or {})
    cleaning, lowercase = _cleaning(options.pop("clean", "whitespace" if name else "lower"))
    strips_end = bool(options.pop("strip_sep_token", False))
    if options:
        raise CheckpointError(f"the tokenizer's {', '.join(sorted(options))} is not supported")
    spec = TextSpec(text.get("context_length", _CONTEXT), cleaning=cleaning, lowercase=lowercase)
    if not name and given is None:
        return clip_tokenizer_json(), spec
    content, settings = _read_files(name, folder, given)
    if is_clip_tokenizer(content):
        return clip_tokenizer_from_hf(content), spec
    spec = text_spec_of_tokenizer(content, spec, tokenizer_config=settings)
    # open_clip writes 0 over every separator, which is the end token of such tokenizers.
    return content, replace(spec, end_id=0) if strips_end else spec


def _cleaning(name: str) -> tuple[Cleaning, bool]:
    if name not in _CLEANING:
        raise CheckpointError(f"the tokenizer's clean={name!r}: expected {', '.join(_CLEANING)}")
    return _CLEANING[name]


def _read_files(
    name: str | None, folder: Path | None, given: Path | None
) -> tuple[bytes, bytes | None]:
    """`tokenizer.json`, and the `tokenizer_config.json` beside it."""
    path = given or (folder / _FILE if folder else None)
    if path is not None and path.is_file():
        settings = path.with_name(_CONFIG_FILE)
        return path.read_bytes(), settings.read_bytes() if settings.is_file() else None
    if given is not None or name is None:
        raise CheckpointError(f"{given}: no such file")
    try:
        content = hub.fetch_file(name, _FILE).read_bytes()
        return content, hub.fetch_file(name, _CONFIG_FILE).read_bytes()
    except (DownloadError, UnknownModelError) as error:
        raise DownloadError(
            f"the model's tokenizer did not come: {error}; --tokenizer takes a tokenizer.json"
        ) from error
