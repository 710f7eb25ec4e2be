"""Optional libraries: import them by name, or say how to install them."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from types import ModuleType

from clipworks.errors import MissingExtraError

_EXTRA_OF_MODULE = {
    "cuda": "tensorrt",
    "google": "kserve",
    "grpc": "kserve",
    "matplotlib": "plots",
    "onnx": "torch",
    "onnxscript": "torch",
    "open_clip": "open_clip",
    "openvino": "openvino",
    "pillow_heif": "heif",
    "pymilvus": "milvus",
    "pyspark": "spark",
    "ray": "ray",
    "sentencepiece": "torch",
    "tensorrt": "tensorrt",
    "timm": "open_clip",
    "torch": "torch",
    "transformers": "open_clip",
    "umap": "map",
    "urllib3": "kserve",
}


@dataclass(frozen=True)
class Extra:
    """One of the package's extras: `pip install 'clipworks[name]'`.

    Attributes:
        name: in the brackets.
        missing: its modules that cannot be imported; none where it is installed.
    """

    name: str
    missing: tuple[str, ...]


def list_extras() -> list[Extra]:
    """The extras, by name, and what of each is not installed; nothing is imported."""
    missing: dict[str, list[str]] = {extra: [] for extra in sorted(set(_EXTRA_OF_MODULE.values()))}
    for module, extra in _EXTRA_OF_MODULE.items():
        if importlib.util.find_spec(module) is None:
            missing[extra].append(module)
    return [Extra(name, tuple(modules)) for name, modules in missing.items()]


def require(module: str, purpose: str) -> ModuleType:
    """Import an optional library.

    Args:
        module: the name to import, for example `torch`.
        purpose: what needs it, for the message: "converting a checkpoint".

    Raises:
        MissingExtraError: with the pip line that installs the extra.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise  # the library is there, but something that it needs is not: not ours to reword
        extra = _EXTRA_OF_MODULE[module.split(".")[0]]
        raise MissingExtraError(
            f"{purpose} needs {module}, which is not installed: pip install 'clipworks[{extra}]'"
        ) from error
