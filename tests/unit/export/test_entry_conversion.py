"""What comes of a checkpoint on the hub, and what beside it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from clipworks.encoders.catalog import find_entry
from clipworks.errors import DownloadError
from clipworks.export.entry_conversion import fetch_checkpoint
from tests.support.hub_server import FakeHub

SIDE = {"config.json": b"{}", "preprocessor_config.json": b"{}", "spiece.model": b"s" * 2000}


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with FakeHub() as hub:
        hub.connect(monkeypatch, tmp_path / "hub")
        yield hub


def test_a_plain_clip_is_its_weights_alone(hub):
    entry = find_entry("ViT-B-32/openai")
    hub.add(entry.repository, {"open_clip_model.safetensors": b"w" * 2000, "tokenizer.json": b"{}"})
    path = fetch_checkpoint(entry)
    assert {one.name for one in path.parent.iterdir()} == {"open_clip_model.safetensors"}


def test_a_repository_of_transformers_comes_with_its_files(hub):
    entry = find_entry("google/siglip-base-patch16-224")
    files = {**SIDE, "model.safetensors": b"w" * 2000, "README.md": b"-", "flax.msgpack": b"f"}
    hub.add(entry.repository, files)
    path = fetch_checkpoint(entry)
    assert path.name == "model.safetensors"
    assert {one.name for one in path.parent.iterdir()} == {*SIDE, "model.safetensors"}


def test_weights_in_parts_all_come(hub):
    entry = find_entry("google/siglip2-giant-opt-patch16-384")
    parts = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    index = {"weight_map": {"a": parts[0], "b": parts[1], "c": parts[0]}}
    files = {name: name.encode() * 100 for name in parts}
    hub.add(
        entry.repository,
        {**SIDE, **files, "model.safetensors.index.json": json.dumps(index).encode()},
    )
    told = []
    path = fetch_checkpoint(entry, watch=lambda name, *_: told.append(name))
    assert path.name == "model.safetensors.index.json"
    assert all((path.parent / part).is_file() for part in parts)
    assert set(told) == set(parts)
    hub.add("org/odd", {"model.safetensors.index.json": b"[]"})
    with pytest.raises(DownloadError, match="does not say which files hold the weights"):
        fetch_checkpoint(replace(entry, repository="org/odd"))
