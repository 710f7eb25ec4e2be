import json

import pytest

from clipworks.cli.dedup import dedup
from clipworks.errors import SettingsError
from tests.support.colours import colour_folder
from tests.support.commands import run


@pytest.fixture
def folder(tmp_path):
    return colour_folder(tmp_path / "out", tmp_path / "pictures")


def test_groups_are_listed(folder):
    lines = run(dedup, folder).stdout.splitlines()
    assert lines[-1].strip().startswith("6 pictures, 3 groups of duplicates; 3 stay")
    found = json.loads(run(dedup, folder, "--json").stdout)
    assert (found["rows"], found["duplicates"]) == (6, 3)
    assert [[entry["id"] for entry in group] for group in found["groups"]] == [
        [0, 3],
        [1, 4],
        [2, 5],
    ]


def test_the_paths_that_stay_are_written(folder, tmp_path):
    run(dedup, folder, "--kept", tmp_path / "kept.txt")
    paths = (tmp_path / "kept.txt").read_text().splitlines()
    assert paths == [str(tmp_path / "pictures" / f"{n}.png") for n in range(3)]


def test_what_stays_can_be_copied(folder, tmp_path):
    run(dedup, folder, "--copy-to", tmp_path / "copied", "--link", "hard")
    assert {path.name for path in (tmp_path / "copied").glob("*.png")} == {
        "0.png",
        "1.png",
        "2.png",
    }


def test_exact_ones_are_files_of_the_same_bytes(folder, tmp_path):
    (tmp_path / "pictures" / "5.png").write_bytes(b"another")
    (tmp_path / "pictures" / "4.png").unlink()
    result = run(dedup, folder, "--exact", "--json")
    groups = json.loads(result.stdout)["groups"]
    assert [[entry["id"] for entry in group] for group in groups] == [[0, 3]]
    assert "1 of 6 files cannot be read" in result.stderr


def test_groups_can_be_a_page(folder, tmp_path):
    run(dedup, folder, "--html", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("<section>") == 3
    assert page.count("<li>") == 6


def test_a_condition_and_a_threshold_decide(folder):
    found = json.loads(run(dedup, folder, "--where", "row <> 3", "--json").stdout)
    assert (found["rows"], len(found["groups"])) == (5, 2)
    assert len(json.loads(run(dedup, folder, "-t", 0.01, "--json").stdout)["groups"]) == 1
    with pytest.raises(SettingsError, match="expected a cosine"):
        run(dedup, folder, "--threshold", 2)


def test_no_duplicates_is_one_line(folder):
    assert run(dedup, folder, "--where", "row < 3").stdout.count("\n") == 1
