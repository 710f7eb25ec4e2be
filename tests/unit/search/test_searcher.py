import json

import numpy as np
import pytest

from clipworks.embed.embed_settings import EmbedSettings
from clipworks.embed.pipeline import embed_folder
from clipworks.errors import (
    FolderError,
    InputError,
    InvalidImageError,
    InvalidTextError,
    ModelMismatchError,
    SettingsError,
)
from clipworks.search import searcher as searcher_module
from clipworks.search.build import BuildOrder, build_index
from clipworks.search.hits import Hit
from clipworks.search.query import Query
from clipworks.search.search_options import SearchOptions
from clipworks.search.searcher import RecordedModel, Searcher, open_searcher, recorded_model
from tests.support.colours import (
    COLOURS,
    DIM,
    colour_embedder,
    colour_folder,
    save_picture,
    write_embedding_folder,
)
from tests.support.folders import folder_of


@pytest.fixture
def folder(tmp_path):
    return colour_folder(tmp_path / "out", tmp_path / "pictures")


@pytest.fixture(params=["exact", "faiss", "none"])
def searcher(request, folder):
    """Over the same rows: two kinds of index, and none at all."""
    if request.param != "none":
        build_index(folder, BuildOrder(backend=request.param))
    return Searcher.open(folder, colour_embedder())


def test_words_find_pictures(searcher):
    hits = searcher.search_text("a big green picture", 2)
    assert [hit.rank for hit in hits] == [1, 2]
    assert {hit.id for hit in hits} == {1, 4}
    assert {hit.caption for hit in hits} == {"a green picture"}
    assert hits[0].image_path.endswith(".png")
    assert hits[0].metadata == {"row": hits[0].id}


def test_similarities_are_cosines_and_fall(searcher):
    embedder = colour_embedder()
    hits = searcher.search_text("blue", 6)
    query = embedder.embed_texts(["blue"])[0].astype(np.float64)
    rows = embedder.embed_images([hit.image_path for hit in hits]).astype(np.float64)
    np.testing.assert_allclose([hit.similarity for hit in hits], rows @ query, atol=1e-3)
    assert hits == sorted(hits, key=lambda hit: -hit.similarity)


def test_a_picture_finds_its_like(searcher, tmp_path):
    query = save_picture(tmp_path / "query.png", "red")
    assert {hit.id for hit in searcher.search_image(query, 2)} == {0, 3}
    assert {hit.id for hit in searcher.search_image(query.read_bytes(), 2)} == {0, 3}


def test_an_embedding_finds_the_same_as_its_text(searcher):
    embedding = colour_embedder().embed_texts(["red"])[0]
    assert searcher.search_embedding(embedding, 4) == searcher.search_text("red", 4)


def test_more_results_than_rows_gives_all_rows(searcher):
    assert sorted(hit.id for hit in searcher.search_text("red", 100)) == list(range(6))


@pytest.mark.parametrize("k", [0, -3])
def test_no_results_wanted_is_an_error(searcher, k):
    with pytest.raises(SettingsError, match="at least 1"):
        searcher.search_text("red", k)


def test_queries_that_are_none_are_refused(searcher, tmp_path):
    with pytest.raises(InvalidTextError, match="blank"):
        searcher.search_text("  ")
    with pytest.raises(InvalidImageError, match="no such file"):
        searcher.search_image(tmp_path / "none.png")
    with pytest.raises(InputError, match="the embedding has 3 numbers"):
        searcher.search_embedding(np.ones(3, np.float32))


def test_pictures_that_were_deleted_are_still_listed(searcher, tmp_path):
    (tmp_path / "pictures" / "1.png").unlink()
    assert 1 in {hit.id for hit in searcher.search_text("green", 2)}


def test_texts_can_be_searched_instead_of_pictures(folder):
    build_index(folder)
    searcher = Searcher.open(folder, colour_embedder(), modality="text")
    hits = searcher.search_text("a red picture", 2)
    assert {hit.id for hit in hits} == {0, 3}
    assert hits[0].similarity == pytest.approx(1.0, abs=1e-3)


def test_a_modality_that_the_folder_lacks_says_so(tmp_path):
    folder = write_embedding_folder(tmp_path / "out", [(np.eye(DIM)[:1], [{"image_path": "a"}])])
    with pytest.raises(FolderError, match="no text embeddings: it has only image"):
        Searcher.open(folder, colour_embedder(), modality="text")


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize("num_partitions", [1, 9, 10, 11, 12])
def test_hits_and_metadata_are_of_one_sample_whatever_the_digits(tmp_path, num_partitions, indexed):
    random = np.random.default_rng(num_partitions)
    rows = random.standard_normal((num_partitions * 3, DIM))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    records = [{"image_path": f"{i}.png", "caption": None, "row": i} for i in range(len(rows))]
    parts = [(rows[i : i + 3], records[i : i + 3]) for i in range(0, len(rows), 3)]
    folder = write_embedding_folder(tmp_path / "out", parts, row_group_size=2)
    if indexed:
        build_index(folder)
    searcher = Searcher.open(folder, colour_embedder())
    for number, row in enumerate(rows):
        (hit,) = searcher.search_embedding(row.astype(np.float32), 1)
        assert (hit.id, hit.image_path, hit.metadata) == (number, f"{number}.png", {"row": number})
        assert hit.similarity == pytest.approx(1.0, abs=2e-3)


def test_digits_without_padding_are_read_in_the_order_of_their_numbers(tmp_path):
    parts = [(np.eye(DIM)[[i % DIM]], [{"image_path": f"{i}.png"}]) for i in range(12)]
    folder = write_embedding_folder(tmp_path / "out", parts, manifest=False)
    for path in [*folder.glob("*/*_0?.npy"), *folder.glob("*/*_0?.parquet")]:
        path.rename(path.with_name(path.name.replace("_0", "_")))
    build_index(folder)
    searcher = Searcher.open(folder, colour_embedder())
    paths = [hit["image_path"] for hit in searcher.metadata.rows(range(12))]
    assert paths == [f"{i}.png" for i in range(12)]
    hits = searcher.search_embedding(np.eye(DIM, dtype=np.float32)[2], 2)
    assert {hit.image_path for hit in hits} == {"2.png", "10.png"}


def test_a_query_of_another_model_is_refused_and_both_are_named(folder):
    build_index(folder)
    other = colour_embedder(name="greys", fingerprint="9e59e59e59e59e59")
    with pytest.raises(ModelMismatchError) as caught:
        Searcher.open(folder, other)
    for words in ("colours", "c0105c0105c01050", "greys", "9e59e59e59e59e59"):
        assert words in str(caught.value)


def test_a_folder_that_names_no_model_is_searched_unchecked(tmp_path):
    folder = write_embedding_folder(
        tmp_path / "out", [(np.eye(DIM)[:3], [{"image_path": str(i)} for i in range(3)])],
        manifest=False,
    )  # fmt: skip
    assert recorded_model(folder) is None
    searcher = Searcher.open(folder, colour_embedder(fingerprint="any"))
    (hit,) = searcher.search_text("red", 1)
    assert (hit.id, hit.caption, hit.metadata) == (0, None, {})


def test_a_folder_that_names_no_model_but_has_another_width_is_refused(tmp_path):
    part = (np.eye(5)[:3], [{"image_path": str(i)} for i in range(3)])
    folder = write_embedding_folder(tmp_path / "out", [part], manifest=False)
    with pytest.raises(ModelMismatchError, match="of 5 numbers, and colours makes 8"):
        Searcher.open(folder, colour_embedder())


def test_the_recorded_model_is_the_manifests(folder):
    assert recorded_model(folder) == RecordedModel("colours", "c0105c0105c01050")


def test_an_empty_folder_finds_nothing(tmp_path):
    folder = write_embedding_folder(tmp_path / "out", [(np.zeros((0, DIM)), [])])
    assert Searcher.open(folder, colour_embedder()).search_text("red") == []


def test_a_hit_becomes_json_whatever_the_columns_hold():
    metadata = {"a": float("nan"), "b": b"x", "c": [1, None], "d": {"e": 2.5}, "f": True}
    hit = Hit(1, 0.123456789, 7, "a.png", None, metadata)
    fields = json.loads(json.dumps(hit.to_json(), allow_nan=False))
    assert fields["similarity"] == 0.123457
    assert fields["metadata"] == {
        "a": None,
        "b": "b'x'",
        "c": [1, None],
        "d": {"e": 2.5},
        "f": True,
    }


@pytest.mark.parametrize("store", ["fp16", "int8"])
def test_a_query_is_cut_short_as_the_rows_are(tmp_path, store):
    pictures, out = tmp_path / "pictures", tmp_path / "out"
    for name in COLOURS:
        save_picture(pictures / f"{name}.png", name)
    embed_folder(pictures, out, colour_embedder(), settings=EmbedSettings(store=store, dim=4))
    searcher = Searcher.open(out, colour_embedder())
    assert searcher.index.embedding_dim == 4
    for name in COLOURS:
        hit = searcher.search_image(pictures / f"{name}.png", k=1)[0]
        assert hit.image_path == str(pictures / f"{name}.png")
        assert hit.similarity > 0.999


def test_pages_neither_repeat_nor_drop_a_hit(tmp_path):
    rows = np.random.default_rng(0).integers(0, 2, (500, DIM)) + 0.1  # many of them equal
    folder, _ = folder_of(tmp_path / "out", rows)
    for indexed in (False, True):
        if indexed:
            build_index(folder)
        searcher = Searcher.open(folder, colour_embedder())
        whole = searcher.search("red", 500)
        assert sorted(hit.id for hit in whole) == list(range(500))
        assert whole == sorted(whole, key=lambda hit: (-hit.similarity, hit.id))
        assert [hit.rank for hit in whole] == list(range(1, 501))
        for size in (7, 100, 1000):
            pages = list(searcher.pages("red", size))
            assert [hit for page in pages for hit in page] == whole
            assert all(len(page) == size for page in pages[:-1])
        assert searcher.search("red", 7, offset=13) == whole[13:20]


def test_sums_conditions_and_embeddings_from_python(folder):
    searcher = open_searcher(folder, colour_embedder())
    query = Query.text("red") - 0.5 * Query.text("blue")
    options = SearchOptions(where="row > 2", embeddings=True)
    hits = searcher.search(query, 2, options=options)
    assert hits[0].id == 3
    row = np.load(folder / "img_emb" / "img_emb_0.npy")[3].astype(np.float32)
    np.testing.assert_array_equal(hits[0].embedding, row)
    assert hits[0].similarity == pytest.approx(
        float(row @ query.embed(colour_embedder())), abs=1e-3
    )


def test_embeddings_come_from_the_index_where_the_arrays_are_gone(folder):
    build_index(folder)
    expected = np.load(folder / "img_emb" / "img_emb_0.npy")[3].astype(np.float32)
    for path in (folder / "img_emb").iterdir():
        path.unlink()
    searcher = open_searcher(folder, colour_embedder())
    (hit,) = searcher.search("red", 1, options=SearchOptions(where="row = 3", embeddings=True))
    np.testing.assert_allclose(hit.embedding, expected, atol=2e-3)


def test_near_duplicates_make_room_for_others(tmp_path):
    rows = np.repeat(np.eye(DIM)[:4] + 0.1, 50, axis=0)
    folder, _ = folder_of(tmp_path / "out", rows)
    searcher = open_searcher(folder, colour_embedder())
    hits = searcher.search("red", 4, options=SearchOptions(dedup=0.94))
    assert [hit.id for hit in hits] == [0, 50, 100, 150]
    assert [hit.rank for hit in hits] == [1, 2, 3, 4]


def test_a_condition_is_looked_up_once(folder, monkeypatch):
    asked = []
    whole = searcher_module.allowed_rows
    monkeypatch.setattr(searcher_module, "allowed_rows", lambda *a: asked.append(a) or whole(*a))
    searcher = open_searcher(folder, colour_embedder())
    options = SearchOptions(where="row > 2")
    assert searcher.search("red", options=options) == searcher.search("red", options=options)
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"k": 0}, "at least 1"), ({"offset": -1}, "0 or more")],
)
def test_numbers_that_make_no_sense_are_refused(folder, arguments, message):
    searcher = open_searcher(folder, colour_embedder())
    with pytest.raises(SettingsError, match=message):
        searcher.search("red", **arguments)
    with pytest.raises(SettingsError, match="page size 0"):
        searcher.pages("red", 0)
