"""One model in the forms that repositories keep it in, and broken in the ways they break."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import normalize

from clipworks.errors import CheckpointError
from clipworks.export.conversion import convert_checkpoint
from clipworks.models.checkpoints import load_checkpoint
from tests.support.repositories import GOLDEN, make_repository

HALVES = {torch.float16: 5e-3, torch.bfloat16: 5e-2}


def shard(folder: Path, suffix: str) -> None:
    """Part the weights into three files and their index, as transformers does."""
    whole = folder / "model.safetensors"
    tensors = load_file(whole)
    whole.unlink()
    weight_map = {}
    for number in range(3):
        part = dict(list(tensors.items())[number::3])
        name = f"model-{number + 1:05}-of-00003.{suffix}"
        save = save_file if suffix == "safetensors" else torch.save
        save(part, folder / name)
        weight_map |= dict.fromkeys(part, name)
    stem = "model.safetensors" if suffix == "safetensors" else "pytorch_model.bin"
    (folder / f"{stem}.index.json").write_text(json.dumps({"weight_map": weight_map}))


def store_halves(folder: Path, file: str, dtype: torch.dtype) -> None:
    halves = {name: tensor.to(dtype) for name, tensor in load_file(folder / file).items()}
    save_file(halves, folder / file)


def pickle_wrapped(folder: Path) -> None:
    """A training run's own file: half precision, wrapped twice, beside what is no tensor."""
    whole = folder / "open_clip_model.safetensors"
    state = {f"module.{name}": tensor.half() for name, tensor in load_file(whole).items()}
    whole.unlink()
    content = {"epoch": 3, "name": "run", "state_dict": state}
    torch.save(content, folder / "open_clip_pytorch_model.bin")


def difference(folder: Path, name: str) -> float:
    """The largest difference of a coordinate of a text's unit vector from the library's."""
    with np.load(GOLDEN / name / "outputs.npz") as stored:
        tokens, expected = stored["tokens"].astype(np.int64), stored["texts"]
    model = load_checkpoint(folder).model
    with torch.inference_mode():
        texts = normalize(model.encode_text(torch.from_numpy(tokens)), dim=1)
    return float(np.abs(texts.numpy() - expected).max())


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_shards(tmp_path, suffix):
    folder = make_repository("hf_siglip", tmp_path / "model")
    shard(folder, suffix)
    assert difference(folder, "hf_siglip") < 1e-5


def test_pickled_tensors(tmp_path):
    folder = make_repository("hf_siglip2", tmp_path / "model")
    whole = folder / "model.safetensors"
    torch.save(load_file(whole), folder / "pytorch_model.bin")
    whole.unlink()
    assert difference(folder, "hf_siglip2") < 1e-5


@pytest.mark.parametrize("dtype", HALVES)
def test_half_precision(tmp_path, dtype):
    folder = make_repository("hf_siglip", tmp_path / "model")
    store_halves(folder, "model.safetensors", dtype)
    assert 0 < difference(folder, "hf_siglip") < HALVES[dtype]


def test_a_training_runs_own_file(tmp_path):
    folder = make_repository("open_clip_siglip", tmp_path / "model")
    pickle_wrapped(folder)
    assert difference(folder, "open_clip_siglip") < HALVES[torch.float16]


def break_weights(folder: Path) -> None:
    whole = folder / "model.safetensors"
    whole.write_bytes(whole.read_bytes()[:-1000])


def lose_a_shard(folder: Path) -> None:
    shard(folder, "safetensors")
    (folder / "model-00002-of-00003.safetensors").unlink()


def change_config(**changes: object):
    def change(folder: Path) -> None:
        path = folder / "config.json"
        config = json.loads(path.read_text())
        config["text_config"].update(changes)
        path.write_text(json.dumps(config))

    return change


def change_preprocessing(folder: Path) -> None:
    path = folder / "preprocessor_config.json"
    settings = json.loads(path.read_text())
    path.write_text(json.dumps({**settings, "size": {"height": 64, "width": 64}}))


def break_tokenizer(folder: Path) -> None:
    whole = folder / "spiece.model"
    whole.write_bytes(whole.read_bytes()[:-100])


def leave_a_pointer(folder: Path) -> None:
    (folder / "spiece.model").write_text("version https://git-lfs.github.com/spec/v1\noid x\n")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_weights, "not readable as safetensors"),
        (lose_a_shard, "'model-00002-of-00003.safetensors' is not a file of weights beside it"),
        (change_config(vocab_size=99), "vocab_size = 99, but the tensors say"),
        (change_config(max_position_embeddings=64), "context_length = 64, but the tensors say 24"),
        (change_config(hidden_act="relu"), "hidden_act = 'relu'"),
        (change_preprocessing, "prepared as [64, 64], but the image tower takes 32 x 32"),
        (break_tokenizer, "the SentencePiece model is damaged"),
        (leave_a_pointer, "spiece.model is a Git LFS pointer"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path, damage, message):
    folder = make_repository("hf_siglip", tmp_path / "model")
    damage(folder)
    with pytest.raises(CheckpointError) as caught:
        convert_checkpoint(folder, tmp_path / "bundle")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "bundle").exists()
