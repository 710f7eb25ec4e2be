"""Beside the contract suite: folders whose rows lie in Milvus Lite, and servers that are away."""

import json

import numpy as np
import pytest

from clipworks.cli.index import index
from clipworks.errors import FolderError, ServerError, SettingsError
from clipworks.search.backends.milvus_index import MilvusIndex
from clipworks.search.index_folder import open_index
from clipworks.search.searcher import Searcher
from tests.support.colours import colour_embedder, colour_folder
from tests.support.commands import run


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    return str(tmp_path_factory.mktemp("server") / "rows.db")


@pytest.fixture
def folder(tmp_path):
    return colour_folder(tmp_path / "out", tmp_path / "pictures")


def collections(server):
    return set(MilvusIndex(server, "", 0, 1)._client.list_collections())


def test_a_folder_is_indexed_searched_changed_and_leaves_nothing_behind(folder, server, tmp_path):
    before = collections(server)
    card = json.loads(
        run(index, folder, "--backend", "milvus", "--server", server, "--json").stdout
    )
    assert card["kinds"] == {"image": "Milvus", "text": "Milvus"}
    assert card["measures"]["image"]["queries"]["text->image"]["recall_at_10"] == 1
    searcher = Searcher.open(folder, colour_embedder())
    assert {hit.id for hit in searcher.search_text("green", 2)} == {1, 4}

    names = tmp_path / "names"
    names.write_text("1")
    run(index, folder, "--delete", names)
    found = Searcher.open(folder, colour_embedder()).search_text("green", 2)
    assert found[0].id == 4
    assert 1 not in {hit.id for hit in found}

    run(index, folder, "--add", colour_folder(tmp_path / "other", tmp_path / "more"))
    run(index, folder, "--compact")
    opened = open_index(folder, "image")
    assert (opened.index.kind, opened.index.size) == ("Milvus", 11)
    assert len(collections(server) - before) == 2  # of the images, and of the texts
    run(index, folder, "--backend", "faiss")
    assert collections(server) == before


def test_a_server_that_is_away_gives_one_line(folder):
    address = "http://127.0.0.1:9"
    with pytest.raises(
        ServerError, match=rf"{address} does not answer as a Milvus server: [^\n]+$"
    ):
        run(index, folder, "--backend", "milvus", "--server", address)
    place = {"format_version": 1, "server": address, "collection": "c", "rows": 6, "dim": 8}
    (folder / "image.index").write_text(json.dumps(place))
    with pytest.raises(ServerError, match="does not answer"):
        MilvusIndex.open(folder / "image.index")


def test_without_a_server_it_says_what_to_give(folder):
    with pytest.raises(SettingsError, match="--server http://host:19530"):
        run(index, folder, "--backend", "milvus")


def test_a_collection_that_is_gone_says_so(folder, server):
    run(index, folder, "--backend", "milvus", "--server", server)
    MilvusIndex.open(folder / "image.index").discard()
    with pytest.raises(FolderError, match=r"is gone from .* index again"):
        MilvusIndex.open(folder / "image.index")


def test_more_hits_than_milvus_gives_are_compared_here(folder, server, monkeypatch):
    monkeypatch.setattr("clipworks.search.backends.milvus_index._MAX_HITS", 3)
    run(index, folder, "--backend", "milvus", "--server", server)
    opened = open_index(folder, "image").index
    ids, _ = opened.search(np.ones((1, 8), np.float32), 6)
    assert sorted(ids[0].tolist()) == list(range(6))
