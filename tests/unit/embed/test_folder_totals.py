import json

import numpy as np
import pytest

from clipworks.data.embedding_folder import Manifest, partition_files
from clipworks.embed import folder_totals
from clipworks.embed.folder_totals import Totals, keep_totals, read_totals
from clipworks.errors import FolderError

MANIFEST = Manifest("m", "f", 8, {}, "s", num_partitions=12, num_samples=None, listing_digest="d")


def finish(folder, *numbers):
    for number in numbers:
        path = partition_files(folder, number, 12).stats
        path.parent.mkdir(parents=True, exist_ok=True)
        counts = {"sample_count": number, "skipped_count": 1, "incomplete_count": 2}
        path.write_text(json.dumps(counts))


def read(folder):
    return read_totals(folder, MANIFEST).totals


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(folder_totals, "LEAST_PARTITIONS", 5)


def test_adds_up_the_records_of_what_is_done(tmp_path):
    assert read(tmp_path) == Totals()
    finish(tmp_path, 3, 4, 11)
    assert read(tmp_path) == Totals(18, 3, 6)
    assert np.flatnonzero(read_totals(tmp_path, MANIFEST).done).tolist() == [3, 4, 11]
    keep_totals(tmp_path, read_totals(tmp_path, MANIFEST))
    assert not (tmp_path / "totals.json").exists()


def test_large_folders_keep_the_sum_and_read_only_what_is_new(tmp_path, small):
    finish(tmp_path, 3, 4, 11)
    keep_totals(tmp_path, read_totals(tmp_path, MANIFEST))
    assert json.loads((tmp_path / "totals.json").read_text())["spans"] == [[3, 4], [11, 11]]
    for path in (tmp_path / "stats").iterdir():
        path.write_text("not read again")
    finish(tmp_path, 0)
    assert read(tmp_path) == Totals(18, 4, 8)


def test_a_sum_of_records_that_are_gone_does_not_count(tmp_path, small):
    finish(tmp_path, 3, 4)
    keep_totals(tmp_path, read_totals(tmp_path, MANIFEST))
    partition_files(tmp_path, 3, 12).stats.unlink()
    assert read(tmp_path) == Totals(4, 1, 2)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"spans": [[1]]}', '{"spans": 3}'])
def test_a_damaged_sum_does_not_count(tmp_path, small, content):
    finish(tmp_path, 3)
    (tmp_path / "totals.json").write_text(content)
    assert read(tmp_path) == Totals(3, 1, 2)


def test_an_unchanged_sum_is_not_written_again(tmp_path, small):
    finish(tmp_path, 3)
    keep_totals(tmp_path, read_totals(tmp_path, MANIFEST))
    before = (tmp_path / "totals.json").stat().st_ino
    keep_totals(tmp_path, read_totals(tmp_path, MANIFEST))
    assert (tmp_path / "totals.json").stat().st_ino == before


def test_a_damaged_record_is_named(tmp_path):
    finish(tmp_path, 3)
    partition_files(tmp_path, 3, 12).stats.write_text("{}")
    with pytest.raises(FolderError, match=r"stats/03\.json is damaged"):
        read_totals(tmp_path, MANIFEST)


def test_a_sum_at_hand_saves_reading_its_records(tmp_path):
    finish(tmp_path, 3, 4)
    known = read_totals(tmp_path, MANIFEST)
    for path in (tmp_path / "stats").iterdir():
        path.write_text("not read again")
    finish(tmp_path, 0)
    assert read_totals(tmp_path, MANIFEST, known=known).totals == Totals(7, 3, 6)
