import pytest

from clipworks.files import (
    atomic_path,
    cache_folder,
    folder_beside,
    remove_partial_files,
    sha256_of_file,
    write_bytes_atomic,
    write_json_atomic,
)


def test_a_failed_write_leaves_the_old_file_and_no_stray(tmp_path):
    path = tmp_path / "a.bin"
    write_bytes_atomic(path, b"old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_bytes(b"new")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_folders_come_into_being(tmp_path):
    write_json_atomic(tmp_path / "x" / "y.json", {"ä": 1})
    assert (tmp_path / "x" / "y.json").read_text(encoding="utf-8") == '{\n  "ä": 1\n}\n'


def test_strays_of_killed_writers_are_removed(tmp_path):
    stray = tmp_path / "deep" / ".a.npy.0011aabb.part"
    stray.parent.mkdir()
    stray.write_bytes(b"half")
    (tmp_path / "deep" / "a.npy").write_bytes(b"whole")
    remove_partial_files(tmp_path)
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["a.npy"]


def test_sha256(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_of_file(tmp_path / "abc") == expected


def test_the_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("CLIPWORKS_CACHE", str(tmp_path / "c"))
    assert cache_folder() == tmp_path / "c"
    monkeypatch.delenv("CLIPWORKS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "clipworks"


def test_others_may_read_what_a_secretive_writer_wrote(tmp_path):
    (tmp_path / "plain").touch()
    with atomic_path(tmp_path / "a") as temporary:
        temporary.unlink()
        temporary.touch(0o600)
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_folder_beside_is_renamed_or_removed(tmp_path):
    with folder_beside(tmp_path / "deep" / "done") as folder:
        (folder / "a").touch()
        folder.rename(tmp_path / "deep" / "done")
    with pytest.raises(RuntimeError), folder_beside(tmp_path / "deep" / "failed") as folder:
        (folder / "a").touch()
        raise RuntimeError
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["done"]
