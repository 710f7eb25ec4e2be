import json
from pathlib import Path

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st
from sentencepiece import sentencepiece_model_pb2 as messages
from tokenizers import Tokenizer

from clipworks.errors import CheckpointError
from clipworks.inputs import TextSpec, TextTokenizer
from clipworks.inputs.sentencepiece_file import tokenizer_from_sentencepiece

GOLDEN = Path(__file__).parents[2] / "golden" / "tokenizer"
ODD = json.loads((GOLDEN / "sentencepiece" / "odd_texts.json").read_text())
ROWS = json.loads((GOLDEN / "open_clip_simple_tokenizer.json").read_text())["rows"]
TEXTS = list(dict.fromkeys(row["text"] for row in ROWS)) + ODD["texts"]
UNIGRAM = (GOLDEN / "sentencepiece" / "unigram.model").read_bytes()
BPE = (GOLDEN / "sentencepiece" / "bpe.model").read_bytes()
CONTEXT = 24

# Names in angle brackets are special to the Rust tokenizer, and letters to SentencePiece.
WORDS = st.text(st.sampled_from("aeiou tdnscr  .,'1230-\u00e9\n\u732b"), max_size=40)


def bare_ids(content: bytes, text: str) -> list[int]:
    return Tokenizer.from_buffer(content).encode(text, add_special_tokens=False).ids


def changed(content: bytes, **spec_fields: object) -> bytes:
    proto = messages.ModelProto.FromString(content)
    for name, value in spec_fields.items():
        spec = proto.trainer_spec if hasattr(proto.trainer_spec, name) else proto.normalizer_spec
        setattr(spec, name, value)
    return proto.SerializeToString()


@pytest.mark.parametrize(("rows", "lowercase"), [("siglip", True), ("siglip_capitals", False)])
def test_siglips_ids_are_those_of_transformers(rows, lowercase):
    spec = TextSpec(CONTEXT, "siglip", lowercase, start_id=None, end_id=1, pad_id=1)
    tokens = TextTokenizer(tokenizer_from_sentencepiece(UNIGRAM, "siglip"), spec)(TEXTS)
    assert len(TEXTS) == len(ODD["rows"][rows])
    for text, found, ids in zip(TEXTS, tokens.tolist(), ODD["rows"][rows], strict=True):
        assert found == ids + [1] * (CONTEXT - len(ids)), text


@pytest.mark.parametrize("content", [UNIGRAM, BPE], ids=["unigram", "bpe"])
@given(text=WORDS)
@settings(deadline=None, database=None, max_examples=100)
def test_any_words_have_sentencepieces_ids(content, text):
    reference = sentencepiece.SentencePieceProcessor(model_proto=content)
    assert bare_ids(tokenizer_from_sentencepiece(content), text) == reference.encode(text)


@pytest.mark.parametrize(
    "flags",
    [
        {"add_dummy_prefix": False},
        {"remove_extra_whitespaces": False},
        {"add_dummy_prefix": False, "remove_extra_whitespaces": False},
    ],
)
@pytest.mark.parametrize("text", ["", " ", " a  cat ", "a cat", "\u00a0the dog\u3000"])
def test_what_the_model_says_of_blanks_is_done(flags, text):
    content = changed(UNIGRAM, **flags)
    reference = sentencepiece.SentencePieceProcessor(model_proto=content)
    assert bare_ids(tokenizer_from_sentencepiece(content), text) == reference.encode(text)


def test_ids_decode_to_the_text():
    for content, text in ((UNIGRAM, "a small red house"), (BPE, "a \u732b \U0001f408 cat")):
        tokenizer = Tokenizer.from_buffer(tokenizer_from_sentencepiece(content))
        assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_xlm_robertas_ids_are_one_higher_and_its_own_names_first():
    plain = Tokenizer.from_buffer(tokenizer_from_sentencepiece(UNIGRAM))
    moved = Tokenizer.from_buffer(tokenizer_from_sentencepiece(UNIGRAM, "fairseq"))
    assert moved.encode("a red cat").ids == [index + 1 for index in plain.encode("a red cat").ids]
    names = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    assert [moved.token_to_id(name) for name in names] == [0, 1, 2, 3, plain.get_vocab_size() + 1]
    assert moved.encode("\u732b").ids[-1] == 3


def test_byte_fallback_loses_nothing():
    tokenizer = Tokenizer.from_buffer(tokenizer_from_sentencepiece(BPE))
    assert tokenizer.token_to_id("<unk>") not in tokenizer.encode("\U0001f984 \u0e01").ids


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff" * 20, UNIGRAM[:1000]])
def test_a_damaged_model_is_refused(content):
    with pytest.raises(CheckpointError, match="SentencePiece model is damaged"):
        tokenizer_from_sentencepiece(content)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model_type": 3}, "words or characters"),
        ({"treat_whitespace_as_suffix": True}, "blanks behind words"),
    ],
)
def test_what_the_rust_tokenizer_cannot_do_is_refused(fields, message):
    with pytest.raises(CheckpointError, match=message):
        tokenizer_from_sentencepiece(changed(UNIGRAM, **fields))
