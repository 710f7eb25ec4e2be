from pathlib import Path

import pytest

from clipworks.data.contents import Location, Unreadable, open_again, read_content
from clipworks.errors import InputError
from tests.support.sources import write_tar


def test_reads_bytes_and_places(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    assert read_content(b"x") == b"x"
    assert read_content(Location(str(tmp_path / "a.png"))) == b"x"
    with pytest.raises(InputError, match=r"^why$"):
        read_content(Unreadable("why"))
    with pytest.raises(InputError, match="is not a path"):
        read_content(Location("/a\0b"))


def test_only_local_files_have_a_path():
    assert Location("/a/b.png").path == Path("/a/b.png")
    assert Location("https://x/b.png").path is None
    assert Location("tar://b.png::/x.tar").path is None


def test_a_picture_is_opened_again_wherever_it_lies(tmp_path):
    path = write_tar(tmp_path / "x.tar", [("a.png", b"yes")])
    assert open_again(str(tmp_path / "a.png")) == tmp_path / "a.png"
    assert open_again(f"tar://a.png::{path}") == b"yes"
    with pytest.raises(InputError, match="has no file"):
        open_again(f"tar://b.png::{path}")
