import os

import pytest

from clipworks.data.contents import Location, Unreadable
from clipworks.data.samples import read_caption, read_fields, storable
from clipworks.errors import InputError


@pytest.mark.parametrize(
    ("content", "caption"),
    [
        (b"a cat\n", "a cat"),
        (b"\xef\xbb\xbfa cat", "a cat"),
        (b"two\nlines", "two\nlines"),
        ("un café".encode(), "un café"),
        (b"caf\xe9", "caf\ufffd"),
        (b"", None),
        (b" \n\t", None),
    ],
)
def test_reads_a_caption(tmp_path, content, caption):
    (tmp_path / "a.txt").write_bytes(content)
    assert read_caption(Location(str(tmp_path / "a.txt"))) == caption
    assert read_caption(content) == caption


def test_reads_fields_flattened(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"id": 1, "size": {"w": 2, "deep": {"x": null}}, "tags": ["a", "b"]}')
    assert read_fields(Location(str(path))) == {
        "id": 1,
        "size.w": 2,
        "size.deep.x": None,
        "tags": ["a", "b"],
    }


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"\xff\xfe\xfa", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[1]", "expected a JSON object, found list"),
        (b"null", "expected a JSON object, found NoneType"),
    ],
)
def test_says_what_is_wrong_with_fields(tmp_path, content, reason):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=reason):
        read_fields(Location(str(tmp_path / "a.json")))
    with pytest.raises(InputError, match=reason):
        read_fields(content)


@pytest.mark.parametrize("read", [read_caption, read_fields])
def test_says_what_the_system_says(tmp_path, read):
    with pytest.raises(InputError, match=r"^cannot be read: No such file or directory$"):
        read(Location(str(tmp_path / "missing")))
    with pytest.raises(InputError, match=r"^cannot be read: Is a directory$"):
        read(Location(str(tmp_path)))
    with pytest.raises(InputError, match=r"^the archive ends early$"):
        read(Unreadable("the archive ends early"))


def test_half_a_character_does_not_reach_the_model():
    assert read_caption("caf\udce9 \ud83d") == "caf\ufffd \ufffd"


def test_takes_what_is_there_already():
    assert read_caption(" a cat ") == "a cat"
    assert read_caption(None) is None
    assert read_fields({"a.b": 1}) == {"a.b": 1}
    assert read_fields(None) == {}


def test_storable_text_is_utf8():
    assert storable("plain é 语") == "plain é 语"
    assert storable(os.fsdecode(b"latin\xe9")) == r"latin\udce9"
