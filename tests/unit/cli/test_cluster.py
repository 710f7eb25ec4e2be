import json

import pytest

from clipworks.cli.cluster import cluster
from clipworks.errors import ModelMismatchError, SettingsError
from tests.support.colour_model import install_colour_model
from tests.support.colours import colour_folder
from tests.support.commands import run


@pytest.fixture(autouse=True)
def loaded(monkeypatch):
    return install_colour_model(monkeypatch)


@pytest.fixture
def folder(tmp_path):
    return colour_folder(tmp_path / "out", tmp_path / "pictures")


def test_groups_are_named_by_the_folders_model(folder, loaded):
    groups = json.loads(run(cluster, folder, "-n", 3, "--json").stdout)
    assert [group["size"] for group in groups] == [2, 2, 2]
    assert sorted(sorted(group["ids"]) for group in groups) == [[0, 3], [1, 4], [2, 5]]
    for group in groups:
        colour = ["red", "green", "blue"][group["ids"][0] % 3]
        assert group["names"][0] == colour
    assert loaded == ["colours"]


def test_groups_can_be_named_by_captions_without_a_model(folder, loaded):
    groups = json.loads(run(cluster, folder, "-n", 3, "--names", "captions", "--json").stdout)
    assert {group["names"][0] for group in groups} == {"red", "green", "blue"}
    assert loaded == []


def test_the_table_and_the_page_show_them(folder, tmp_path):
    result = run(cluster, folder, "-n", 3, "--html", tmp_path / "page.html")
    assert "a red picture" in result.stdout
    assert (tmp_path / "page.html").read_text(encoding="utf-8").count("<section>") == 3


def test_what_cannot_be_done_is_refused(folder, tmp_path):
    with pytest.raises(SettingsError, match="expected words or captions"):
        run(cluster, folder, "--names", "numbers")
    with pytest.raises(ModelMismatchError, match="fingerprint other"):
        run(cluster, folder, "--model", "other")
    bare = colour_folder(tmp_path / "bare", tmp_path / "more", captions=False)
    with pytest.raises(SettingsError, match="has no captions"):
        run(cluster, bare, "--names", "captions")
