import json

import pytest
from PIL import Image

import clipworks
from clipworks.cli import model_option
from clipworks.cli.demo import QUERIES, demo
from clipworks.encoders import loading
from clipworks.errors import FolderError
from tests.support.colours import colour_embedder
from tests.support.commands import run


@pytest.fixture(autouse=True)
def model(monkeypatch):
    """What `load` gives: the colour model, which a test may replace."""
    given = {"embedder": colour_embedder()}
    monkeypatch.setattr(model_option, "pull_model", lambda model: model)
    monkeypatch.setattr(loading, "load", lambda model, **_: given["embedder"])
    return given


def answers(result):
    return json.loads(result.stdout)


def test_five_queries_are_answered_and_shown_on_a_page(tmp_path):
    out = tmp_path / "demo"
    result = run(demo, "--out", out)
    assert len(QUERIES) == 5
    for query in QUERIES:
        assert query in result.stdout
    assert f"clipworks search {out / 'embeddings'}" in result.stdout
    page = (out / "results.html").read_text(encoding="utf-8")
    assert page.count("<li>") == 30
    assert "Twemoji, © Twitter, Inc and other contributors, CC-BY-4.0" in page


def test_a_second_run_finds_its_work_done(tmp_path):
    first = run(demo, "--out", tmp_path / "demo", "--json")
    rows = tmp_path / "demo" / "embeddings" / "img_emb" / "img_emb_0.npy"
    written = rows.stat().st_mtime_ns
    second = run(demo, "--out", tmp_path / "demo", "--json")
    assert answers(first) == answers(second)
    assert rows.stat().st_mtime_ns == written


def test_another_model_makes_the_demo_anew(tmp_path, model):
    out = tmp_path / "demo"
    run(demo, "--out", out)
    model["embedder"] = colour_embedder(fingerprint="another")
    run(demo, "--out", out)
    manifest = json.loads((out / "embeddings" / "manifest.json").read_text())
    assert manifest["fingerprint"] == "another"


def test_pictures_of_ones_own_can_be_put_beside_ours(tmp_path):
    out = tmp_path / "demo"
    run(demo, "--out", out)
    Image.new("RGB", (32, 32), "red").save(out / "pictures" / "mine.png")
    found = answers(run(demo, "--out", out, "--json"))
    assert len(found) == 5
    manifest = json.loads((out / "embeddings" / "manifest.json").read_text())
    assert manifest["num_samples"] == 100


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path):
    (tmp_path / "embeddings").mkdir()
    with pytest.raises(FolderError, match="is there already, and no demo of ours"):
        run(demo, "--out", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["embeddings"]


def test_an_empty_folder_is_taken(tmp_path):
    run(demo, "--out", tmp_path)
    assert (tmp_path / "results.html").is_file()


def test_the_pictures_come_with_their_attribution(package_pictures):
    words = (package_pictures / "ATTRIBUTION.md").read_text(encoding="utf-8")
    assert "Twemoji, © Twitter, Inc and other contributors" in words
    assert "CC-BY-4.0" in words


def test_the_pictures_are_small_and_named_by_code_point(package_pictures):
    pictures = sorted(package_pictures.glob("*.png"))
    assert len(pictures) == 99
    assert sum(path.stat().st_size for path in pictures) < 600_000
    for path in pictures:
        chr(int(path.stem, 16))
        with Image.open(path) as image:
            assert (image.mode, image.size) == ("RGB", (96, 96))
            assert image.getpixel((0, 95)) == (255, 255, 255)


@pytest.fixture
def package_pictures():
    from pathlib import Path

    return Path(clipworks.__file__).parent / "demo_pictures"
