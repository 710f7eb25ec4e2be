import html
import itertools
import re
import string

import ftfy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipworks.inputs.text_cleaning import clean_for_siglip, clean_text, mend_text

PLAIN = [chr(code) for code in range(0x20, 0x7F) if chr(code) != "&"] + ["\t", "\n"]


def mend_in_full(text: str) -> str:
    return html.unescape(html.unescape(ftfy.fix_text(text)))


def test_each_plain_character_and_pair_needs_no_mending():
    for text in [*PLAIN, *map("".join, itertools.product(PLAIN, repeat=2))]:
        assert mend_in_full(text) == text


@given(st.text(st.sampled_from(PLAIN), max_size=200))
@settings(deadline=None, database=None, max_examples=300)
def test_plain_texts_need_no_mending(text):
    assert mend_in_full(text) == text


@given(st.text(st.characters(max_codepoint=127), max_size=60))
@settings(deadline=None, database=None, max_examples=300)
def test_the_short_cut_gives_what_the_long_way_gives(text):
    assert mend_text(text) == mend_in_full(text)


@pytest.mark.parametrize(
    "text",
    ["a\rb", "a\r\nb", "a\x0bb", "\x1b[31mred", "a\x00b", "a\x7fb", "&amp;", "AT&T", "a\x1fb"],
)
def test_ascii_that_mending_may_change_takes_the_long_way(text):
    assert mend_text(text) == mend_in_full(text)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("  A  dog\n\tand\r\na cat ", "A dog and a cat"),
        ("caf\u00c3\u00a9", "café"),
        ("Tom &amp;amp; Jerry", "Tom & Jerry"),
        ("\u201cquoted\u201d", '"quoted"'),
        ("", ""),
        (" \n ", ""),
        ("\ud83d\ude00 half \ud83d", "😀 half \ufffd"),
    ],
)
def test_whitespace_cleaning(text, cleaned):
    assert clean_text(text, "whitespace", lowercase=False) == cleaned
    assert clean_text(text, "whitespace", lowercase=True) == cleaned.lower()


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("A Photo, of a dog!", "A Photo of a dog"),
        ("snake_case_name", "snake case name"),
        ("it's 3.5 €", "its 35 €"),
        (string.punctuation, ""),
        ("Tom &amp; Jerry", "Tom Jerry"),
    ],
)
def test_canonicalizing_drops_punctuation(text, cleaned):
    assert clean_text(text, "canonicalize", lowercase=False) == cleaned
    assert clean_text(text, "canonicalize", lowercase=True) == cleaned.lower()


def test_no_cleaning_leaves_the_text():
    assert clean_text(" A &amp; B ", "none", lowercase=False) == " A &amp; B "
    assert clean_text(" A &amp; B ", "none", lowercase=True) == " a &amp; b "


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("", "\u2581"),
        ("A Cat.", "\u2581a cat"),
        ("  spaced \t out  ", "\u2581 spaced out"),  # what comes first stays
        ("- a_b, c", "\u2581 ab c"),
        ("caf\u00c3\u00a9 &amp;", "\u2581caf\u00e3\u00a9 amp"),  # nothing is mended
        ("\u2581x\u2581", "\u2581 x"),
        ("\u039f\u0394\u039f\u03a3", "\u2581\u03bf\u03b4\u03bf\u03c2"),  # a sigma at a word's end
    ],
)
def test_siglips_cleaning_is_that_of_transformers(text, cleaned):
    assert clean_text(text, "siglip", lowercase=True) == cleaned


def test_siglips_special_names_stay():
    special = re.compile("(</s>|<unk>)")
    cleaned = clean_for_siglip("A </s> b.<unk>, <pad>", lowercase=False, special=special)
    assert cleaned == "\u2581A</s>b<unk>pad"
