import base64
import json

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st
from sentencepiece import sentencepiece_model_pb2 as messages

from clipworks.errors import BundleError
from clipworks.inputs.character_table import CharacterTable, take_character_table


def table_and_reference(rule: str):
    """A table of SentencePiece's own, and its normaliser, which does nothing else."""
    whole = sentencepiece.SentencePieceNormalizer(rule_name=rule)
    spec = messages.NormalizerSpec.FromString(whole.serialized_normalizer_spec())
    spec.add_dummy_prefix = spec.remove_extra_whitespaces = spec.escape_whitespaces = False
    proto = messages.ModelProto.FromString(whole.serialized_model_proto())
    proto.normalizer_spec.CopyFrom(spec)
    reference = sentencepiece.SentencePieceNormalizer(model_proto=proto.SerializeToString())
    return CharacterTable(spec.precompiled_charsmap), reference.normalize


TABLES = {rule: table_and_reference(rule) for rule in ("nmt_nfkc", "nmt_nfkc_cf")}

# Letters with one, two and three marks, in Unicode's order and not; Korean in parts and whole.
MARKED = ["e\u0301", "u\u0302\u0301", "e\u0301\u0323", "\u1ec7", "\u1112\u1161\u11ab", "\ud55c"]


@pytest.mark.parametrize("rule", TABLES)
@pytest.mark.parametrize(
    "text",
    [
        "", "plain words, 12%", "A\tB\nC\r\n", "\u00bd \u2460 \ufb01 \uff21\u3000x", "\u2581",
        "\U0001f469\u200d\U0001f467 \u0958", "\u00c5\u0130\u1e9e", "".join(MARKED), *MARKED,
    ],
)  # fmt: skip
def test_texts_are_rewritten_as_sentencepiece_does(rule, text):
    table, reference = TABLES[rule]
    assert table(text) == reference(text)


@pytest.mark.parametrize("rule", TABLES)
@given(
    text=st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
    | st.text(
        st.sampled_from("ae \u0301\u0323\u0327\u1112\u1161\u11ab\u200b\ufb01\uff21A"), max_size=30
    )
)
@settings(deadline=None, database=None, max_examples=150)
def test_any_text_is_rewritten_as_sentencepiece_does(rule, text):
    table, reference = TABLES[rule]
    assert table(text) == reference(text)


@pytest.mark.parametrize("cut", [0, 3, 4, 100])
def test_a_cut_table_is_refused(cut):
    spec = sentencepiece.SentencePieceNormalizer(rule_name="nfkc").serialized_normalizer_spec()
    charsmap = messages.NormalizerSpec.FromString(spec).precompiled_charsmap
    with pytest.raises(BundleError, match="table of characters is damaged"):
        CharacterTable(charsmap[:cut])


def test_a_table_without_its_replacements_is_refused():
    spec = sentencepiece.SentencePieceNormalizer(rule_name="nfkc").serialized_normalizer_spec()
    charsmap = messages.NormalizerSpec.FromString(spec).precompiled_charsmap
    size = int.from_bytes(charsmap[:4], "little")
    table = CharacterTable(charsmap[: 4 + size])
    with pytest.raises(BundleError, match="table of characters is damaged"):
        table("\uff21")


def test_half_a_surrogate_pair_is_the_callers_to_report():
    table, _ = TABLES["nmt_nfkc"]
    with pytest.raises(UnicodeEncodeError):
        table("a\ud800")


def test_the_table_is_taken_out_of_a_tokenizer():
    charsmap = messages.NormalizerSpec.FromString(
        sentencepiece.SentencePieceNormalizer(rule_name="nfkc").serialized_normalizer_spec()
    ).precompiled_charsmap
    step = {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(charsmap).decode()}
    strip = {"type": "Strip", "strip_left": True, "strip_right": True}
    for normalizer in (step, {"type": "Sequence", "normalizers": [step, strip]}):
        rest, table = take_character_table(json.dumps({"normalizer": normalizer}).encode())
        assert table is not None
        assert table("\uff21") == "A"
        assert step not in json.loads(rest)["normalizer"]["normalizers"]


def test_a_tokenizer_without_a_table_stays_as_it_is():
    for content in (b'{"normalizer":null}', b'{"normalizer":{"type":"NFC"}}'):
        assert take_character_table(content) == (content, None)


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[1]",
        b'{"normalizer":{"type":"Precompiled"}}',
        b'{"normalizer":{"type":"Precompiled","precompiled_charsmap":"!"}}',
    ],
)
def test_a_damaged_tokenizer_is_refused(content):
    with pytest.raises(BundleError):
        take_character_table(content)
