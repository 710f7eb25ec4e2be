"""A bundle as a model repository for NVIDIA's Triton Inference Server.

Six models a bundle: the two towers, a decoder of pictures and a tokenizer in front of them, and
two ensembles that put them together. Their names and tensors stand in
`clipworks.encoders.served_names`.

    <slug>-preprocess  image BYTES [n 1]       -> pixels FP32 [n 3 h w]
    <slug>-image       pixels                  -> embeddings FP32 [n dim]
    <slug>-tokenize    text BYTES [n 1]        -> tokens INT64 [n context]
    <slug>-text        tokens                  -> embeddings
    <slug>-embed-image, <slug>-embed-text: image -> embeddings, text -> embeddings
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import final

from clipworks.encoders.bundle import CARD_FILE, TOKENIZER_FILE, Bundle, is_bundle
from clipworks.encoders.served_names import IMAGE_TENSOR, TEXT_TENSOR, ServedNames
from clipworks.errors import SettingsError
from clipworks.export.triton_config import (
    DataType,
    EnsembleScheduling,
    EnsembleStep,
    InstanceGroup,
    Kind,
    ModelConfig,
    Tensor,
    write_config,
)
from clipworks.export.triton_towers import (
    RepositorySettings,
    Tower,
    configure_tower,
    image_tower,
    text_tower,
    write_tower_files,
)
from clipworks.files import folder_beside

_VERSION = "1"
_MODEL_PY = '''"""Written by `clipworks export triton`; Triton's Python needs clipworks."""

from clipworks.export.triton_models import {name} as TritonPythonModel

__all__ = ["TritonPythonModel"]
'''


def write_repository(
    bundle: Bundle, out: Path, settings: RepositorySettings, *, overwrite: bool = False
) -> list[Path]:
    """Write a bundle's models into a repository, which may have those of other bundles.

    Args:
        bundle: what is to be served.
        out: the repository, made if need be.
        settings: how Triton is to run it.
        overwrite: replace models of these names.

    Returns:
        The models' folders.

    Raises:
        SettingsError: models of these names are there, or `out` is something else.
        BundleError: the variant cannot run the bundle's graphs.
        MissingExtraError: TensorRT's engines are wanted, and tensorrt is not installed.
    """
    names = ServedNames.of(bundle.card.name)
    _check_target(out, names, overwrite=overwrite)
    # Inside a repository that exists: it may be a volume of its own, beside which nothing fits.
    with folder_beside(out / names.image if out.exists() else out) as made:
        _write_models(made, bundle, names, settings)
        out.mkdir(exist_ok=True)
        models = sorted(made.iterdir())
        for model in models:
            shutil.rmtree(out / model.name, ignore_errors=True)
            model.rename(out / model.name)
    return [out / model.name for model in models]


@final
class _Copier:
    """Copies files; what it has copied before it links, where the file system has links.

    Both towers' graphs point into one file of weights, which need not lie on disk twice.
    """

    def __init__(self) -> None:
        self._copies: dict[Path, Path] = {}

    def __call__(self, source: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(self._copies[source], target)
        except (KeyError, OSError):
            shutil.copyfile(source, target)
            self._copies[source] = target


def _check_target(out: Path, names: ServedNames, *, overwrite: bool) -> None:
    if is_bundle(out) or (out.exists() and not out.is_dir()):
        raise SettingsError(f"{out} exists and is no model repository: choose another folder")
    taken = [name for name in vars(names).values() if (out / name).exists()]
    if taken and not overwrite:
        raise SettingsError(f"{out} has {', '.join(taken)} already: --overwrite replaces them")


def _write_models(
    repository: Path, bundle: Bundle, names: ServedNames, settings: RepositorySettings
) -> None:
    copy = _Copier()
    image, text = image_tower(bundle), text_tower(bundle)
    for tower, name, class_name in (
        (image, names.image, "ImageTowerModel"),
        (text, names.text, "TextTowerModel"),
    ):
        folder = _write_model(repository, configure_tower(tower, name, settings))
        write_tower_files(tower, folder, settings, copy=copy)
        if settings.variant == "python":
            _write_model_py(folder, class_name)
    for tower, name, given, class_name, files in (
        (image, names.preprocess, IMAGE_TENSOR, "PreprocessModel", (CARD_FILE,)),
        (text, names.tokenize, TEXT_TENSOR, "TokenizeModel", (CARD_FILE, TOKENIZER_FILE)),
    ):
        folder = _write_model(repository, _configure_front(tower, name, given, settings))
        _write_model_py(folder, class_name)
        for file in files:
            copy(bundle.folder / file, folder / file)
    for tower, name, given, steps in (
        (image, names.embed_image, IMAGE_TENSOR, (names.preprocess, names.image)),
        (text, names.embed_text, TEXT_TENSOR, (names.tokenize, names.text)),
    ):
        folder = _write_model(repository, _configure_ensemble(tower, name, given, steps, settings))
        (folder / ".keep").touch()  # object stores and git know no empty folders


def _write_model(repository: Path, config: ModelConfig) -> Path:
    """Write a model's configuration; its version's folder, to be filled."""
    folder = repository / config.name / _VERSION
    folder.mkdir(parents=True)
    (folder.parent / "config.pbtxt").write_text(write_config(config), encoding="utf-8")
    return folder


def _write_model_py(folder: Path, class_name: str) -> None:
    (folder / "model.py").write_text(_MODEL_PY.format(name=class_name), encoding="utf-8")


def _configure_front(
    tower: Tower, name: str, given: str, settings: RepositorySettings
) -> ModelConfig:
    """What stands in front of a tower: bytes in, the tower's input out; always on the CPU."""
    return ModelConfig(
        name=name,
        max_batch_size=settings.max_batch,
        input=(Tensor(given, DataType.STRING, (1,)),),
        output=(tower.input,),
        backend="python",
        dynamic_batching=settings.batching,
        instance_group=(InstanceGroup(settings.instances, Kind.CPU),),
    )


def _configure_ensemble(
    tower: Tower, name: str, given: str, steps: tuple[str, str], settings: RepositorySettings
) -> ModelConfig:
    front, model = steps
    between, made = tower.input.name, tower.output.name
    return ModelConfig(
        name=name,
        max_batch_size=settings.max_batch,
        input=(Tensor(given, DataType.STRING, (1,)),),
        output=(tower.output,),
        platform="ensemble",
        ensemble_scheduling=EnsembleScheduling(
            (
                EnsembleStep(front, {given: given}, {between: between}),
                EnsembleStep(model, {between: between}, {made: made}),
            )
        ),
    )
