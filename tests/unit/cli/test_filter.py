import json

import numpy as np
import pytest
import torch

from clipworks.cli.filter import filter as filter_command
from clipworks.errors import FolderError, ModelMismatchError, SettingsError
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


def numbers(result, end="\n"):
    """The pictures' numbers, by the paths that were printed."""
    assert result.stdout == "" or result.stdout.endswith(end)
    return [int(path.rsplit("/", 1)[-1][0]) for path in result.stdout.split(end)[:-1]]


def test_a_query_gives_the_paths_of_all_that_fit(folder):
    assert sorted(numbers(run(filter_command, folder, "red", "--threshold", 0.9))) == [0, 3]
    assert sorted(numbers(run(filter_command, folder, "red", "--threshold", -1))) == list(range(6))


def test_a_condition_needs_no_model(folder, loaded):
    assert numbers(run(filter_command, folder, "--where", "row in (1, 4, 5)")) == [1, 4, 5]
    assert loaded == []


def test_conditions_hold_together_and_paths_can_end_in_null(folder):
    found = run(
        filter_command, folder, "green", "--threshold", 0.9, "--where", "row > 2", "-0"
    )  # fmt: skip
    assert numbers(found, end="\0") == [4]


def test_json_has_the_figures(folder, tmp_path):
    torch.save({"weight": torch.eye(8)[:1], "bias": torch.zeros(1)}, tmp_path / "head.pth")
    result = run(
        filter_command, folder, "red", "--threshold", 0.5,
        "--head", f"redness={tmp_path / 'head.pth'}:0.9..", "--json",
    )  # fmt: skip
    found = json.loads(result.stdout)
    assert {entry["id"] for entry in found} == {0, 3}
    assert set(found[0]) == {
        "id", "image_path", "caption", "similarity", "redness", "metadata"
    }  # fmt: skip


def test_of_duplicates_the_best_stays(folder):
    assert numbers(run(filter_command, folder, "--dedup")) == [0, 1, 2]
    assert len(numbers(run(filter_command, folder, "red", "--threshold", 0.9, "--dedup"))) == 1


def test_deleted_rows_never_come(folder):
    write_deleted(folder, np.array([0]))
    assert numbers(run(filter_command, folder, "red", "--threshold", 0.9)) == [3]
    assert numbers(run(filter_command, folder, "--where", "row < 2")) == [1]


def test_a_limit_takes_the_best(folder):
    assert len(numbers(run(filter_command, folder, "red", "--threshold", 0, "--limit", 2))) == 2


def test_pictures_are_copied_with_captions_and_a_table(folder, tmp_path):
    out = tmp_path / "chosen"
    result = run(filter_command, folder, "red", "--threshold", 0.9, "--copy-to", out)
    assert result.stdout == ""
    assert "copied 2 pictures into" in result.stderr
    assert {path.name for path in out.iterdir()} == {
        "0.png", "0.txt", "3.png", "3.txt", "samples.csv"
    }  # fmt: skip
    assert "similarity" in (out / "samples.csv").read_text()
    with pytest.raises(FolderError, match="is not empty"):
        run(filter_command, folder, "--where", "row = 1", "--copy-to", out)


def test_a_picture_that_is_gone_is_named_and_the_rest_is_copied(folder, tmp_path):
    (tmp_path / "pictures" / "0.png").unlink()
    result = run(
        filter_command, folder, "--where", "row < 2", "--copy-to", tmp_path / "c", exit_code=1
    )
    assert "0.png: No such file" in result.stderr
    assert (tmp_path / "c" / "1.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to filter by"),
        (["red"], "--threshold 0.3, or give --relevant"),
        (["red", "blue", "--threshold", 0.3], "got 2 queries, expected one"),
        (["--threshold", 0.3], "go with a query"),
        (["red", "--relevant"], "a folder of 30 and more"),
        (["--where", "row = 1", "--copy-to", "x", "--link", "soft"], "expected copy, hard or"),
    ],
)
def test_what_makes_no_sense_is_refused(folder, arguments, message):
    with pytest.raises(SettingsError, match=message):
        run(filter_command, folder, *arguments)


def test_another_models_head_is_refused(folder, tmp_path):
    torch.save({"weight": torch.zeros(1, 5), "bias": torch.zeros(1)}, tmp_path / "five.pth")
    with pytest.raises(ModelMismatchError, match="takes embeddings of 5 numbers"):
        run(filter_command, folder, "--head", f"x={tmp_path / 'five.pth'}")
