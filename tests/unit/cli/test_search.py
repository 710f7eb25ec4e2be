import json
import webbrowser
from types import SimpleNamespace

import pytest

from clipworks.cli import model_option
from clipworks.cli.search import search
from clipworks.errors import (
    FolderError,
    ModelMismatchError,
    SettingsError,
    UnknownModelError,
)
from clipworks.search.build import build_index
from tests.support.colours import colour_embedder, colour_folder, save_picture
from tests.support.commands import run


@pytest.fixture(autouse=True)
def loaded(monkeypatch):
    """The models that were asked for; each is the colour model."""
    names = []

    def pull_model(name):
        if name == "unknown":
            raise UnknownModelError("unknown: no such model")
        return SimpleNamespace(name=name, card=colour_embedder().card)

    def load_model(model, how):
        name = model if isinstance(model, str) else model.name
        names.append(name)
        return colour_embedder(fingerprint="other") if name == "other" else colour_embedder()

    monkeypatch.setattr(model_option, "pull_model", pull_model)
    monkeypatch.setattr(model_option, "load_model", load_model)
    return names


@pytest.fixture
def folder(tmp_path):
    made = colour_folder(tmp_path / "out", tmp_path / "pictures")
    build_index(made)
    return made


def edit_manifest(folder, **changes):
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_words_give_a_table(folder):
    result = run(search, folder, "a red picture", "-k", 2)
    lines = result.stdout.splitlines()
    assert lines[0].strip() == "a red picture"
    assert len([line for line in lines if "a red picture" in line]) == 3
    assert result.stderr == ""


def test_several_words_are_several_queries(folder):
    result = run(search, folder, "red", "blue", "-k", 1, "--json")
    answers = json.loads(result.stdout)
    assert [answer["query"] for answer in answers] == ["red", "blue"]
    assert [answer["hits"][0]["caption"] for answer in answers] == [
        "a red picture",
        "a blue picture",
    ]
    assert set(answers[0]["hits"][0]) == {
        "rank", "similarity", "id", "image_path", "caption", "metadata"
    }  # fmt: skip


def test_a_picture_is_a_query(folder, tmp_path):
    query = save_picture(tmp_path / "query.png", "green")
    (answer,) = json.loads(run(search, folder, "--image", query, "-k", 2, "--json").stdout)
    assert answer["query"] == str(query)
    assert {hit["id"] for hit in answer["hits"]} == {1, 4}


def test_brackets_in_a_query_are_not_markup(folder):
    assert "[bold]red[/bold]" in run(search, folder, "[bold]red[/bold]").stdout


def test_the_model_is_the_one_that_made_the_folder(folder, loaded):
    run(search, folder, "red")
    assert loaded == ["colours"]


def test_a_model_that_is_given_is_taken_and_checked(folder, loaded, monkeypatch):
    with pytest.raises(ModelMismatchError, match="fingerprint other"):
        run(search, folder, "red", "--model", "other")
    monkeypatch.setenv("CLIPWORKS_MODEL", "colours-2")
    run(search, folder, "red")
    assert loaded == ["other", "colours-2"]


def test_a_recorded_model_that_is_not_here_asks_for_its_bundle(folder):
    edit_manifest(folder, model="unknown")
    with pytest.raises(UnknownModelError, match="give its bundle's folder with --model"):
        run(search, folder, "red")


def test_a_folder_that_names_no_model_says_so_unless_one_is_given(tmp_path, loaded):
    folder = colour_folder(tmp_path / "out", tmp_path / "pictures")
    build_index(folder)
    for name in ("manifest.json", "index.json"):
        (folder / name).unlink()
    told = run(search, folder, "red").stderr
    assert told.count("\n") == 1
    assert "does not say which model made it: taking pictograms, unchecked" in told
    assert run(search, folder, "red", "--model", "mine").stderr == ""
    assert loaded == ["pictograms", "mine"]


def test_without_an_index_it_compares_with_all_rows_and_says_so(folder):
    indexed = json.loads(run(search, folder, "red", "blue", "-k", 2, "--json").stdout)
    (folder / "image.index").unlink()
    result = run(search, folder, "red", "blue", "-k", 2, "--json")
    assert result.stderr.count("\n") == 1
    assert f"clipworks index {folder}" in result.stderr
    for one, other in zip(json.loads(result.stdout), indexed, strict=True):
        assert {hit["id"] for hit in one["hits"]} == {hit["id"] for hit in other["hits"]}


def test_results_can_be_a_page(folder, tmp_path):
    page = tmp_path / "deep" / "page.html"
    result = run(search, folder, "red", "--html", page)
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert result.stderr == f"wrote {page}\n"


def test_a_page_that_cannot_be_written_is_our_error(folder, tmp_path):
    with pytest.raises(FolderError, match="cannot be written"):
        run(search, folder, "red", "--html", tmp_path)


def test_open_shows_a_page(folder, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    run(search, folder, "red", "--open")
    assert opened[0].startswith("file:///")
    assert opened[0].endswith("/results.html")


def test_nothing_to_look_for_is_our_error(folder):
    with pytest.raises(SettingsError, match="nothing to look for"):
        run(search, folder)


def test_no_results_wanted_is_our_error(folder):
    with pytest.raises(SettingsError, match="at least 1"):
        run(search, folder, "red", "-k", 0)
