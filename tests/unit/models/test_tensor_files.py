import json
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from clipworks.errors import CheckpointError
from clipworks.models.tensor_files import find_weights, read_json, read_tensor_file

TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "b.c": torch.ones(2, dtype=torch.float16)}


def same(tensors):
    return tensors.keys() == TENSORS.keys() and all(
        torch.equal(tensors[name], TENSORS[name]) for name in TENSORS
    )


class Bomb:
    """What an attacker puts in a pickle: loading it makes a file."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return (Path.touch, (self.mark,))


class TestReading:
    def test_safetensors(self, tmp_path):
        save_file(TENSORS, tmp_path / "w.safetensors", metadata={"k": "v"})
        file = read_tensor_file(tmp_path / "w.safetensors")
        assert same(file.tensors)
        assert file.metadata == {"k": "v"}
        assert file.folder == tmp_path

    @pytest.mark.parametrize("legacy", [False, True])
    @pytest.mark.parametrize(
        "wrap",
        [
            lambda state: state,
            lambda state: {"state_dict": state, "epoch": 3, "name": "run"},
            lambda state: {"model": state},
            lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
            lambda state: {f"_orig_mod.module.{name}": tensor for name, tensor in state.items()},
        ],
    )
    def test_pickled(self, tmp_path, wrap, legacy):
        torch.save(wrap(TENSORS), tmp_path / "w.pt", _use_new_zipfile_serialization=not legacy)
        assert same(read_tensor_file(tmp_path / "w.pt").tensors)

    def test_a_prefix_of_some_names_only_is_part_of_them(self, tmp_path):
        save_file({"module.a": torch.ones(1), "b": torch.ones(1)}, tmp_path / "w.safetensors")
        assert read_tensor_file(tmp_path / "w.safetensors").tensors.keys() == {"module.a", "b"}

    @pytest.mark.parametrize("suffix", ["safetensors", "bin"])
    def test_shards(self, tmp_path, suffix):
        weight_map = {}
        for number, (name, tensor) in enumerate(TENSORS.items()):
            shard = f"model-{number}.{suffix}"
            weight_map[name] = shard
            save = save_file if suffix == "safetensors" else torch.save
            save({name: tensor}, tmp_path / shard)
        index = tmp_path / f"model.{suffix}.index.json"
        index.write_text(json.dumps({"weight_map": weight_map}))
        assert same(read_tensor_file(index).tensors)


class TestHostileFiles:
    @pytest.mark.parametrize("length", [0, 4, 40, 120])
    def test_truncated_safetensors(self, tmp_path, length):
        save_file(TENSORS, tmp_path / "whole.safetensors")
        content = (tmp_path / "whole.safetensors").read_bytes()
        (tmp_path / "w.safetensors").write_bytes(content[:length])
        with pytest.raises(CheckpointError, match="not readable as safetensors"):
            read_tensor_file(tmp_path / "w.safetensors")

    @pytest.mark.parametrize("name", ["w.safetensors", "w.bin"])
    def test_a_note_of_gits_in_the_files_place(self, tmp_path, name):
        note = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 813\n"
        (tmp_path / name).write_text(note)
        with pytest.raises(CheckpointError, match=r"Git LFS pointer.*git lfs pull"):
            read_tensor_file(tmp_path / name)

    def test_a_file_that_is_not_there(self, tmp_path):
        with pytest.raises(CheckpointError, match="cannot be read: No such file"):
            read_tensor_file(tmp_path / "absent.safetensors")

    @pytest.mark.parametrize("share", [0, 0.3, 0.9])
    def test_truncated_pickle(self, tmp_path, share):
        torch.save(TENSORS, tmp_path / "whole.pt")
        content = (tmp_path / "whole.pt").read_bytes()
        (tmp_path / "w.pt").write_bytes(content[: int(share * len(content))])
        size = f"{(tmp_path / 'w.pt').stat().st_size:,}"
        with pytest.raises(
            CheckpointError, match=rf"cut short \({size} bytes are here\)"
        ) as caught:
            read_tensor_file(tmp_path / "w.pt")
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("legacy", [False, True])
    def test_code_in_a_pickle_is_not_run(self, tmp_path, legacy):
        mark = tmp_path / "mark"
        torch.save(
            {**TENSORS, "bomb": Bomb(mark)},
            tmp_path / "w.bin",
            _use_new_zipfile_serialization=not legacy,
        )
        with pytest.raises(CheckpointError, match="nothing in a checkpoint is run"):
            read_tensor_file(tmp_path / "w.bin")
        assert not mark.exists()

    def test_the_bomb_would_go_off(self, tmp_path):
        """Else the test above shows nothing."""
        mark = tmp_path / "mark"
        pickle.loads(pickle.dumps(Bomb(mark)))
        assert mark.exists()

    def test_a_bare_pickle_is_not_run(self, tmp_path):
        mark = tmp_path / "mark"
        (tmp_path / "w.pt").write_bytes(pickle.dumps(Bomb(mark), protocol=2))
        with pytest.raises(CheckpointError):
            read_tensor_file(tmp_path / "w.pt")
        assert not mark.exists()

    @pytest.mark.parametrize("content", [[1, 2], torch.ones(2), "text"])
    def test_no_state_dict(self, tmp_path, content):
        torch.save(content, tmp_path / "w.pt")
        with pytest.raises(CheckpointError, match="expected a state dict"):
            read_tensor_file(tmp_path / "w.pt")

    def test_another_zip(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "w.pt", "w") as archive:
            archive.writestr("hello.txt", "hello")
        with pytest.raises(CheckpointError):
            read_tensor_file(tmp_path / "w.pt")

    @pytest.mark.parametrize(
        "shard",
        ["../outside.safetensors", "/etc/passwd", "absent.bin", "", "model.safetensors.index.json"],
    )
    def test_an_index_stays_in_its_folder(self, tmp_path, shard):
        save_file(TENSORS, tmp_path / "outside.safetensors")
        folder = tmp_path / "model"
        folder.mkdir()
        index = folder / "model.safetensors.index.json"
        index.write_text(json.dumps({"weight_map": {"a": shard}}))
        with pytest.raises(CheckpointError, match="is not a file of weights beside it"):
            read_tensor_file(index)

    def test_an_index_without_a_map(self, tmp_path):
        (tmp_path / "model.safetensors.index.json").write_text("{}")
        with pytest.raises(CheckpointError, match="no weight_map"):
            read_tensor_file(tmp_path / "model.safetensors.index.json")

    @pytest.mark.parametrize("text", ["", "{", "[1]", "[" * 100_000, "\xff"])
    def test_json_that_is_no_object(self, tmp_path, text):
        (tmp_path / "config.json").write_text(text, encoding="latin-1")
        with pytest.raises(CheckpointError, match=r"config\.json"):
            read_json(tmp_path / "config.json")


class TestFinding:
    @pytest.mark.parametrize(
        ("names", "found"),
        [
            (["weights.safetensors", "model.safetensors"], "weights.safetensors"),
            (["open_clip_model.safetensors", "model.safetensors"], "open_clip_model.safetensors"),
            (["model.safetensors", "pytorch_model.bin"], "model.safetensors"),
            (["pytorch_model.bin", "model.safetensors.index.json"], "pytorch_model.bin"),
            (["ViT-B-32.pt", "README.md"], "ViT-B-32.pt"),
        ],
    )
    def test_in_a_folder(self, tmp_path, names, found):
        for name in names:
            (tmp_path / name).touch()
        assert find_weights(tmp_path) == tmp_path / found

    def test_a_choice_is_not_made(self, tmp_path):
        for name in ("a.pt", "b.pt"):
            (tmp_path / name).touch()
        with pytest.raises(CheckpointError, match=r"found: a\.pt, b\.pt"):
            find_weights(tmp_path)

    def test_nothing(self, tmp_path):
        with pytest.raises(CheckpointError, match="found: none"):
            find_weights(tmp_path)
        with pytest.raises(CheckpointError, match="no such file or folder"):
            find_weights(tmp_path / "absent")
