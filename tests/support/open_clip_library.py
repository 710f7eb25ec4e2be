"""open_clip for tests, where torch and torchvision may be of different builds."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_kept = []  # a library's schemas live as long as it does


def import_open_clip() -> ModuleType:
    """Import it, or skip the test that asks.

    A torchvision whose compiled part does not fit this torch registers none of its operators, and
    then stumbles over their names. Nothing of open_clip uses them: their names are enough.
    """
    for module in ("torch", "torchvision", "timm", "open_clip"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed: pip install 'clipworks[open_clip]'")
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        import torch

        library = torch.library.Library("torchvision", "FRAGMENT")
        for schema in _SCHEMAS:
            library.define(schema)
        _kept.append(library)
    return importlib.import_module("open_clip")
