import pickle
import warnings
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from clipworks.errors import CheckpointError
from clipworks.models.checkpoints import load_checkpoint
from clipworks.models.tensor_files import read_tensor_file
from clipworks.models.torchscript_files import is_torchscript, read_torchscript
from tests.unit.models.golden_cases import GoldenCase, relative_error

CASE = GoldenCase("07b_openai_layout_fp16_w64heads")


class Tree(nn.Module):
    """A module with a given state dict."""

    def __init__(self, state):
        super().__init__()
        children = {}
        for name, tensor in state.items():
            head, _, rest = name.partition(".")
            if rest:
                children.setdefault(head, {})[rest] = tensor
            elif tensor.is_floating_point():
                self.register_parameter(head, nn.Parameter(tensor))
            else:
                self.register_buffer(head, tensor)
        for head, part in children.items():
            self.add_module(head, Tree(part))

    def forward(self, x):
        return x


def write_archive(state, path):
    with warnings.catch_warnings():  # torch would rather that nobody wrote these any more
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(Tree(state).eval()), path)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    path = tmp_path_factory.mktemp("openai") / "ViT-tiny.pt"
    write_archive(load_file(CASE.weights), path)
    return path


def test_every_tensor_comes_back(archive):
    assert is_torchscript(archive)
    expected, got = load_file(CASE.weights), read_torchscript(archive)
    assert got.keys() == expected.keys()
    for name, tensor in expected.items():
        assert got[name].dtype == tensor.dtype
        assert torch.equal(got[name], tensor), name


def test_views_of_one_storage(tmp_path):
    whole = torch.arange(24.0).reshape(4, 6)
    state = {"turned": whole.T, "part": whole[1:3, 2:], "empty": torch.zeros(0, 3)}
    write_archive(state, tmp_path / "w.pt")
    got = read_torchscript(tmp_path / "w.pt")
    assert all(torch.equal(got[name], tensor) for name, tensor in state.items())


def test_an_archive_of_openai_is_a_model(archive):
    checkpoint = load_checkpoint(archive)
    assert checkpoint.dialect == "openai"
    assert checkpoint.config.vision.heads == 2
    with torch.no_grad():
        got = checkpoint.model.encode_image(CASE.inputs()["pixel_values"])
    assert relative_error(got, CASE.outputs()["image_features"]) < 1e-5


def test_other_zips_are_no_archives(tmp_path):
    torch.save({"a": torch.ones(1)}, tmp_path / "w.pt")
    assert not is_torchscript(tmp_path / "w.pt")
    (tmp_path / "x.pt").write_bytes(b"PK\x03\x04 and then nothing")
    assert not is_torchscript(tmp_path / "x.pt")


def rewritten(archive, path, *, pickled=None, drop=None, compression=zipfile.ZIP_STORED):
    """The archive with another data.pkl, without some files, or compressed."""
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(path, "w", compression) as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("/data.pkl") and pickled is not None:
                content = pickled
            if drop is None or not name.endswith(drop):
                new.writestr(name, content)
    return path


class Call:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "function", [Path.touch, eval, torch.load, torch.zeros, getattr, __import__]
)
def test_code_in_its_pickle_is_not_run(archive, tmp_path, function):
    mark = tmp_path / "mark"
    argument = f"open({str(mark)!r}, 'w')" if function is eval else mark
    pickled = pickle.dumps(Call(function, argument), protocol=2)
    hostile = rewritten(archive, tmp_path / "w.pt", pickled=pickled)
    with pytest.raises(CheckpointError, match="not needed for weights"):
        read_tensor_file(hostile)
    assert not mark.exists()


@pytest.mark.parametrize(
    "pickled", [b"", b"\x80\x02.", pickle.dumps([1]), pickle.dumps({"a": 1}), b"\x80\x02]q\x00"]
)
def test_no_tree_of_modules(archive, tmp_path, pickled):
    with pytest.raises(CheckpointError):
        read_torchscript(rewritten(archive, tmp_path / "w.pt", pickled=pickled))


@pytest.mark.parametrize("change", [{"drop": "data/3"}, {"compression": zipfile.ZIP_DEFLATED}])
def test_storages_missing_or_compressed(archive, tmp_path, change):
    with pytest.raises(CheckpointError, match="not readable as a TorchScript archive"):
        read_torchscript(rewritten(archive, tmp_path / "w.pt", **change))


def test_a_view_beyond_its_storage(archive, tmp_path):
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(tmp_path / "w.pt", "w") as new:
        longest = max(old.infolist(), key=lambda entry: entry.file_size).filename
        assert "/data/" in longest
        for name in old.namelist():
            new.writestr(name, old.read(name)[: 64 if name == longest else None])
    with pytest.raises(CheckpointError, match="not readable as a TorchScript archive"):
        read_torchscript(tmp_path / "w.pt")
