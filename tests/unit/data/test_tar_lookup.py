import pytest

from clipworks.data.tar_lookup import read_tar_member
from clipworks.errors import InputError
from tests.support.sources import write_tar


@pytest.mark.parametrize(("suffix", "mode"), [("tar", "w"), ("tar.gz", "w:gz"), ("tgz", "w:gz")])
def test_reads_one_file(tmp_path, suffix, mode):
    path = write_tar(tmp_path / f"x.{suffix}", [("a.jpg", b"A"), ("b/b.jpg", b"B")], mode)
    assert read_tar_member(str(path), "b/b.jpg") == b"B"
    assert read_tar_member(str(path), "a.jpg") == b"A"
    with pytest.raises(InputError, match=r"^the archive has no file 'c\.jpg'$"):
        read_tar_member(str(path), "c.jpg")


def test_of_a_cut_archive_what_lies_before_the_cut(tmp_path):
    path = write_tar(tmp_path / "x.tar", [("a.jpg", b"A"), ("b.jpg", b"B" * 5000)])
    path.write_bytes(path.read_bytes()[:2500])
    assert read_tar_member(str(path), "a.jpg") == b"A"
    with pytest.raises(InputError, match="cut off"):
        read_tar_member(str(path), "b.jpg")


def test_the_first_of_two_that_bear_one_name(tmp_path):
    path = write_tar(tmp_path / "x.tar", [("a.jpg", b"first"), ("a.jpg", b"second")])
    assert read_tar_member(str(path), "a.jpg") == b"first"


def test_what_is_no_archive_says_so(tmp_path):
    (tmp_path / "x.tar").write_bytes(b"nothing" * 200)
    with pytest.raises(InputError, match="is no tar archive"):
        read_tar_member(str(tmp_path / "x.tar"), "a.jpg")
