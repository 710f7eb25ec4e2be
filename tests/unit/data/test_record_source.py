import csv
import json
import os
from pathlib import Path

import pytest

from clipworks.data.contents import Location, Unreadable
from clipworks.data.sources.opening import open_source
from clipworks.data.sources.source_options import SourceOptions
from clipworks.errors import SettingsError


def samples(source):
    return [s for n in range(source.num_partitions) for s in source.partition(n).samples()]


def write_table(path, rows):
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_partitions_run_over_the_borders_of_files(tmp_path, size):
    for name, numbers in (("a", range(3)), ("b", range(3, 4)), ("c", range(4, 9))):
        rows = [{"path": f"{n}.png", "text": "a\nb" * (n % 3)} for n in numbers]
        write_table(tmp_path / f"t/{name}.csv", rows)
    source = open_source([tmp_path / "t"], SourceOptions(partition_size=size))
    assert source.num_samples == 9
    counts = [len(list(source.partition(n).samples())) for n in range(source.num_partitions)]
    assert counts == [size] * (9 // size) + [9 % size] * bool(9 % size)
    assert [Path(s.name).name for s in samples(source)] == [f"{n}.png" for n in range(9)]


def test_what_was_guessed_is_said_once_and_holds_for_all_files(tmp_path):
    write_table(tmp_path / "t/a.csv", [{"url": "x.png", "text": "t"}])
    write_table(tmp_path / "t/b.csv", [{"path": "p", "url": "y.png", "text": "t"}])
    said = []
    source = open_source([tmp_path / "t"], say=said.append)
    assert len(said) == 1
    assert [Path(s.name).name for s in samples(source)] == ["x.png", "y.png"]
    write_table(tmp_path / "t/c.csv", [{"path": "p", "text": "t"}])
    with pytest.raises(SettingsError, match=r"c\.csv has no column 'url'"):
        open_source([tmp_path / "t"])


def test_a_csv_files_columns_have_the_types_that_all_values_fit(tmp_path):
    rows = [
        {"path": "a", "i": "1", "f": "1", "z": "007", "s": "x", "e": "", "id": "9" * 25},
        {"path": "b", "i": "-20", "f": "0.5", "z": "8", "s": "2", "e": "", "id": "1"},
        {"path": "c", "i": "", "f": "1e-3", "z": "9", "s": "", "e": "", "id": "2"},
    ]
    source = open_source([write_table(tmp_path / "t.csv", rows)])
    assert source.columns == {
        "i": "int64", "f": "double", "z": "string", "s": "string", "e": "string", "id": "string",
    }  # fmt: skip


def test_bad_lines_are_faults_and_keep_their_number(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text('{"path": "a.png"}\n\n{"path": \n{"path": "b.png"}\n')
    first, bad, last = samples(open_source([path]))
    assert (first.image, last.image) == (
        Location(f"{tmp_path}/a.png"),
        Location(f"{tmp_path}/b.png"),
    )
    assert bad.name == f"{path}#row=2"
    assert isinstance(bad.image, Unreadable)


def test_bytes_that_are_no_utf8_stay_in_paths(tmp_path):
    path = tmp_path / "list"
    path.write_bytes(b"caf\xe9.png\n")
    (sample,) = samples(open_source([path], SourceOptions(kind="paths")))
    assert os.fsencode(sample.image.url) == os.fsencode(tmp_path) + b"/caf\xe9.png"


def test_the_digest_is_of_the_content(tmp_path):
    path = tmp_path / "t.jsonl"
    digests = set()
    for text in ("a", "b", "ab"):
        path.write_text(json.dumps({"path": "a.png", "text": text}))
        digests.add(open_source([path]).digest)
    assert len(digests) == 3


def test_paths_have_no_captions_and_texts_no_pictures(tmp_path):
    (tmp_path / "t.txt").write_text("x\n")
    with pytest.raises(SettingsError, match="has no captions, which --modality both wants"):
        open_source([tmp_path / "t.txt"], SourceOptions(kind="paths", modality="both"))
    with pytest.raises(SettingsError, match="has no pictures, which --modality image wants"):
        open_source([tmp_path / "t.txt"], SourceOptions(kind="lines", modality="image"))
