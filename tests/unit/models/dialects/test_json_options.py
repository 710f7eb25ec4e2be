import pytest

from clipworks.errors import CheckpointError
from clipworks.models.dialects.json_options import Options

OPTIONS = Options(
    "part",
    {
        "whole": 3,
        "share": 0.5,
        "yes": True,
        "word": "a",
        "none": None,
        "sides": [4, 4],
        "in": {"x": 1},
    },
)


def test_values_and_defaults():
    assert OPTIONS.integer("whole", 1) == 3
    assert OPTIONS.integer("none", 1) == OPTIONS.integer("absent", 1) == 1
    assert OPTIONS.positive("share", 1) == 0.5
    assert OPTIONS.positive("whole", 1) == 3.0
    assert OPTIONS.flag("yes")
    assert not OPTIONS.flag("absent")
    assert OPTIONS.word("word", "b") == "a"
    assert OPTIONS.choice("word", "b", {"a": "A"}) == "A"
    assert OPTIONS.square("sides", 1) == 4
    assert OPTIONS.square("whole", 1) == 3
    assert OPTIONS.part("in").integer("x", 0) == 1
    assert OPTIONS.part("absent").values == {}


@pytest.mark.parametrize(
    "read",
    [
        lambda: OPTIONS.integer("yes", 1),
        lambda: OPTIONS.integer("share", 1),
        lambda: Options("part", {"x": -1}).integer("x", 1),
        lambda: OPTIONS.positive("word", 1),
        lambda: OPTIONS.positive("yes", 1),
        lambda: Options("part", {"x": float("nan")}).positive("x", 1),
        lambda: Options("part", {"x": float("inf")}).positive("x", 1),
        lambda: OPTIONS.flag("whole"),
        lambda: OPTIONS.word("whole", "b"),
        lambda: OPTIONS.choice("word", "b", {"b": "B"}),
        lambda: Options("part", {"x": [1, 2]}).square("x", 1),
        lambda: Options("part", {"x": []}).square("x", 1),
        lambda: Options("part", {"x": [[1], [1]]}).square("x", 1),
        lambda: OPTIONS.part("whole"),
    ],
)
def test_wrong_types_are_named(read):
    with pytest.raises(CheckpointError, match=r"part\.\w+ = .*: expected"):
        read()


def test_a_default_that_is_not_supported_is_told_as_such():
    with pytest.raises(CheckpointError, match=r"a\.pool is left out: expected one of map"):
        Options("a", {}).choice("pool", "avg", {"map": "map"})
