import gzip
import json
from importlib.resources import files
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from clipworks.errors import CheckpointError
from clipworks.inputs import (
    build_clip_tokenizer,
    clip_tokenizer_from_hf,
    clip_tokenizer_json,
    is_clip_tokenizer,
    special_ids,
)
from clipworks.inputs.clip_vocabulary import OPENAI_MERGES

GOLDEN = Path(__file__).parents[2] / "golden" / "tokenizer"
PACKED = (files("clipworks.inputs") / "vocabularies" / "clip_bpe.txt.gz").read_bytes()
LINES = gzip.decompress(PACKED).decode().splitlines()
HF_NAMES = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}


def vocab_json() -> bytes:
    """The vocabulary as Hugging Face has it."""
    ids = json.loads(clip_tokenizer_json())["model"]["vocab"]
    return json.dumps({HF_NAMES.get(word, word): index for word, index in ids.items()}).encode()


def hf_tokenizer_json(*, merges_as_text: bool = False) -> bytes:
    """CLIP's `tokenizer.json` as Hugging Face publishes it, with its own cleaning and splitting."""
    pattern = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "special": True}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    replace = {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "}
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Removed", "invert": True}
    fields = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": 49406, "content": "<|startoftext|>", "normalized": True, **flags},
            {"id": 49407, "content": "<|endoftext|>", "normalized": False, **flags},
        ],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [{"type": "NFC"}, replace, {"type": "Lowercase"}],
        },
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "<|endoftext|>",
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "</w>",
            "fuse_unk": False,
            "vocab": json.loads(vocab_json()),
            "merges": LINES if merges_as_text else [line.split() for line in LINES],
        },
    }
    return json.dumps(fields).encode()


def test_the_packed_vocabulary_is_small_and_whole():
    assert len(PACKED) < 250_000
    assert len(LINES) == len(set(LINES)) == OPENAI_MERGES
    fields = json.loads(clip_tokenizer_json())
    assert len(fields["model"]["vocab"]) == 49_408
    assert special_ids(clip_tokenizer_json()) == (49_406, 49_407)


def test_the_builtin_tokenizer_is_built_once():
    assert clip_tokenizer_json() is clip_tokenizer_json()


def test_openais_own_file_gives_the_same():
    surplus = ["jeky ll</w>"] * 10  # the original goes on to 262,144 merges
    text = "\n".join(['"bpe_simple_vocab_16e6.txt#version: 0.2', *LINES, *surplus]) + "\n"
    assert build_clip_tokenizer(text.encode()) == clip_tokenizer_json()
    assert build_clip_tokenizer(gzip.compress(text.encode())) == clip_tokenizer_json()


def test_hugging_faces_two_files_give_the_same():
    merges = "\n".join(["#version: 0.2", *LINES]) + "\n"
    assert build_clip_tokenizer(merges.encode(), vocab_json()) == clip_tokenizer_json()
    windows = merges.replace("\n", "\r\n").encode()
    assert build_clip_tokenizer(windows, vocab_json()) == clip_tokenizer_json()


@pytest.mark.parametrize("merges_as_text", [True, False])
def test_hugging_faces_one_file_gives_the_same(merges_as_text):
    theirs = hf_tokenizer_json(merges_as_text=merges_as_text)
    assert clip_tokenizer_from_hf(theirs) == clip_tokenizer_json()


def test_special_tokens_may_stand_beside_the_vocabulary():
    fields = json.loads(hf_tokenizer_json())
    for name in HF_NAMES.values():
        del fields["model"]["vocab"][name]
    assert clip_tokenizer_from_hf(json.dumps(fields).encode()) == clip_tokenizer_json()


def test_our_own_file_stays_as_it_is():
    assert clip_tokenizer_from_hf(clip_tokenizer_json()) == clip_tokenizer_json()


def test_hugging_faces_file_alone_would_differ():
    rows = json.loads((GOLDEN / "hf_clip_differences.json").read_text())["rows"]
    theirs = Tokenizer.from_buffer(hf_tokenizer_json())
    for row in rows:
        assert theirs.encode(row["text"], add_special_tokens=False).ids == row["ids"], row["text"]


@pytest.mark.parametrize(
    "change",
    [
        {"model": {"type": "Unigram", "vocab": [["a", 0.0]]}},
        {"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}},
        {"model": None},
        {"model": {"type": "WordPiece", "vocab": {"<|startoftext|>": 0, "<|endoftext|>": 1}}},
    ],
)
def test_other_tokenizers_are_told_apart(change):
    other = json.dumps({"added_tokens": []} | change).encode()
    assert not is_clip_tokenizer(other)
    with pytest.raises(CheckpointError, match="not CLIP's"):
        clip_tokenizer_from_hf(other)


def test_clip_tokenizers_are_told_apart():
    assert is_clip_tokenizer(clip_tokenizer_json())
    assert is_clip_tokenizer(hf_tokenizer_json())
    assert not any(is_clip_tokenizer(content) for content in (b"", b"[]", b"\xff", b"{}", b"3"))


@pytest.mark.parametrize(
    ("merges", "vocab", "complaint"),
    [
        (b"\x1f\x8bdamaged", None, "merges file cannot be read"),
        (PACKED[:1000], None, "merges file cannot be read"),
        (b"\xff\xfe", None, "merges file cannot be read"),
        (b"a b\na b c\n", None, "a merge has two parts, not 'a b c'"),
        (b"a b\n", b"{", "vocab.json is not JSON"),
        (b"a b\n", b"[]", "vocab.json is a list"),
        (b"a b\n", b'{"ab": 0}', "no start and end token"),
        (b"a b\n", b'{"<|startoftext|>": 0, "<|endoftext|>": 1}', "a word that the vocabulary lac"),
    ],
)
def test_damaged_files_are_refused(merges, vocab, complaint):
    with pytest.raises(CheckpointError, match=complaint):
        build_clip_tokenizer(merges, vocab)
