import dataclasses

import pytest

from clipworks.encoders.computed_precision import (
    card_at,
    find_precision,
    native_precision,
    resolve_precision,
)
from clipworks.errors import SettingsError
from tests.support.tiny import tiny_card, tiny_tokenizer

ALL = ("fp32", "bf16", "fp16", "int8")


@pytest.fixture(scope="module")
def card():
    return dataclasses.replace(tiny_card(tiny_tokenizer()), fingerprint="0123456789abcdef")


def stored_as(card, precision):
    return dataclasses.replace(card, precision=precision)


@pytest.mark.parametrize(
    ("stored", "wanted", "able", "computed"),
    [
        ("fp32", None, ALL, "fp32"),
        ("fp16", None, ALL, "fp32"),
        ("bf16", None, ALL, "bf16"),
        ("bf16", None, ("fp32", "int8"), "fp32"),
        ("int8", None, ALL, "int8"),
        ("fp32", "bf16", ALL, "bf16"),
        ("bf16", "fp32", ALL, "fp32"),
        ("fp16", "fp16", ALL, "fp16"),
    ],
)
def test_what_is_computed_in(card, stored, wanted, able, computed):
    found = resolve_precision(stored_as(card, stored), wanted, able=able, runtime="abacus on wood")
    assert found == computed


@pytest.mark.parametrize(
    ("stored", "wanted", "able", "message"),
    [
        ("fp32", "bf16", ("fp32",), "abacus on wood computes in fp32"),
        ("bf16", "bf16", ("fp32",), "abacus on wood computes in fp32"),
        ("int8", None, ("fp32", "bf16"), "int8, which abacus on wood does not run"),
        ("int8", "fp32", ALL, "quantised to int8"),
        ("fp32", "int8", ALL, "clipworks convert --precision int8"),
        ("fp32", "fp64", ALL, "expected one of fp32, bf16, fp16"),
    ],
)
def test_what_is_refused(card, stored, wanted, able, message):
    with pytest.raises(SettingsError, match=message):
        resolve_precision(stored_as(card, stored), wanted, able=able, runtime="abacus on wood")


def test_other_numbers_have_another_fingerprint(card):
    cards = [card_at(card, precision) for precision in (None, "fp32", "bf16", "fp16")]
    assert cards[0] is cards[1] is card
    assert len({one.fingerprint for one in cards}) == 3
    assert all(len(one.fingerprint) == len(card.fingerprint) for one in cards)
    assert card_at(stored_as(card, "bf16"), "bf16").fingerprint == card.fingerprint
    assert card_at(stored_as(card, "bf16"), "fp32").fingerprint != card.fingerprint


@pytest.mark.parametrize("stored", ["fp32", "fp16", "bf16"])
def test_a_fingerprint_tells_the_precision(card, stored):
    own = stored_as(card, stored)
    for precision in ("fp32", "bf16", "fp16"):
        expected = None if precision == native_precision(own) else precision
        assert find_precision(own, card_at(own, precision).fingerprint) == expected
    assert find_precision(own, "another model's") is None
