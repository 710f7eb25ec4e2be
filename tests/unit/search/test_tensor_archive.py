import os
import pickle
import zipfile

import numpy as np
import pytest
import torch

from clipworks.errors import CheckpointError
from clipworks.search.tensor_archive import read_tensor_archive


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.float16, torch.int64, torch.uint8, torch.bool]
)
def test_what_torch_saved_is_read(tmp_path, dtype):
    values = (torch.randn(3, 4, generator=torch.Generator().manual_seed(0)) * 3).to(dtype)
    state = {
        "plain": values,
        "turned": values.T,
        "part": values[1:, ::2],
        "scalar": values[0, 0].clone(),
        "again": values,
        "parameter": torch.nn.Parameter(values.float()),
        "number": 3,
    }
    torch.save(state, tmp_path / "a.pth")
    found = read_tensor_archive(tmp_path / "a.pth")
    assert set(found) == set(state) - {"number"}
    for name, array in found.items():
        np.testing.assert_array_equal(array, state[name].detach().numpy())


def test_a_state_dict_of_a_module_is_read(tmp_path):
    module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))
    torch.save(module.state_dict(), tmp_path / "a.pth")
    assert set(read_tensor_archive(tmp_path / "a.pth")) == {
        "0.weight", "0.bias", "2.weight", "2.bias"
    }  # fmt: skip


class Evil:
    def __reduce__(self):
        return (os.system, ("echo this must not run",))


def archive(path, content):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps(content, protocol=2))


def test_code_in_a_file_is_not_run(tmp_path, capfd):
    archive(tmp_path / "a.pth", {"x": Evil()})
    with pytest.raises(CheckpointError, match=f"{os.name}.system"):
        read_tensor_archive(tmp_path / "a.pth")
    torch.save(torch.nn.Linear(2, 1), tmp_path / "b.pth")  # a whole module, not its weights
    with pytest.raises(CheckpointError, match="which is not run"):
        read_tensor_archive(tmp_path / "b.pth")
    assert capfd.readouterr().out == ""


def test_damage_is_one_line(tmp_path):
    good = tmp_path / "good.pth"
    torch.save({"a": torch.zeros(100)}, good)
    for name, content in {"cut": good.read_bytes()[:-30], "empty": b"", "text": b"x" * 99}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CheckpointError, match=name) as caught:
            read_tensor_archive(tmp_path / name)
        assert "\n" not in str(caught.value)
    archive(tmp_path / "list.pth", [1, 2])
    with pytest.raises(CheckpointError, match="expected a state dict, found list"):
        read_tensor_archive(tmp_path / "list.pth")
    with pytest.raises(CheckpointError, match="no zip"):
        read_tensor_archive(tmp_path / "none.pth")


def test_the_old_format_says_how_to_make_it_new(tmp_path):
    torch.save({"a": torch.zeros(3)}, tmp_path / "a.pth", _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match=r"since 1\.6: load and save it again"):
        read_tensor_archive(tmp_path / "a.pth")


def test_a_tensor_beyond_its_storage_is_refused(tmp_path):
    class Storage:
        pass

    class Pickler(pickle.Pickler):
        def persistent_id(self, thing):
            if isinstance(thing, Storage):
                return ("storage", torch.FloatStorage, "0", "cpu", 4)
            return None

    class Tensor:
        def __reduce__(self):
            return (torch._utils._rebuild_tensor_v2, (Storage(), 0, (99,), (1,), False, {}))

    with zipfile.ZipFile(tmp_path / "a.pth", "w") as file:
        with file.open("archive/data.pkl", "w") as stream:
            Pickler(stream, protocol=2).dump({"x": Tensor()})
        file.writestr("archive/data/0", np.zeros(4, np.float32).tobytes())
    with pytest.raises(CheckpointError, match="does not fit its storage"):
        read_tensor_archive(tmp_path / "a.pth")
