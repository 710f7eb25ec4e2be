import hashlib
import os

import pytest

from clipworks.encoders import checked_files
from clipworks.encoders.checked_files import digest_of

LARGE = bytes(range(256)) * 8192  # 2 MiB


@pytest.fixture
def hashed(monkeypatch):
    """The paths that were really hashed, in order."""
    paths = []

    def spy(path):
        paths.append(path)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    monkeypatch.setattr(checked_files, "sha256_of_file", spy)
    return paths


@pytest.fixture
def large(tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(LARGE)
    return path


def test_a_large_file_is_hashed_once(large, hashed):
    expected = hashlib.sha256(LARGE).hexdigest()
    assert [digest_of(large), digest_of(large)] == [expected, expected]
    assert hashed == [large]


def test_a_renamed_file_is_not_hashed_again(large, hashed):
    first = digest_of(large)
    moved = large.rename(large.with_name("moved"))
    # A rename touches the file's own ctime on some file systems, and then it is hashed again.
    assert digest_of(moved) == first
    folder = moved.parent / "folder"
    folder.mkdir()
    inner = folder / "weights"
    inner.write_bytes(LARGE)
    digest_of(inner)
    count = len(hashed)
    digest_of(folder.rename(folder.with_name("other")) / "weights")
    assert len(hashed) == count


def test_a_changed_file_is_hashed_again_even_with_its_old_times(large, hashed):
    before = digest_of(large)
    times = large.stat()
    with large.open("r+b") as stream:
        stream.write(b"\xff")
    os.utime(large, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert digest_of(large) == hashlib.sha256(b"\xff" + LARGE[1:]).hexdigest() != before
    assert len(hashed) == 2


def test_small_files_leave_no_note(tmp_path, hashed):
    small = tmp_path / "small"
    small.write_bytes(b"abc")
    digest_of(small)
    digest_of(small)
    assert len(hashed) == 2


@pytest.mark.parametrize("content", ["", "no JSON", "[]", '{"state": 1}'])
def test_a_damaged_note_is_as_good_as_none(large, hashed, content):
    expected = digest_of(large)
    (note,) = (checked_files.cache_folder() / "checked").iterdir()
    note.write_text(content)
    assert digest_of(large) == expected
    assert len(hashed) == 2


def test_a_cache_that_cannot_be_written_does_no_harm(large, monkeypatch, tmp_path):
    blocked = tmp_path / "a file"
    blocked.write_text("in the way")
    monkeypatch.setenv("CLIPWORKS_CACHE", str(blocked))
    assert digest_of(large) == hashlib.sha256(LARGE).hexdigest()
