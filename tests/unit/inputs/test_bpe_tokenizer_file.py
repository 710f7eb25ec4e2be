import json

import pytest
from tokenizers import Tokenizer

from clipworks.errors import CheckpointError
from clipworks.inputs.bpe_tokenizer_file import (
    END_TEXT,
    START_TEXT,
    byte_alphabet,
    special_ids,
    tokenizer_from_merges,
    write_tokenizer,
)


def pieces(text: str) -> list[str]:
    splitter = Tokenizer.from_buffer(tokenizer_from_merges([])).pre_tokenizer
    return [piece for piece, _ in splitter.pre_tokenize_str(text)]


def test_the_alphabet_has_each_byte_once_and_nothing_blank():
    alphabet = byte_alphabet()
    assert sorted(alphabet) == list(range(256))
    assert len(set(alphabet.values())) == 256
    assert all(symbol.isprintable() and not symbol.isspace() for symbol in alphabet.values())
    assert list(alphabet)[:3] == [0x21, 0x22, 0x23]  # "!" is the token 0


def test_ids_are_in_openais_order():
    ids = json.loads(tokenizer_from_merges([("a", "b"), ("ab", "c</w>")]))["model"]["vocab"]
    assert (ids["!"], ids["!</w>"], ids["ab"], ids["abc</w>"]) == (0, 256, 512, 513)
    assert (ids[START_TEXT], ids[END_TEXT]) == (514, 515)


def test_the_special_ids_are_the_last_two():
    assert special_ids(tokenizer_from_merges([])) == (512, 513)


def test_the_bytes_are_the_same_each_time():
    assert tokenizer_from_merges([("a", "b")]) == tokenizer_from_merges([("a", "b")])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a dog", ["a", "dog"]),
        ("it's we'LL", ["it", "'s", "we", "'LL"]),
        ("1999", ["1", "9", "9", "9"]),
        ("wow!!! (yes)", ["wow", "!!!", "(", "yes", ")"]),
        ("snake_case", ["snake", "_", "case"]),
        ("a\u0345b", ["a", "b"]),  # the original drops it
        ("!<end_of_text>", ["!<", "end", "_", "of", "_", "text", ">"]),
        ("a<end_of_text>", ["a", "<end_of_text>"]),
    ],
)
def test_texts_are_split_into_words(text, expected):
    assert pieces(text) == expected


def test_a_merge_without_an_id_is_refused():
    with pytest.raises(CheckpointError, match=r"\('a', 'b'\) makes a word"):
        write_tokenizer({"a": 0, START_TEXT: 1, END_TEXT: 2}, [("a", "b")])
