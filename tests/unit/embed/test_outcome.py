import json
from types import SimpleNamespace

import pytest

from clipworks.data.embedding_folder import Manifest, partition_files
from clipworks.data.shard import Shard
from clipworks.embed import folder_totals, outcome
from clipworks.embed.embed_settings import EmbedSettings
from clipworks.embed.outcome import RunRecord
from clipworks.embed.stages import StageSeconds, Tally

MANIFEST = Manifest("m", "f", 8, {}, "s", num_partitions=4, num_samples=40, listing_digest="d")


@pytest.fixture
def job(tmp_path):
    path = partition_files(tmp_path, 0, 4).stats
    path.parent.mkdir()
    path.write_text(json.dumps({"sample_count": 9, "skipped_count": 1, "incomplete_count": 0}))
    return SimpleNamespace(
        folder=tmp_path, manifest=MANIFEST, pending=[1, 2, 3], settings=EmbedSettings(), shard=None
    )


def test_progress_counts_earlier_runs_and_names_the_slowest_stage(job):
    told = []
    record = RunRecord(job, told.append)
    record.add(Tally(5, 1, 0, StageSeconds(decode=2, encode=1)))
    assert [(p.done, p.total, p.skipped, p.slowest) for p in told] == [
        (10, 40, 1, ""),
        (15, 40, 2, "decode"),
    ]


def test_a_shard_counts_itself_alone(job):
    told = []
    job.shard = Shard(1, 2)
    RunRecord(job, told.append).add(Tally(5, 1))
    assert [(p.done, p.total, p.skipped) for p in told] == [(0, None, 0), (5, None, 1)]


def test_what_is_made_adds_to_what_was_there(job):
    record = RunRecord(job, None)
    record.add(Tally(10, 2, 3))
    found = record.sum_up(failed={3})
    assert found.done.tolist() == [True, True, True, False]
    assert found.totals == folder_totals.Totals(9 + 8, 1 + 2, 3)


def test_a_long_run_of_many_partitions_keeps_its_sum_as_it_goes(job, monkeypatch):
    monkeypatch.setattr(folder_totals, "LEAST_PARTITIONS", 2)
    monkeypatch.setattr(outcome, "KEEP_EVERY_S", -1)
    record = RunRecord(job, None)
    assert json.loads((job.folder / "totals.json").read_text())["spans"] == [[0, 0]]
    record.add_partition(2, Tally(10, 2, 3))
    assert json.loads((job.folder / "totals.json").read_text()) == {
        "spans": [[0, 0], [2, 2]],
        "embedded": 17,
        "skipped": 3,
        "incomplete": 3,
    }
