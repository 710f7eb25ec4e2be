"""A folder of shortened embeddings (`embed --dim`) is used with its own model by every command."""

import json

import pytest

import clipworks
from clipworks.cli.cluster import cluster
from clipworks.cli.index import index
from clipworks.data.packaged_pictures import PACKAGED_FOLDER
from clipworks.embed.embed_settings import EmbedSettings
from clipworks.embed.pipeline import embed_folder
from tests.support.commands import run

DIM = 96


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("shortened") / "out"
    embed_folder(PACKAGED_FOLDER, out, clipworks.load(), settings=EmbedSettings(dim=DIM))
    return out


def test_its_index_is_measured_with_everyday_texts(folder):
    card = json.loads(run(index, folder, "--json").stdout)
    assert card["embedding_dim"] == DIM
    assert card["measures"]["image"]["queries"].keys() == {"image->image", "text->image"}


def test_its_groups_are_named(folder):
    groups = json.loads(run(cluster, folder, "-n", 3, "--backend", "onnx", "--json").stdout)
    assert all(group["names"] for group in groups)
