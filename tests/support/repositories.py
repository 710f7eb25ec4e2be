"""The tiny repositories of tests/golden/repositories, with their weights: random numbers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from safetensors.numpy import save_file

from tests.support.random_tensors import random_tensors

GOLDEN = Path(__file__).parents[1] / "golden" / "repositories"
NAMES = ("hf_siglip", "hf_siglip2", "hf_metaclip2", "open_clip_siglip")

_NOT_OF_A_HUB = {"tensors.json", "inputs.json", "outputs.npz"}


def make_repository(name: str, folder: Path) -> Path:
    """Copy a repository and write its weights; returns the folder."""
    folder.mkdir(parents=True)
    for file in (GOLDEN / name).iterdir():
        if file.name not in _NOT_OF_A_HUB:
            shutil.copy(file, folder)
    stated = json.loads((GOLDEN / name / "tensors.json").read_text())
    save_file(random_tensors(stated["shapes"], stated["seed"]), folder / stated["file"])
    return folder
