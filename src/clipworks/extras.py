"""Optional libraries: import them by name, or say how to install them."""

from __future__ import annotations

import importlib
from types import ModuleType

from clipworks.errors import MissingExtraError

_EXTRA_OF_MODULE = {
    "torch": "torch",
    "onnx": "torch",
    "onnxscript": "torch",
    "open_clip": "open_clip",
    "timm": "open_clip",
    "transformers": "open_clip",
    "pillow_heif": "heif",
}


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
