import json
from dataclasses import asdict

import pytest

from clipworks.data.embedding_folder import (
    Manifest,
    existing_partitions,
    missing_partitions,
    partition_files,
    read_manifest,
    write_manifest,
)
from clipworks.errors import FolderError


def manifest(**changes):
    fields = {
        "model": "tiny",
        "fingerprint": "abc",
        "embedding_dim": 8,
        "settings": {"batch_size": 2},
        "source": "pictures",
        "num_partitions": 12,
        "num_samples": 24,
        "listing_digest": "def",
    }
    return Manifest(**{**fields, **changes})


@pytest.mark.parametrize(
    ("number", "num_partitions", "digits"),
    [(0, 1, "0"), (8, 9, "8"), (0, 10, "00"), (9, 10, "09"), (99, 100, "099"), (7, 12, "07")],
)
def test_files_are_named_as_clip_retrieval_names_them(tmp_path, number, num_partitions, digits):
    files = partition_files(tmp_path, number, num_partitions)
    assert files.number == number
    assert [path.relative_to(tmp_path).as_posix() for path in list(asdict(files).values())[1:]] == [
        f"img_emb/img_emb_{digits}.npy",
        f"text_emb/text_emb_{digits}.npy",
        f"metadata/metadata_{digits}.parquet",
        f"errors/{digits}.jsonl",
        f"stats/{digits}.json",
    ]


def test_a_manifest_reads_back_the_same(tmp_path):
    write_manifest(tmp_path / "new", manifest())
    assert read_manifest(tmp_path / "new") == manifest()


def test_a_folder_without_a_manifest_has_none(tmp_path):
    assert read_manifest(tmp_path) is None


def test_a_missing_folder_says_how_to_make_it(tmp_path):
    with pytest.raises(FolderError, match="clipworks embed PICTURES --out"):
        read_manifest(tmp_path / "none")


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00"])
def test_a_damaged_manifest_is_one_line(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(FolderError, match=r"manifest\.json is damaged"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"format_version": 9}, "format 9"), ({"colour": "red"}, "colour"), ({"model": ...}, "model")],
)
def test_another_manifest_is_refused_and_says_why(tmp_path, changes, message):
    fields = {**manifest().to_json(), **changes}
    fields = {name: value for name, value in fields.items() if value is not ...}
    (tmp_path / "manifest.json").write_text(json.dumps(fields))
    with pytest.raises(FolderError, match=message):
        read_manifest(tmp_path)


def test_a_partition_is_missing_until_its_record_is_there(tmp_path):
    for number in (0, 3, 11):
        stats = partition_files(tmp_path, number, 12).stats
        stats.parent.mkdir(exist_ok=True)
        stats.write_text("{}")
    assert missing_partitions(tmp_path, manifest()) == [1, 2, 4, 5, 6, 7, 8, 9, 10]


@pytest.mark.parametrize("padded", [True, False])
def test_partitions_come_in_the_order_of_their_numbers(tmp_path, padded):
    (tmp_path / "metadata").mkdir()
    for number in range(12):
        digits = f"{number:02}" if padded else str(number)
        (tmp_path / "metadata" / f"metadata_{digits}.parquet").touch()
    (tmp_path / "metadata" / ".metadata_03.parquet.1a2b.part").touch()
    found = list(existing_partitions(tmp_path))
    assert [files.number for files in found] == list(range(12))
    assert found[2].image_embeddings.name == ("img_emb_02.npy" if padded else "img_emb_2.npy")
