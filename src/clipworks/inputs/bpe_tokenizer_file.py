"""The `tokenizer.json` of a byte-level BPE of CLIP's kind, written from its ids and merges.

Its cutting of a cleaned text is open_clip's. In OpenAI's layout the ids are 256 bytes, the same 256
at the end of a word, one per merge, then `<start_of_text>` and `<end_of_text>`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from clipworks.errors import CheckpointError

START_TEXT = "<start_of_text>"
END_TEXT = "<end_of_text>"
END_OF_WORD = "</w>"

# Contractions first, then runs of letters, single digits, runs of anything else. The original
# ignores case, by Unicode: there the long s (U+017F) is an s, and the iota below (U+0345), being a
# case of a letter without being one, is nothing at all and is dropped.
_WORDS = (
    r"<[sS\u017f]tart_of_text>|<end_of_text>"
    r"|'[sS\u017f]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]"
    r"|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}\u0345]+"
)

Merge = tuple[str, str]


def tokenizer_from_merges(merges: Sequence[Merge]) -> bytes:
    """Make a `tokenizer.json` whose ids follow the merges, in OpenAI's layout."""
    alphabet = list(byte_alphabet().values())
    words = alphabet + [symbol + END_OF_WORD for symbol in alphabet]
    words += [left + right for left, right in merges]
    words += [START_TEXT, END_TEXT]
    return write_tokenizer({word: index for index, word in enumerate(words)}, merges)


def write_tokenizer(ids: Mapping[str, int], merges: Sequence[Merge]) -> bytes:
    """Make a `tokenizer.json`.

    Args:
        ids: word to id, the two special tokens among them.
        merges: the most frequent first.

    Raises:
        CheckpointError: a merge makes a word without an id.
    """
    unknown = [pair for pair in merges if "".join(pair) not in ids]
    if unknown:
        raise CheckpointError(f"the merge {unknown[0]} makes a word that the vocabulary lacks")
    fields = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_special_token(name, ids[name]) for name in (START_TEXT, END_TEXT)],
        "normalizer": None,
        "pre_tokenizer": _pre_tokenizer(),
        "post_processor": None,
        "decoder": _decoder(),
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": END_OF_WORD,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": dict(sorted(ids.items(), key=lambda item: item[1])),
            "merges": [list(pair) for pair in merges],
        },
    }
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def special_ids(tokenizer_json: bytes) -> tuple[int, int]:
    """The ids of the start and the end token of one of our tokenizers."""
    ids = json.loads(tokenizer_json)["model"]["vocab"]
    return ids[START_TEXT], ids[END_TEXT]


@cache
def byte_alphabet() -> dict[int, str]:
    """Byte to the printable character that stands for it, in the order of their ids.

    Printable bytes of Latin-1 stand for themselves; the others follow as U+0100 and on.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    return {byte: chr(byte) for byte in printable} | {
        byte: chr(0x100 + index) for index, byte in enumerate(others)
    }


def _special_token(name: str, index: int) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": index, "content": name, **flags, "special": True}


def _pre_tokenizer() -> dict[str, Any]:
    split = {
        "type": "Split",
        "pattern": {"Regex": _WORDS},
        "behavior": "Removed",
        "invert": True,
    }
    return {"type": "Sequence", "pretokenizers": [split, _byte_level()]}


def _decoder() -> dict[str, Any]:
    replace = {"type": "Replace", "pattern": {"String": END_OF_WORD}, "content": " "}
    return {"type": "Sequence", "decoders": [_byte_level(), replace]}


def _byte_level() -> dict[str, Any]:
    flags = {"add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    return {"type": "ByteLevel", **flags}
