import json
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipworks.data.sources.folder_source import FolderSource
from clipworks.data.sources.opening import kind_of, open_source
from clipworks.data.sources.source_options import SourceOptions
from clipworks.errors import FolderError, SettingsError
from tests.support.pictures import png_bytes, save
from tests.support.sources import items, tar_files, write_pictures, write_tar


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.tar", "webdataset"),
        ("a.TAR.GZ", "webdataset"),
        ("x/a.tgz", "webdataset"),
        ("https://x/a.tar?token=1", "webdataset"),
        ("/x/a?b.png", "picture"),
        ("https://x/a.png?size=1", "picture"),
        ("a.parquet", "parquet"),
        ("a.csv", "csv"),
        ("a.tsv", "tsv"),
        ("a.jsonl", "jsonl"),
        ("a.json", None),
        ("a.txt", "text"),
        ("tar", None),
    ],
)
def test_a_name_says_what_a_file_is(name, kind):
    assert kind_of(name) == kind


def samples(source):
    return [
        sample
        for number in range(source.num_partitions)
        for sample in source.partition(number).samples()
    ]


def names(source):
    return [sample.name for sample in samples(source)]


def test_several_tars_are_never_read_as_one(tmp_path):
    """clip-retrieval #245: the key stands in both, and the tars follow each other."""
    for number in range(3):
        write_tar(tmp_path / f"{number}.tar", [("same.jpg", bytes([number])), ("same.txt", b"t")])
    for typed in (["{0..2}.tar"], ["*.tar"], [""], ["0.tar", "1.tar", "2.tar"]):
        found = samples(open_source([str(tmp_path / text) for text in typed]))
        assert [sample.image for sample in found] == [b"\0", b"\1", b"\2"]
        assert len({sample.name for sample in found}) == 3


def test_pictures_of_one_name_in_different_folders_stay_apart(tmp_path):
    """clip-retrieval #321."""
    places = [save(tmp_path / place / "same.png", n) for n, place in enumerate(("", "a", "b"))]
    assert sorted(names(open_source([tmp_path]))) == sorted(map(str, places))


def test_pictures_beside_captions_and_captions_beside_pictures(tmp_path):
    """clip-retrieval #345, #352: a KeyError where some pictures have no text, or the reverse."""
    write_pictures(tmp_path, items([png_bytes(n) for n in range(3)]))
    (tmp_path / "000.txt").unlink()
    (tmp_path / "alone.txt").write_text("no picture")
    both = open_source([tmp_path], SourceOptions(modality="both"))
    assert len(names(both)) == 3
    text = open_source([tmp_path], SourceOptions(modality="text"))
    assert [Path(name).name for name in names(text)] == ["001.txt", "002.txt", "alone.txt"]
    image = open_source([tmp_path], SourceOptions(modality="image"))
    assert (image.has_images, image.has_captions) == (True, False)


def test_a_folder_of_texts_alone_is_embedded_as_such(tmp_path):
    (tmp_path / "a.txt").write_text("a text")
    source = open_source([tmp_path])
    assert (source.has_images, source.has_captions) == (False, True)
    with pytest.raises(FolderError, match="holds no pictures"):
        open_source([tmp_path], SourceOptions(modality="image"))
    save(tmp_path / "b.png")
    with pytest.raises(SettingsError, match="has no captions, which --modality both wants"):
        open_source([tmp_path], SourceOptions(modality="both"))


def test_lists_that_lie_beside_pictures_do_not_count(tmp_path):
    save(tmp_path / "train/a.png")
    (tmp_path / "labels.csv").write_text("id,label\n1,2\n")
    (tmp_path / "labels.parquet").touch()
    assert isinstance(open_source([tmp_path]), FolderSource)


def test_tables_in_a_folder_are_found_at_any_depth(tmp_path):
    rows = [{"image": png_bytes(n)} for n in range(3)]
    (tmp_path / "data").mkdir()
    for number, row in enumerate(rows):
        pq.write_table(pa.Table.from_pylist([row]), tmp_path / f"data/{number}.parquet")
    assert len(names(open_source([tmp_path]))) == 3
    assert len(names(open_source([str(tmp_path / "**/*.parquet")]))) == 3


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["a.tar", "b.png"], "holds pictures and tars: say which with --source-kind"),
        (["a.csv", "b.jsonl"], "holds csv and jsonl: say which with --source-kind"),
        (["notes.pdf"], "holds no pictures"),
        ([], "holds no pictures"),
    ],
)
def test_a_folder_that_does_not_say_what_it_is(tmp_path, files, message):
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises((SettingsError, FolderError), match=message):
        open_source([tmp_path])


def test_the_kind_can_be_said(tmp_path):
    write_tar(tmp_path / "a.tar", tar_files(items([b"x"])))
    save(tmp_path / "b.png")
    (tmp_path / "list").write_text("b.png\n")
    (tmp_path / "t.txt").write_text("one text\n\nanother\n")
    assert names(open_source([tmp_path], SourceOptions(kind="webdataset"))) == [
        f"tar://000.png::{tmp_path}/a.tar"
    ]
    assert names(open_source([tmp_path], SourceOptions(kind="folder"))) == [f"{tmp_path}/b.png"]
    listed = open_source([tmp_path / "list"], SourceOptions(kind="paths"))
    assert names(listed) == [f"{tmp_path}/b.png"]
    lines = open_source([tmp_path / "t.txt"], SourceOptions(kind="lines"))
    assert [sample.caption.strip() for sample in samples(lines)] == ["one text", "another"]
    assert lines.options == {"modality": "text", "source_kind": "lines"}


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["none"], r"none is not there"),
        (["none-{0..3}.tar"], r"none-0\.tar is not there; .*none-\{0\.\.3\}\.tar names it"),
        (["*.none"], "is not there"),
        (["t.txt"], r"--source-kind lines for texts, one a line, or --source-kind paths"),
        (["odd.xyz"], "its name does not say what it is: give --source-kind"),
        (["t.csv", "x.tar"], "holds csv and tars"),
        (["t.csv", "folder"], "folder stands beside other sources"),
        (["-", "t.csv"], "- stands beside other sources"),
        (["memory://none/at/all"], "holds nothing, or is not there"),
        (["nonsense://x"], "nonsense"),
        (["https://127.0.0.1/*.tar"], "http has no listing"),
        (["x.tar"], "x.tar: the archive is empty"),
        (["html.tar"], "is no tar archive"),
        (["empty.csv"], "is empty: expected a header"),
        (["t.csv"], r"there are 'a', 'b'"),
        (["nothing.jsonl"], "holds no JSON object in its first lines"),
        (["bad.parquet"], "is no parquet file, or damaged"),
        (["header.csv"], "is empty: expected one sample a line"),
        (["norows.parquet"], "is empty: its tables have no rows"),
        (["npy.tar"], r"no pictures and no captions \(\.npy\): name the files' extensions"),
        ([], "no source"),
    ],
)
def test_what_cannot_be_opened_is_one_line(tmp_path, monkeypatch, typed, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for name, content in {
        "t.txt": b"x", "odd.xyz": b"x", "t.csv": b"a,b\n1,2\n", "x.tar": b"", "empty.csv": b"",
        "html.tar": b"<html>" * 200, "nothing.jsonl": b"\n\n", "bad.parquet": b"x",
        "header.csv": b"path,text\n",
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(content)
    write_tar(tmp_path / "npy.tar", [("a.npy", b"x")])
    pq.write_table(pa.table({"path": pa.array([], pa.string())}), tmp_path / "norows.parquet")
    with pytest.raises((SettingsError, FolderError), match=message) as caught:
        open_source(typed)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("field", ["kind", "modality"])
def test_unknown_words_are_refused_with_those_that_are_known(field):
    with pytest.raises(SettingsError, match=r"'nonsense': expected one of "):
        SourceOptions(**{field: "nonsense"})


def test_a_file_whose_name_looks_like_a_pattern_is_taken_as_it_is(tmp_path):
    path = tmp_path / "a{0..3}[x]*.csv"
    path.write_text("path\nb.png\n")
    assert names(open_source([path])) == [f"{tmp_path}/b.png"]


@pytest.mark.parametrize("suffix", ["parquet", "jsonl", "tar"])
def test_files_in_other_storage_are_read_as_here(tmp_path, suffix):
    rows = [{"path": f"{n}.png", "caption": f"c{n}"} for n in range(3)]
    local = tmp_path / f"a.{suffix}"
    if suffix == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), local)
    elif suffix == "jsonl":
        local.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        write_tar(local, tar_files(items([png_bytes(n) for n in range(3)])))
    root = f"memory://opening-{suffix}"
    files = fsspec.filesystem("memory")
    files.pipe(f"{root}/a.{suffix}", local.read_bytes())
    for number in range(3):
        files.pipe(f"{root}/{number}.png", png_bytes(number))
    files.pipe(f"{root}/[0] *?.{suffix}", local.read_bytes())
    for name in ("a", "[0] *?", "a*", "{a,a}"):
        typed = f"{root}/{name}.{suffix}"
        found = samples(open_source([typed]))
        assert [s.image for s in found][:3] == [png_bytes(n) for n in range(3)]
