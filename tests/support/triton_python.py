"""A stand-in for `triton_python_backend_utils`, which exists only inside a Triton server.

It has what our models use, with the server's own checks: an answer holds C-contiguous arrays, and
one request's error is not another's.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np


class Tensor:
    def __init__(self, name: str, array: np.ndarray) -> None:
        assert isinstance(array, np.ndarray), type(array)
        self._name, self._array = name, np.ascontiguousarray(array)

    def name(self) -> str:
        return self._name

    def as_numpy(self) -> np.ndarray:
        return self._array


class TritonError:
    INVALID_ARG = "INVALID_ARG"

    def __init__(self, message: str, code: str) -> None:
        self._message, self._code = message, code

    def message(self) -> str:
        return self._message

    def code(self) -> str:
        return self._code


class InferenceResponse:
    def __init__(self, output_tensors: list[Tensor] | None = None, error=None) -> None:
        self._tensors, self._error = output_tensors or [], error

    def output_tensors(self) -> list[Tensor]:
        return self._tensors

    def error(self) -> TritonError | None:
        return self._error


def get_input_tensor_by_name(request: list[Tensor], name: str) -> Tensor | None:
    return next((tensor for tensor in request if tensor.name() == name), None)


def install(monkeypatch) -> None:
    """Let `import triton_python_backend_utils` find this file."""
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", sys.modules[__name__])


def start_model(folder: Path, *, instances: int = 1, parameters: dict[str, str] | None = None):
    """Run a model's `model.py` as the server's stub does: import it, construct it, initialize."""
    module = _import(folder / "1" / "model.py")
    values = {key: {"string_value": value} for key, value in (parameters or {}).items()}
    config = {"instance_group": [{"count": instances}], "parameters": values}
    model = module.TritonPythonModel()
    model.initialize(
        {
            "model_config": json.dumps(config),
            "model_repository": str(folder),
            "model_version": "1",
            "model_name": folder.name,
        }
    )
    return model


def ask(model, name: str, *arrays: np.ndarray) -> list[InferenceResponse]:
    """Requests that the server has put together, one array each."""
    return model.execute([[Tensor(name, array)] for array in arrays])


def as_bytes_tensor(*items: bytes) -> np.ndarray:
    rows = np.empty((len(items), 1), object)
    rows[:, 0] = items
    return rows


def _import(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"model_{path.parts[-3]}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
