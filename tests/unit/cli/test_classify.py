import json

import pytest

from clipworks.cli import model_option
from clipworks.cli.classify import classify
from clipworks.errors import SettingsError
from tests.support.colours import colour_embedder, save_picture
from tests.support.commands import run


@pytest.fixture(autouse=True)
def _colour_model(monkeypatch):
    monkeypatch.setattr(model_option, "load_model", lambda model, how: colour_embedder())


@pytest.fixture
def pictures(tmp_path):
    return [save_picture(tmp_path / f"{name}.png", name) for name in ("red", "blue")]


def labels_of(result):
    return [found["label"] for found in json.loads(result.stdout)]


def test_each_picture_gets_a_table(pictures):
    result = run(classify, *pictures, "--labels", "red, blue")
    assert [line.strip() for line in result.stdout.splitlines() if ".png" in line] == [
        str(picture) for picture in pictures
    ]
    assert "%" in result.stdout
    assert "█" in result.stdout
    assert result.stderr == ""


def test_json_holds_every_score(pictures):
    found = json.loads(run(classify, *pictures, "-l", "red,blue", "--json").stdout)
    assert [one["image"] for one in found] == [str(picture) for picture in pictures]
    assert [one["label"] for one in found] == ["red", "blue"]
    assert set(found[0]["scores"]) == {"red", "blue"}


def test_labels_come_from_a_file_too(pictures, tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text("red\n\ngreen, of course\nblue\n", encoding="utf-8-sig")
    found = json.loads(run(classify, *pictures, "--labels-file", path, "--json").stdout)
    assert set(found[0]["scores"]) == {"red", "green, of course", "blue"}
    both = run(classify, *pictures, "--labels-file", path, "-l", "big", "--json")
    assert "big" in json.loads(both.stdout)[0]["scores"]


def test_a_file_that_is_no_text_is_our_error(pictures):
    with pytest.raises(SettingsError, match="expected a text file in UTF-8"):
        run(classify, *pictures, "--labels-file", pictures[0])


def test_broken_pictures_are_named_and_the_rest_is_classified(pictures, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    missing = tmp_path / "missing.png"
    result = run(
        classify, pictures[0], broken, missing, pictures[1], "-l", "red,blue", "--json",
        exit_code=1,
    )  # fmt: skip
    assert labels_of(result) == ["red", "blue"]
    told = result.stderr.splitlines()
    assert len(told) == 2
    assert told[0].startswith(f"clipworks: {broken}: ")
    assert told[1] == f"clipworks: {missing}: no such file"


def test_templates_are_sentences_or_sets(pictures):
    for template in ("a picture of a {}", "imagenet7"):
        result = run(classify, *pictures, "-l", "red,blue", "--template", template, "--json")
        assert labels_of(result) == ["red", "blue"]
    with pytest.raises(SettingsError, match=r"has no \{\} where"):
        run(classify, *pictures, "-l", "red", "--template", "a picture")


def test_many_labels_are_cut_short_in_the_table_and_whole_in_json(pictures):
    labels = ",".join(["red", "green", "blue", "big", "photo", "picture", "of"])
    table = run(classify, pictures[0], "-l", labels).stdout
    assert "and 2 more" in table
    assert (
        len(json.loads(run(classify, pictures[0], "-l", labels, "--json").stdout)[0]["scores"]) == 7
    )


def test_brackets_in_a_label_are_not_markup(pictures):
    assert "[red]x[/red]" in run(classify, pictures[0], "-l", "[red]x[/red]").stdout


@pytest.mark.parametrize("labels", ["", " , ,"])
def test_no_labels_is_our_error(pictures, labels):
    with pytest.raises(SettingsError, match="no labels: give --labels"):
        run(classify, *pictures, "--labels", labels)


def test_labels_given_twice_are_our_error(pictures):
    with pytest.raises(SettingsError, match="more than once"):
        run(classify, *pictures, "--labels", "red, red")
