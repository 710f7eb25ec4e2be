"""Where bundles are kept: whole or not there, whatever is killed and whoever is first."""

import os
import time

import pytest

from clipworks.encoders.bundle_store import (
    find_stored,
    list_stored,
    new_bundle,
    place_file,
    stored_bundles,
)
from clipworks.errors import UnknownModelError


def write(name, content, **options):
    with new_bundle(name, **options) as folder:
        (folder / "bundle.json").write_text(content)


def test_a_bundle_appears_when_it_is_whole():
    with new_bundle("org/model") as folder:
        (folder / "bundle.json").write_text("{}")
        assert find_stored("org/model") is None
        assert list_stored().get("org/model") is None
    assert find_stored("org/model") == stored_bundles() / "org" / "model"
    assert "org/model" in list_stored()


def test_an_error_leaves_nothing():
    with pytest.raises(KeyError), new_bundle("model") as folder:
        (folder / "bundle.json").write_text("{}")
        raise KeyError
    assert find_stored("model") is None
    assert list(stored_bundles().iterdir()) == []


def test_who_is_first_stays_unless_replaced():
    write("model", "first")
    write("model", "second")
    assert (find_stored("model") / "bundle.json").read_text() == "first"
    write("model", "third", replace=True)
    assert (find_stored("model") / "bundle.json").read_text() == "third"
    assert [path.name for path in stored_bundles().iterdir()] == ["model"]


def test_what_is_no_bundle_makes_room():
    (stored_bundles() / "model").mkdir(parents=True)
    (stored_bundles() / "model" / "image.onnx").touch()
    write("model", "{}")
    assert [path.name for path in find_stored("model").iterdir()] == ["bundle.json"]


def test_what_was_killed_long_ago_is_cleared_away():
    old, young = (stored_bundles() / f".model.{suffix}.part" for suffix in ("aa", "bb"))
    for folder in (old, young):
        folder.mkdir(parents=True)
    os.utime(old, (time.time() - 90_000,) * 2)
    write("model", "{}")
    assert not old.exists()
    assert young.exists()


@pytest.mark.parametrize("name", ["../up", "/root", "a//b", "a/../b", ".hidden", "a/.hidden", ""])
def test_names_that_lead_elsewhere(name):
    assert find_stored(name) is None
    with pytest.raises(UnknownModelError, match="cannot name a bundle"), new_bundle(name):
        pass


def test_files_are_not_stored_twice(tmp_path):
    source = tmp_path / "blob"
    source.write_bytes(b"weights")
    (tmp_path / "link").symlink_to(source)
    place_file(tmp_path / "link", tmp_path / "bundle" / "image.onnx")
    assert (tmp_path / "bundle" / "image.onnx").stat().st_ino == source.stat().st_ino
    assert not (tmp_path / "bundle" / "image.onnx").is_symlink()
