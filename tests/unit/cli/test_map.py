import json
import re
import sys

import numpy as np
import pytest

from clipworks.cli.map import map as map_command
from clipworks.errors import FolderError, MissingExtraError, SettingsError
from clipworks.search.deleted_rows import write_deleted
from tests.support.colour_model import install_colour_model
from tests.support.colours import colour_folder
from tests.support.commands import run


@pytest.fixture(autouse=True)
def loaded(monkeypatch):
    return install_colour_model(monkeypatch)


@pytest.fixture
def folder(tmp_path):
    return colour_folder(tmp_path / "out", tmp_path / "pictures")


def data_of(page):
    text = page.read_text(encoding="utf-8")
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    return json.loads(found)


def test_a_folder_becomes_a_page(folder, tmp_path):
    page = tmp_path / "deep" / "map.html"
    result = run(map_command, folder, "--out", page, "--method", "pca", "-n", 3, "--json")
    assert json.loads(result.stdout) == {"page": str(page), "pictures": 6, "method": "pca"}
    data = data_of(page)
    assert data["captions"] == [f"a {c} picture" for c in ("red", "green", "blue") * 2]
    assert [one["name"] for one in data["colourings"]] == ["group", "row"]
    assert {kind.split(",")[0] for kind in data["colourings"][0]["kinds"]} == {
        "red", "green", "blue"
    }  # fmt: skip
    assert len(data["sheets"]) == 1


def test_the_colour_asked_for_comes_first(folder, tmp_path):
    page = tmp_path / "map.html"
    run(map_command, folder, "--out", page, "--method", "pca", "--colour", "row")
    assert [one["name"] for one in data_of(page)["colourings"]] == ["row", "group"]
    with pytest.raises(SettingsError, match="expected one of group, row"):
        run(map_command, folder, "--out", page, "--method", "pca", "--colour", "size")


def test_what_is_asked_for_wrongly_is_told_before_the_layout(folder, tmp_path, monkeypatch):
    from clipworks.search import map_layout

    monkeypatch.setattr(map_layout, "lay_out", lambda *_, **__: pytest.fail("laid out"))
    for wrong in (["--colour", "size"], ["--method", "tsne"]):
        with pytest.raises(SettingsError, match="expected"):
            run(map_command, folder, "--out", tmp_path / "map.html", *wrong)
    with pytest.raises(SettingsError):
        run(map_command, folder, "--out", tmp_path / "map.html", "--names", "numbers")


def test_without_umap_it_takes_pca_and_says_so(folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    result = run(map_command, folder, "--out", tmp_path / "map.html", "--names", "none")
    assert "taking PCA" in result.stderr
    assert "pip install 'clipworks[map]'" in result.stderr
    with pytest.raises(MissingExtraError, match=r"clipworks\[map\]"):
        run(map_command, folder, "--out", tmp_path / "map.html", "--method", "umap")


def test_a_limit_deleted_rows_and_lost_pictures_are_told(folder, tmp_path, loaded):
    write_deleted(folder, np.array([0]))
    (tmp_path / "pictures" / "1.png").unlink()
    page = tmp_path / "map.html"
    options = ["--out", page, "--method", "pca", "--names", "none"]
    result = run(map_command, folder, *options)
    assert "1 of 5 pictures cannot be read" in result.stderr
    assert len(data_of(page)["names"]) == 5
    assert data_of(page)["colourings"][0]["kinds"][0] == "group 1"
    assert "drawing 3 of 5 pictures" in run(map_command, folder, *options, "--limit", 3).stderr
    assert loaded == []


def test_what_cannot_be_done_is_refused(folder, tmp_path):
    with pytest.raises(SettingsError, match="expected umap, pca or auto"):
        run(map_command, folder, "--method", "tsne")
    with pytest.raises(FolderError, match="cannot be written"):
        run(map_command, folder, "--out", tmp_path, "--method", "pca", "--names", "none")
