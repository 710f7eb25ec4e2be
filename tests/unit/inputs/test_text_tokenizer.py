import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

from clipworks.errors import BundleError, InvalidTextError, SettingsError
from clipworks.inputs import TextSpec, TextTokenizer, clean_text, clip_tokenizer_json
from clipworks.inputs.sentencepiece_file import tokenizer_from_sentencepiece

GOLDEN = Path(__file__).parents[2] / "golden" / "tokenizer"
ROWS = json.loads((GOLDEN / "open_clip_simple_tokenizer.json").read_text())["rows"]
START, END = 49406, 49407
SHORT = TextTokenizer(clip_tokenizer_json(), TextSpec(16))


@pytest.fixture(scope="module")
def tokenizer():
    return TextTokenizer(clip_tokenizer_json(), TextSpec(77))


@pytest.fixture(scope="module")
def wide_tokenizer():
    return TextTokenizer(clip_tokenizer_json(), TextSpec(2000))


def unigram_json() -> bytes:
    """A tokenizer of SigLIP's kind, whose file asks for cutting, padding and an end token."""
    words = [("<unk>", 0.0), ("</s>", 0.0), ("\u2581a", -1.0), ("\u2581dog", -2.0), ("g", -3.0)]
    tokenizer = Tokenizer(models.Unigram(words, unk_id=0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing("$A </s>", None, [("</s>", 1)])
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=9)
    return tokenizer.to_str().encode()


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_texts_are_cleaned_and_cut_as_open_clip_does(row, tokenizer, wide_tokenizer):
    text = row["text"]
    assert clean_text(text, "whitespace", lowercase=True) == row["cleaned"]
    assert clean_text(text, "canonicalize", lowercase=True) == row["canonicalized"]
    whole = [START, *row["ids"], END]
    assert wide_tokenizer([text])[0, : len(whole) + 1].tolist() == [*whole, 0]
    tokens = tokenizer([text])[0]
    assert tokens.tolist() == row["row77"] + [0] * (77 - len(row["row77"]))


def test_a_batch_is_its_texts(tokenizer):
    texts = [row["text"] for row in ROWS]
    tokens = tokenizer(texts)
    assert (tokens.shape, tokens.dtype) == ((174, 77), np.int64)
    assert np.array_equal(tokens, np.concatenate([tokenizer([text]) for text in texts]))
    assert tokenizer([]).shape == (0, 77)


def test_counts_are_before_cutting(tokenizer):
    counts = tokenizer.count([row["text"] for row in ROWS])
    assert counts.tolist() == [len(row["ids"]) + 2 for row in ROWS]
    assert max(counts) > 77
    assert tokenizer.count([]).shape == (0,)


def test_a_long_text_keeps_its_end_token(tokenizer):
    tokens = SHORT(["dog " * 30])[0]
    assert tokens.tolist() == [START, *[1929] * 14, END]


def test_the_spec_decides_on_padding_and_special_tokens():
    spec = TextSpec(6, start_id=None, end_id=None, pad_id=END)
    tokens = TextTokenizer(clip_tokenizer_json(), spec)(["a dog", "a b c d e f g h"])
    assert tokens[0].tolist() == [320, 1929, END, END, END, END]
    assert tokens[1].tolist() == [320, 321, 322, 323, 324, 325]


def test_capitals_stay_where_the_spec_says_so():
    spec = TextSpec(77, lowercase=False)
    upper, lower = TextTokenizer(clip_tokenizer_json(), spec)(["A DOG", "a dog"])
    assert not np.array_equal(upper, lower)


@pytest.mark.parametrize("text", ["a photo of a dog", "café 😀 日本", "", "it's 25 < 30"])
def test_decoding_gives_the_cleaned_words(text, tokenizer):
    decoded = tokenizer.decode(tokenizer([text])[0])
    assert decoded.replace(" ", "") == text.replace(" ", "")


def test_decoding_stops_at_the_end_token(tokenizer):
    assert tokenizer.decode([START, 320, 1929, END, 0, 0]) == "a dog"
    assert tokenizer.decode(np.array([320, 1929])) == "a dog"


@given(st.lists(st.text(max_size=40), max_size=5))
@settings(deadline=None, database=None, max_examples=100)
def test_any_text_gives_a_well_formed_row(texts):
    tokens = SHORT(texts)
    assert tokens.shape == (len(texts), 16)
    for row, count in zip(tokens, SHORT.count(texts), strict=True):
        length = min(count, 16)
        assert row[0] == START
        assert row[length - 1] == END
        assert not row[length:].any()


def test_a_sentencepiece_like_file_is_used_as_it_is():
    spec = TextSpec(6, cleaning="canonicalize", start_id=None, end_id=1, pad_id=1)
    tokenizer = TextTokenizer(unigram_json(), spec)
    tokens = tokenizer(["A dog.", "a dog a dog a dog a dog"])
    assert tokens[0].tolist() == [2, 3, 1, 1, 1, 1]
    assert tokens[1].tolist() == [2, 3, 2, 3, 2, 1]
    assert tokenizer.count(["A dog."]).tolist() == [3]
    assert tokenizer.decode(tokens[0]) == "a dog"


@pytest.mark.parametrize(
    ("texts", "complaint"),
    [
        (["fine", None], r"text 1 is NoneType \('None'\), expected a string"),
        (["fine", "fine", 3], "text 2 is int"),
        ([b"bytes"], "text 0 is bytes"),
        ([["nested"]], "text 0 is list"),
        ("a dog", r"a list of texts, not one string: \['a dog'\]"),
    ],
)
def test_what_is_no_text_is_refused(texts, complaint, tokenizer):
    with pytest.raises(InvalidTextError, match=complaint):
        tokenizer(texts)
    with pytest.raises(InvalidTextError, match=complaint):
        tokenizer.count(texts)


def test_half_a_character_is_refused_where_nothing_is_cleaned():
    tokenizer = TextTokenizer(clip_tokenizer_json(), TextSpec(8, cleaning="none"))
    with pytest.raises(InvalidTextError, match="text 1 holds half of a surrogate"):
        tokenizer(["fine", "\ud83d"])


@pytest.mark.parametrize("content", [b"", b"{}", b"not json", b'{"model": {}}', b"\xff\xfe"])
def test_a_damaged_file_is_refused(content, tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    for source in (content, path):
        with pytest.raises(BundleError, match="cannot be read"):
            TextTokenizer(source, TextSpec(77))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BundleError, match=r"tokenizer\.json cannot be read: No such file"):
        TextTokenizer(tmp_path / "tokenizer.json", TextSpec(77))


def test_ids_that_the_file_lacks_are_refused():
    with pytest.raises(SettingsError, match=r"end_id 49408 is not in the tokenizer.* 0 to 49407"):
        TextTokenizer(clip_tokenizer_json(), TextSpec(77, end_id=49408))


def test_a_path_is_read(tmp_path, tokenizer):
    path = tmp_path / "tokenizer.json"
    path.write_bytes(clip_tokenizer_json())
    assert np.array_equal(TextTokenizer(path, TextSpec(77))(["a dog"]), tokenizer(["a dog"]))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_forking_afterwards_prints_nothing():
    code = """if True:
        import os
        from clipworks.inputs import TextSpec, TextTokenizer, clip_tokenizer_json
        tokenizer = TextTokenizer(clip_tokenizer_json(), TextSpec(77))
        tokenizer(["a dog"] * 500)
        child = os.fork()
        tokenizer(["a cat"] * 500)
        if not child:
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    """
    settings = {name: value for name, value in os.environ.items() if name[:10] != "TOKENIZERS"}
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(
        command, env=settings, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


class TestSiglip:
    """What goes on to SentencePiece's table; its ids are in test_sentencepiece_file."""

    @pytest.fixture
    def tokenizer(self):
        content = (GOLDEN / "sentencepiece" / "unigram.model").read_bytes()
        spec = TextSpec(8, "siglip", start_id=None, end_id=1, pad_id=1)
        return TextTokenizer(tokenizer_from_sentencepiece(content, "siglip"), spec)

    def test_the_table_takes_the_longest_match(self, tokenizer):
        whole, parts = tokenizer(["caf\u00e9", "cafe\u0301"])
        assert np.array_equal(whole, parts)

    def test_a_special_name_is_its_token(self, tokenizer):
        ids = tokenizer(["a <unk> a"])[0].tolist()
        assert ids[1] == 2
        assert ids[3:] == [1] * 5

    def test_half_a_surrogate_pair_is_named(self, tokenizer):
        with pytest.raises(InvalidTextError, match="text 1 holds half of a surrogate pair"):
            tokenizer(["a", "b\ud800"])

    def test_decoding_gives_the_cleaned_words(self, tokenizer):
        assert tokenizer.decode(tokenizer(["A red CAT!"])[0]) == "a red cat"
