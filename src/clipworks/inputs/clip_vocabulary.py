"""CLIP's vocabulary, in each of the forms in which it is published, to our `tokenizer.json`."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from clipworks.errors import CheckpointError
from clipworks.inputs.bpe_tokenizer_file import (
    END_OF_WORD,
    END_TEXT,
    START_TEXT,
    Merge,
    tokenizer_from_merges,
    write_tokenizer,
)

OPENAI_MERGES = 48_894
"""How many merges of OpenAI's list the models use; the list in full has 262,144."""

_SPECIAL_NAMES = {"<|startoftext|>": START_TEXT, "<|endoftext|>": END_TEXT}


@cache
def clip_tokenizer_json() -> bytes:
    """The tokenizer of OpenAI's and OpenCLIP's models, from the vocabulary in this package."""
    packed = files("clipworks.inputs") / "vocabularies" / "clip_bpe.txt.gz"
    return build_clip_tokenizer(packed.read_bytes())


def build_clip_tokenizer(merges: bytes, vocab: bytes | None = None) -> bytes:
    """Make a `tokenizer.json` from a merges file.

    Args:
        merges: OpenAI's `bpe_simple_vocab_16e6.txt.gz`, or a `merges.txt`; gzipped or not.
        vocab: the `vocab.json` that goes with a `merges.txt`; without it the ids follow the merges.

    Raises:
        CheckpointError: the files are damaged, or do not go together.
    """
    pairs = _parse_merges(merges)
    if vocab is None:
        return tokenizer_from_merges(pairs[:OPENAI_MERGES])
    try:
        ids = json.loads(vocab)
    except ValueError as error:
        raise CheckpointError(f"vocab.json is not JSON: {error}") from error
    if not isinstance(ids, dict):
        raise CheckpointError(f"vocab.json is a {type(ids).__name__}, expected words and their ids")
    return write_tokenizer(_with_our_specials(ids), pairs)


def clip_tokenizer_from_hf(tokenizer_json: bytes) -> bytes:
    """Make our `tokenizer.json` of a Hugging Face one for CLIP.

    Its vocabulary and merges stay. Its normaliser and its splitting go, because they differ from
    the original's on quotes, accents and HTML: our cleaning runs before instead.

    Raises:
        CheckpointError: it is not a CLIP tokenizer.
    """
    if not is_clip_tokenizer(tokenizer_json):
        raise CheckpointError(
            "tokenizer.json is not CLIP's (a BPE whose words end in </w>, with a start and an end "
            "token): use the file as it is"
        )
    fields = json.loads(tokenizer_json)
    model = fields["model"]
    added = {token["content"]: token["id"] for token in fields.get("added_tokens") or []}
    ids = _with_our_specials(model["vocab"] | added)
    pairs = [_split_merge(merge) for merge in model["merges"]]
    return write_tokenizer(ids, pairs)


def is_clip_tokenizer(tokenizer_json: bytes) -> bool:
    """Whether a `tokenizer.json` holds a BPE of CLIP's kind, ours or Hugging Face's."""
    try:
        fields = json.loads(tokenizer_json)
        model = fields["model"]
        added = {token["content"] for token in fields.get("added_tokens") or []}
        names = set(model["vocab"]) | added
    except (ValueError, KeyError, TypeError):
        return False
    is_bpe = model.get("type", "BPE") == "BPE" and "merges" in model
    has_specials = any({s, e} <= names for s, e in (tuple(_SPECIAL_NAMES), (START_TEXT, END_TEXT)))
    return is_bpe and model.get("end_of_word_suffix") == END_OF_WORD and has_specials


def _parse_merges(merges: bytes) -> list[Merge]:
    try:
        plain = gzip.decompress(merges) if merges.startswith(b"\x1f\x8b") else merges
        lines = plain.decode().split("\n")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise CheckpointError(f"the merges file cannot be read: {error}") from error
    if "#version" in lines[0]:
        lines = lines[1:]
    return [_split_merge(line) for line in lines if line.strip()]


def _split_merge(merge: str | Sequence[str]) -> Merge:
    parts = merge.split() if isinstance(merge, str) else merge
    if len(parts) != 2:
        raise CheckpointError(f"a merge has two parts, not {merge!r}")
    return parts[0], parts[1]


def _with_our_specials(ids: dict[str, int]) -> dict[str, int]:
    renamed = {_SPECIAL_NAMES.get(word, word): index for word, index in ids.items()}
    if START_TEXT not in renamed or END_TEXT not in renamed:
        raise CheckpointError("the vocabulary has no start and end token of CLIP's")
    return renamed
