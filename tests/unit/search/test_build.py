import json
from dataclasses import replace

import faiss
import numpy as np
import pytest

from clipworks.data.folder_lock import hold_folder
from clipworks.errors import FolderError
from clipworks.search import build, index_plan
from clipworks.search.build import BuildOrder, build_index
from clipworks.search.index_card import IndexCard, read_index_card
from clipworks.search.index_folder import open_index
from clipworks.search.index_settings import IndexSettings
from clipworks.search.index_tuning import Trial
from tests.support.colours import DIM, colour_folder, write_embedding_folder


@pytest.fixture
def folder(tmp_path):
    return colour_folder(tmp_path / "out", tmp_path / "pictures")


def some_rows(count):
    return np.eye(DIM)[np.arange(count) % DIM], [{"image_path": f"{i}.png"} for i in range(count)]


def test_an_index_of_each_modality_comes_beside_the_metadata(folder):
    card = build_index(folder)
    assert {path.name for path in folder.iterdir()} == {
        "image.index", "text.index", "index.json", "manifest.json",
        "img_emb", "text_emb", "metadata", "metadata_rows.arrow", "stats",
    }  # fmt: skip
    assert card == read_index_card(folder)
    assert card.measures["image"].queries["text->image"].recall_at_10 == 1
    assert replace(card, measures={}) == IndexCard(
        backend="faiss",
        model="colours",
        fingerprint="c0105c0105c01050",
        embedding_dim=DIM,
        rows=6,
        kinds={"image": "flat fp16", "text": "flat fp16"},
        listing_digest="0123",
    )


@pytest.mark.parametrize("backend", ["exact", "faiss"])
def test_the_index_that_is_opened_is_the_one_that_was_built(folder, backend):
    build_index(folder, BuildOrder(backend=backend))
    opened = open_index(folder, "text")
    assert opened.index.size == opened.metadata.size == 6
    assert opened.index.kind == {"exact": "exact", "faiss": "flat fp16"}[backend]


def test_building_again_replaces_the_index(folder):
    build_index(folder)
    before = (folder / "image.index").read_bytes()
    build_index(folder)
    assert (folder / "image.index").read_bytes() == before


def test_the_report_tells_of_both_modalities(folder):
    told = []
    build_index(folder, BuildOrder(report=lambda *state: told.append(state)))
    assert told[-1] == ("texts, searched exactly", 6, 6)
    assert ("images", 6, 6) in told


def test_an_unfinished_folder_is_refused_and_says_how_to_finish(tmp_path):
    folder = write_embedding_folder(
        tmp_path / "out", [some_rows(3), some_rows(2)], settings={"partition_size": 3}
    )
    (folder / "stats" / "1.json").unlink()
    with pytest.raises(FolderError) as caught:
        build_index(folder)
    assert "1 of 2 partitions are missing" in str(caught.value)
    command = f"clipworks embed pictures --out {folder} --model colours --partition-size 3"
    assert f"finish with: {command}" in str(caught.value)
    assert not (folder / "image.index").exists()


def test_a_folder_of_clip_retrievals_is_indexed(tmp_path):
    folder = write_embedding_folder(tmp_path / "out", [some_rows(3)], manifest=False, done=False)
    card = build_index(folder)
    assert (card.model, card.fingerprint, card.rows) == ("", "", 3)
    assert open_index(folder, "image").index.size == 3


def test_partitions_without_rows_do_no_harm(tmp_path):
    parts = [some_rows(3), (np.zeros((0, DIM)), []), some_rows(2)]
    assert build_index(write_embedding_folder(tmp_path / "out", parts)).rows == 5


def test_a_folder_without_samples_is_refused(tmp_path):
    folder = write_embedding_folder(tmp_path / "out", [(np.zeros((0, DIM)), [])])
    with pytest.raises(FolderError, match="no samples"):
        build_index(folder)


def test_a_folder_without_embeddings_is_refused(tmp_path):
    with pytest.raises(FolderError, match="holds no embeddings"):
        build_index(tmp_path)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(FolderError, match="is not a folder"):
        build_index(tmp_path / "none")


def test_arrays_and_tables_out_of_step_are_refused(tmp_path):
    rows, records = some_rows(4)
    folder = write_embedding_folder(tmp_path / "out", [(rows, records[:3])])
    with pytest.raises(FolderError, match="image embeddings have 4 rows and the metadata 3"):
        build_index(folder)


def test_a_partition_without_its_array_is_refused(folder):
    (folder / "img_emb" / "img_emb_1.npy").unlink()
    with pytest.raises(FolderError, match=r"img_emb_1\.npy is missing"):
        build_index(folder)


def test_a_killed_build_leaves_no_index_that_looks_whole(folder, monkeypatch):
    build_index(folder)

    class Killed(BaseException):
        pass

    def kill(*_):
        raise Killed

    monkeypatch.setattr(build, "write_index_card", kill)
    with pytest.raises(Killed):
        build_index(folder)
    assert read_index_card(folder) is None
    assert open_index(folder, "image").index.kind == "exact"  # compares with the rows themselves


def test_an_index_that_is_older_than_the_embeddings_is_refused(folder):
    build_index(folder)
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "listing_digest": "4567"}))
    with pytest.raises(FolderError, match=f"run: clipworks index {folder}"):
        open_index(folder, "image")


def test_an_index_that_lacks_rows_is_refused(tmp_path):
    folder = write_embedding_folder(tmp_path / "out", [some_rows(3)], manifest=False)
    build_index(folder)
    write_embedding_folder(folder, [some_rows(4)], manifest=False)
    with pytest.raises(FolderError, match="has 3 rows and the metadata 4"):
        open_index(folder, "image")


def test_a_damaged_card_says_so(folder):
    build_index(folder)
    (folder / "index.json").write_text("{")
    with pytest.raises(FolderError, match=r"index\.json is damaged"):
        open_index(folder, "image")
    (folder / "index.json").write_text('{"format_version": 7}')
    with pytest.raises(FolderError, match="format 7"):
        open_index(folder, "image")


def test_two_builds_at_once_in_one_folder_do_not_meet(folder):
    with hold_folder(folder), pytest.raises(FolderError, match="in use"):
        build_index(folder)


def test_a_folder_of_lists_on_disk_is_replaced_by_a_file_and_back(folder):
    lists = BuildOrder(settings=IndexSettings(kind="ivf-sq8", memory_bytes=1_000_000))
    for order, is_folder in ((lists, True), (BuildOrder(), False), (lists, True), (lists, True)):
        build_index(folder, order)
        assert (folder / "image.index").is_dir() == is_folder
        opened = open_index(folder, "image")
        assert opened.index.search(np.eye(DIM, dtype=np.float32)[:1], 2).ids.shape == (1, 2)
        assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_an_index_that_is_a_folder_is_left_alone(folder):
    (folder / "image.index").mkdir()
    with pytest.raises(FolderError, match="move it away"):
        build_index(folder)


@pytest.mark.parametrize("finds_enough", [True, False])
def test_where_a_graph_finds_too_little_there_are_lists(tmp_path, monkeypatch, finds_enough):
    monkeypatch.setattr(index_plan, "MAX_FLAT_ROWS", 50)
    monkeypatch.setattr(Trial, "is_satisfied", lambda *_: finds_enough)
    rows = np.random.default_rng(0).standard_normal((400, DIM))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    records = [{"image_path": str(i)} for i in range(400)]
    folder = write_embedding_folder(tmp_path / "out", [(rows, records)])
    card = build_index(folder)
    assert ("HNSW" in card.kinds["image"]) == finds_enough
    assert ("IVF" in card.kinds["image"]) == (not finds_enough)
    assert card.measures["image"].asked_kind == "auto"
    assert open_index(folder, "image").index.search(rows[:1].astype(np.float32), 3).ids[0, 0] == 0


@pytest.mark.parametrize("kind", ["flat", "hnsw", "ivf-fast", "ivf-sq8", "ivf-pq"])
def test_an_index_gives_back_its_rows_as_clip_retrieval_asks_for_them(tmp_path, kind):
    rows = np.random.default_rng(0).standard_normal((200, DIM))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    records = [{"image_path": str(i)} for i in range(200)]
    folder = write_embedding_folder(tmp_path / "out", [(rows, records)])
    build_index(folder, BuildOrder(settings=IndexSettings(kind=kind)))
    index = faiss.read_index(str(folder / "image.index"), faiss.IO_FLAG_MMAP)
    _, ids, found = index.search_and_reconstruct(rows[:1].astype(np.float32), 3)
    if kind != "ivf-pq":
        assert ids[0, 0] == 0
        np.testing.assert_allclose(found[0], rows[ids[0]], atol=0.02)
