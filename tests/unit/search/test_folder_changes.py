import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from clipworks.data.embedding_folder import read_manifest
from clipworks.data.folder_lock import hold_folder
from clipworks.errors import FolderError, InputError, ModelMismatchError
from clipworks.search.build import BuildOrder, build_index
from clipworks.search.folder_changes import add_folder, compact_folder, delete_rows
from clipworks.search.folder_contents import read_contents
from clipworks.search.index_card import read_index_card
from clipworks.search.index_folder import open_index
from clipworks.search.index_settings import IndexSettings
from tests.support.colours import DIM, colour_folder, write_embedding_folder

KINDS = ["flat", "hnsw", "ivf-fast", "ivf-sq8", "ivf-pq"]


def order(kind="auto", backend="faiss", **settings):
    return BuildOrder(backend, IndexSettings(kind=kind, **settings))


class Samples:
    """Makes folders of samples, each with a direction of its own to be known by."""

    def __init__(self, seed=0):
        self.random = np.random.default_rng(seed)
        self.made = 0

    def folder(self, path, *sizes, texts=False, **settings):
        parts, text_parts = [], []
        for size in sizes:
            rows = self.random.standard_normal((size, DIM))
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
            names = [f"{self.made + i}.png" for i in range(size)]
            parts.append((rows, [{"image_path": name, "caption": None} for name in names]))
            text_parts.append(rows[:, ::-1])
            self.made += size
        return write_embedding_folder(path, parts, texts=text_parts if texts else None, **settings)


def rows_by_path(folder, modality="image"):
    """What the folder's files hold, deleted or not, in step."""
    contents = read_contents(folder)
    records = contents.metadata.rows(range(contents.metadata.size))
    rows = contents.rows[modality].take(np.arange(contents.metadata.size))
    return {record["image_path"]: row for record, row in zip(records, rows, strict=True)}


def assert_finds(folder, expected, *, exact=True, modality="image"):
    """A search finds these paths and no others, each by its own row."""
    opened = open_index(folder, modality)
    size = opened.index.size
    some = np.ones((1, DIM), np.float32)
    ids = opened.index.search(some, max(1, size)).ids
    ids = ids[ids >= 0].tolist()
    paths = [record["image_path"] for record in opened.metadata.rows(ids)]
    assert sorted(paths) == sorted(expected)
    if not exact:
        return
    for path, row in expected.items():
        (best,) = opened.index.search(row[None].astype(np.float32), 1).ids[0]
        assert opened.metadata.rows([best])[0]["image_path"] == path


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_grows_and_its_index_with_it(tmp_path, kind):
    make = Samples()
    folder = make.folder(tmp_path / "out", 60, 70)
    other = make.folder(tmp_path / "other", 40, 1)
    build_index(folder, order(kind))
    expected = {**rows_by_path(folder), **rows_by_path(other)}
    card = add_folder(folder, other, order(kind))
    assert card.rows == 171
    assert card == read_index_card(folder)
    assert_finds(folder, expected, exact=kind != "ivf-pq")
    assert rows_by_path(other).keys() <= rows_by_path(folder).keys()
    manifest = read_manifest(folder)
    assert (manifest.num_partitions, manifest.num_samples) == (4, 171)
    assert not list(tmp_path.glob(".*"))


def test_files_that_stay_are_hard_links(tmp_path):
    make = Samples()
    folder, other = make.folder(tmp_path / "out", 5), make.folder(tmp_path / "other", 3)
    add_folder(folder, other, order())
    added = folder / "img_emb" / "img_emb_1.npy"
    assert added.samefile(other / "img_emb" / "img_emb_0.npy")


def test_digits_grow_with_the_partitions(tmp_path):
    make = Samples()
    folder = make.folder(tmp_path / "out", *[2] * 7)
    other = make.folder(tmp_path / "other", *[3] * 6)
    expected = {**rows_by_path(folder), **rows_by_path(other)}
    add_folder(folder, other, order())
    names = sorted(path.name for path in (folder / "metadata").iterdir())
    assert names == [f"metadata_{number:02}.parquet" for number in range(13)]
    assert_finds(folder, expected)


def test_what_else_lies_in_the_folder_stays(tmp_path):
    make = Samples()
    folder, other = make.folder(tmp_path / "out", 5), make.folder(tmp_path / "other", 3)
    (folder / "notes").mkdir()
    (folder / "notes" / "mine.txt").write_text("mine")
    (folder / "link").symlink_to("notes")
    add_folder(folder, other, order())
    delete_rows(folder, ["0"])
    compact_folder(folder, order())
    assert (folder / "link" / "mine.txt").read_text() == "mine"
    assert (folder / "link").is_symlink()


def test_texts_that_one_of_the_folders_lacks_are_like_no_query(tmp_path):
    make = Samples()
    folder = make.folder(tmp_path / "out", 5)
    other = make.folder(tmp_path / "other", 3, texts=True)
    add_folder(folder, other, order())
    texts = list(rows_by_path(folder, "text").values())
    assert np.abs(texts[:5]).max() == 0
    assert np.linalg.norm(texts[5:], axis=1) == pytest.approx(1, abs=1e-3)
    again = make.folder(tmp_path / "again", 2)
    add_folder(folder, again, order())
    assert np.abs(list(rows_by_path(folder, "text").values())[8:]).max() == 0


def test_folders_of_two_models_are_not_mixed(tmp_path):
    make = Samples()
    folder = make.folder(tmp_path / "out", 5)
    before = read_manifest(folder)
    for other, message in (
        (make.folder(tmp_path / "a", 3, fingerprint="9e59", model="greys"), "greys"),
        (make.folder(tmp_path / "b", 3, manifest=False), "does not say which model"),
    ):
        with pytest.raises(ModelMismatchError, match=message):
            add_folder(folder, other, order())
    part = (np.eye(5)[:3], [{"image_path": str(i)} for i in range(3)])
    narrow = write_embedding_folder(tmp_path / "c", [part])
    with pytest.raises(ModelMismatchError, match=r"\[5, 8\] numbers"):
        add_folder(folder, narrow, order())
    with pytest.raises(FolderError, match="is the folder itself"):
        add_folder(folder, folder, order())
    typed = make.folder(tmp_path / "d", 3, columns={"size": "int64"})
    text = make.folder(tmp_path / "e", 3, columns={"size": "string"})
    with pytest.raises(FolderError, match=f"column size is int64 in {typed} and string"):
        add_folder(typed, text, order())
    assert read_manifest(folder) == before


def test_folders_that_name_no_model_may_be_joined(tmp_path):
    make = Samples()
    folder = make.folder(tmp_path / "out", 5, manifest=False, done=False)
    other = make.folder(tmp_path / "other", 3, manifest=False, done=False)
    expected = {**rows_by_path(folder), **rows_by_path(other)}
    add_folder(folder, other, order())
    assert_finds(folder, expected)
    assert read_manifest(folder) is None


def test_an_index_that_is_outgrown_is_built_anew(tmp_path, monkeypatch):
    from clipworks.search import index_plan

    monkeypatch.setattr(index_plan, "MAX_FLAT_ROWS", 50)
    make = Samples()
    folder, other = make.folder(tmp_path / "out", 40), make.folder(tmp_path / "other", 30)
    assert build_index(folder, order()).kinds == {"image": "flat fp16"}
    assert add_folder(folder, other, order()).kinds == {"image": "PCA, HNSW32 SQ8 + fp16"}


@pytest.mark.parametrize("indexed", [True, False])
def test_deleted_rows_are_not_found_any_more(tmp_path, indexed):
    folder = Samples().folder(tmp_path / "out", 6, 7)
    if indexed:
        build_index(folder)
    expected = rows_by_path(folder)
    report = delete_rows(folder, ["3\n", "", "12.png", "7"])
    assert (report.deleted, report.deleted_in_all, report.rows) == (3, 3, 13)
    for path in ("3.png", "12.png", "7.png"):
        del expected[path]
    assert_finds(folder, expected)
    assert delete_rows(folder, ["3", "4"]).deleted == 1
    allowed = np.ones(13, bool)
    found = open_index(folder, "image").index.search(
        np.ones((1, DIM), np.float32), 13, allowed=allowed
    )
    assert not {3, 4, 7, 12} & set(found.ids[0].tolist())


def test_all_rows_may_be_deleted(tmp_path):
    folder = Samples().folder(tmp_path / "out", 6, 7)
    build_index(folder)
    delete_rows(folder, map(str, range(13)))
    assert_finds(folder, {})
    assert compact_folder(folder, order()) == 13
    assert read_contents(folder).metadata.size == 0
    assert open_index(folder, "image").index.size == 0


@pytest.mark.parametrize("names", [["13"], ["no.png"], ["1", "2", "no.png"], ["-1"]])
def test_names_that_are_none_delete_nothing(tmp_path, names):
    folder = Samples().folder(tmp_path / "out", 6, 7)
    with pytest.raises(InputError, match=rf"1 of {len(names)} names are none of .*nothing was"):
        delete_rows(folder, names)
    assert not (folder / "deleted.npy").exists()


def test_a_damaged_list_of_deleted_rows_says_so(tmp_path):
    folder = Samples().folder(tmp_path / "out", 6)
    for content, message in ((b"junk", "damaged"), (b"", "damaged")):
        (folder / "deleted.npy").write_bytes(content)
        with pytest.raises(FolderError, match=rf"deleted\.npy is {message}"):
            open_index(folder, "image")
    np.save(folder / "deleted.npy", np.array([2, 6]))
    with pytest.raises(FolderError, match="names row 6, and the folder has 6"):
        open_index(folder, "image")


@pytest.mark.parametrize("kind", KINDS)
def test_compacting_takes_deleted_rows_out_of_everything(tmp_path, kind):
    folder = Samples().folder(tmp_path / "out", 50, 3, 60, texts=True)
    build_index(folder, order(kind))
    expected = rows_by_path(folder)
    for row in (0, 17, 50, 51, 52, 112):  # the second partition goes as a whole
        del expected[f"{row}.png"]
    delete_rows(folder, ["0", "17", "50", "51", "52", "112"])
    assert compact_folder(folder, order(kind)) == 6
    assert rows_by_path(folder).keys() == expected.keys()
    assert read_index_card(folder).rows == 107
    assert not (folder / "deleted.npy").exists()
    assert read_manifest(folder).num_partitions == 2
    assert_finds(folder, expected, exact=kind != "ivf-pq")
    assert json.loads((folder / "stats" / "0.json").read_text())["sample_count"] == 48
    assert compact_folder(folder, order(kind)) == 0


def test_a_folder_without_index_gets_none_by_compacting(tmp_path):
    folder = Samples().folder(tmp_path / "out", 6)
    delete_rows(folder, ["0"])
    compact_folder(folder, order())
    assert read_index_card(folder) is None
    assert not (folder / "image.index").exists()


def test_a_folder_in_use_is_not_changed(tmp_path):
    make = Samples()
    folder, other = make.folder(tmp_path / "out", 6), make.folder(tmp_path / "other", 2)
    with hold_folder(folder):
        for change in (
            lambda: add_folder(folder, other, order()),
            lambda: delete_rows(folder, ["1"]),
        ):
            with pytest.raises(FolderError, match="in use"):
                change()


def test_a_full_disk_leaves_the_folder_as_it_was(tmp_path, monkeypatch):
    make = Samples()
    folder, other = make.folder(tmp_path / "out", 6), make.folder(tmp_path / "other", 2)
    build_index(folder)
    before = rows_by_path(folder)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("clipworks.search.folder_changes.write_manifest", full)
    with pytest.raises(FolderError, match="cannot be written: No space left on device"):
        add_folder(folder, other, order())
    monkeypatch.undo()
    assert_finds(folder, before)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["flat", "ivf-fast", "ivf-sq8"])
def test_any_sequence_of_changes_keeps_rows_and_metadata_in_step(tmp_path, seed, kind):
    random, make = np.random.default_rng(seed), Samples(seed)
    folder = make.folder(tmp_path / "out", 5, 8)
    build_index(folder, order(kind))
    model, names = rows_by_path(folder), list(rows_by_path(folder))
    for step in range(7):
        what = random.choice(["add", "delete", "delete", "compact", "index"])
        if what == "add":
            sizes = random.integers(1, 9, random.integers(1, 4))
            other = make.folder(tmp_path / f"other{step}", *sizes)
            add_folder(folder, other, order(kind))
            model |= rows_by_path(other)
            names += rows_by_path(other)
        elif what == "delete":
            gone = random.choice(len(names), random.integers(1, 4), replace=False)
            delete_rows(folder, [str(row) if row % 2 else names[row] for row in gone])
            for row in gone:
                model.pop(names[row], None)
        elif what == "compact":
            compact_folder(folder, order(kind))
            names = [name for name in names if name in model]
        elif names:
            build_index(folder, order(kind))
        assert_finds(folder, model)
        records = open_index(folder, "image").metadata.rows(range(len(names)))
        assert [record["image_path"] for record in records] == names


def killed_everywhere(folder, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.kill_points", folder, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("change", "stride"),
    [
        ("add", 7),
        ("compact", 7),
        ("delete", 1),
        pytest.param("add", 1, marks=pytest.mark.slow),
        pytest.param("compact", 1, marks=pytest.mark.slow),
    ],
)
def test_a_kill_at_any_step_leaves_the_old_folder_or_the_new_one(tmp_path, change, stride):
    make = Samples()
    folder, other = make.folder(tmp_path / "out", 4, 3), make.folder(tmp_path / "other", 3)
    (folder / "mine.txt").write_text("mine")
    build_index(folder)
    if change == "compact":
        delete_rows(folder, ["1", "5"])
    rest = {"add": [other], "compact": [], "delete": ["2", "6"]}[change]
    states = killed_everywhere(folder, change, stride, *rest)
    assert len(states) > {"add": 25, "compact": 25, "delete": 3}[change] // stride
    old, new = states[0], {**states[-1], "killed": True}
    assert old["found"] != new["found"] or old["rows"] != new["rows"]
    assert old["others"] == ["mine.txt"]
    for state in states[:-1]:
        assert state in (old, new)
    assert states[-1]["killed"] is False


def test_a_changed_folder_is_not_taken_for_the_pictures_it_was_begun_from(tmp_path):
    folder = colour_folder(tmp_path / "out", tmp_path / "pictures")
    before = read_manifest(folder)
    delete_rows(folder, ["0"])
    compact_folder(folder, order())
    after = read_manifest(folder)
    assert after.listing_digest != before.listing_digest
    assert (after.fingerprint, after.source) == (before.fingerprint, before.source)


def test_a_file_system_that_cannot_exchange_is_told_before_anything_changes(tmp_path, monkeypatch):
    make = Samples()
    folder, other = make.folder(tmp_path / "out", 6), make.folder(tmp_path / "other", 2)
    before = rows_by_path(folder)
    monkeypatch.setattr("clipworks.search.folder_exchange.ctypes.CDLL", lambda *_, **__: object())
    with pytest.raises(FolderError, match="cannot exchange two folders in one step"):
        add_folder(folder, other, order())
    monkeypatch.undo()
    assert_finds(folder, before)
    assert not list(tmp_path.glob(".*"))
