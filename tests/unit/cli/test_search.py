import json
import webbrowser

import numpy as np
import pytest
import torch

from clipworks.cli.search import search
from clipworks.errors import (
    FolderError,
    ModelMismatchError,
    SettingsError,
    UnknownModelError,
)
from clipworks.search.build import build_index
from tests.support.colour_model import install_colour_model
from tests.support.colours import colour_embedder, colour_folder, save_picture
from tests.support.commands import run
from tests.support.folders import folder_of


@pytest.fixture(autouse=True)
def loaded(monkeypatch):
    """The models that were asked for; each is the colour model."""
    return install_colour_model(monkeypatch)


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


def many_pictures(tmp_path, count=60):
    """A folder of enough pictures to judge relevance in: ten of each colour, and noise."""
    embedder = colour_embedder()
    random = np.random.default_rng(0)
    rows = np.abs(random.standard_normal((count, 8)) * 0.25 + 0.3)
    rows[:3] = embedder.embed_texts(["red", "green", "blue"])
    folder, _ = folder_of(tmp_path / "many", rows)
    build_index(folder)
    return folder


def hits_of(result):
    (answer,) = json.loads(result.stdout)
    return answer["hits"]


def test_probabilities_stand_in_the_table_in_json_and_on_the_page(tmp_path):
    folder = many_pictures(tmp_path)
    told = run(search, folder, "red", "-k", 2, "--html", tmp_path / "page.html")
    assert "everyday words, once" in told.stderr
    assert "%" in told.stdout.splitlines()[1]
    assert "% likely" in (tmp_path / "page.html").read_text(encoding="utf-8")
    again = run(search, folder, "red", "-k", 2, "--json")
    assert again.stderr == ""
    first, second = hits_of(again)
    assert first["id"] == 0
    assert 0 <= second["probability"] < first["probability"] <= 1


def test_only_relevant_hits_come_and_perhaps_none(tmp_path):
    folder = many_pictures(tmp_path)
    hits = hits_of(run(search, folder, "red", "--relevant", "--json"))
    assert hits[0]["id"] == 0
    assert all(hit["probability"] >= 0.5 for hit in hits)
    assert hits_of(run(search, folder, "photo of a", "--relevant", "--json")) == []
    assert "nothing was found" in run(search, folder, "photo of a", "--relevant").stdout


def test_relevance_that_cannot_be_judged_says_so(folder, tmp_path):
    picture = save_picture(tmp_path / "query.png", "red")
    with pytest.raises(SettingsError, match="leave --relevant out"):
        run(search, folder, "red", "--relevant")  # six pictures
    with pytest.raises(SettingsError, match="leave --relevant out"):
        run(search, many_pictures(tmp_path), "--image", picture, "--relevant")


def test_pages_follow_each_other(folder):
    whole = hits_of(run(search, folder, "red", "-k", 6, "--json"))
    pages = [
        hits_of(run(search, folder, "red", "-k", 2, "--offset", n, "--json")) for n in (0, 2, 4)
    ]
    assert [hit for page in pages for hit in page] == whole
    assert [hit["rank"] for hit in pages[1]] == [3, 4]
    assert hits_of(run(search, folder, "red", "--offset", 6, "--json")) == []


def test_a_condition_limits_the_search(folder):
    hits = hits_of(
        run(search, folder, "red", "--where", "row >= 3 and caption like '%blue%'", "--json")
    )
    assert [hit["id"] for hit in hits] == [5]
    with pytest.raises(SettingsError, match="the columns are image_path, caption, row"):
        run(search, folder, "red", "--where", "size > 3")


def test_near_duplicates_are_left_out(folder):
    hits = hits_of(run(search, folder, "red", "--dedup", "--json"))
    assert {hit["id"] % 3 for hit in hits} == {0, 1, 2}
    assert len(hits) == 3


def test_sums_are_queries(folder, tmp_path):
    picture = save_picture(tmp_path / "green.png", "green")
    result = run(search, folder, "--query", f"'red' - 2 * 'red' + {picture}", "-k", 2, "--json")
    (answer,) = json.loads(result.stdout)
    assert answer["query"] == '"red" - 2 * "red" + green.png'
    assert {hit["id"] for hit in answer["hits"]} == {1, 4}


def test_captions_can_be_searched(folder):
    hits = hits_of(run(search, folder, "a blue picture", "-k", 2, "--modality", "text", "--json"))
    assert {hit["id"] for hit in hits} == {2, 5}
    assert hits[0]["similarity"] > 0.99
    with pytest.raises(SettingsError, match="expected image or text"):
        run(search, folder, "red", "--modality", "sound")


def test_embeddings_come_on_request(folder):
    hits = hits_of(run(search, folder, "red", "-k", 1, "--embeddings", "--json"))
    row = np.load(folder / "img_emb" / "img_emb_0.npy")[hits[0]["id"]]
    np.testing.assert_allclose(hits[0]["embedding"], row, atol=1e-6)
    with pytest.raises(SettingsError, match="give --json too"):
        run(search, folder, "red", "--embeddings")


def linear_head(path, dim=8):
    torch.save({"weight": torch.eye(dim)[:1], "bias": torch.zeros(1)}, path)  # how red it is
    return path


def test_heads_score_and_limit(folder, tmp_path):
    head = linear_head(tmp_path / "head.pth")
    hits = hits_of(run(search, folder, "green", "--head", f"redness={head}", "--json"))
    assert len(hits) == 6
    for hit in hits:
        assert (hit["scores"]["redness"] > 0.9) == (hit["id"] % 3 == 0)
    few = hits_of(run(search, folder, "green", "--head", f"redness={head}:.9..", "--json"))
    assert {hit["id"] for hit in few} == {0, 3}
    assert "redness 1.00" in run(search, folder, "green", "--head", f"redness={head}:.9..").stdout
    with pytest.raises(ModelMismatchError, match="takes embeddings of 5 numbers"):
        run(search, folder, "green", "--head", f"x={linear_head(tmp_path / 'five.pth', 5)}")


@pytest.mark.parametrize("text", ["file.pth", "a=", "=file", "similarity=x.pth", "a b=x.pth"])
def test_a_head_that_is_written_otherwise_is_refused(folder, text):
    with pytest.raises(SettingsError, match="expected NAME=FILE"):
        run(search, folder, "red", "--head", text)


def test_an_aesthetic_embedding_turns_the_query(folder, tmp_path):
    np.save(tmp_path / "rating9.npy", np.eye(8)[2])
    hits = hits_of(
        run(
            search, folder, "red", "-k", 2, "--aesthetic", f"{tmp_path / 'rating9.npy'}:5", "--json"
        )
    )
    assert {hit["id"] for hit in hits} == {2, 5}
