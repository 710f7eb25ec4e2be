"""Weights on disk to a model, and back.

    file or folder --tensor_files--> tensors --dialect--> our names --facts--> config --> Clip

What neither tower computes with is left out by name; whatever else is too much is an error.

Nothing in a checkpoint is run, and nothing about it is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from clipworks.errors import CheckpointError, SettingsError
from clipworks.files import atomic_path
from clipworks.models.clip import Clip
from clipworks.models.config import ClipConfig, ResNetConfig
from clipworks.models.dialects.dialect import AbstractDialect, DialectName, TokenizerFacts
from clipworks.models.dialects.huggingface_dialect import HuggingFaceDialect
from clipworks.models.dialects.native_dialect import NativeDialect, metadata_of
from clipworks.models.dialects.open_clip_dialect import OpenClipDialect
from clipworks.models.dialects.openai_dialect import OpenAiDialect
from clipworks.models.facts import CheckpointHints, Facts, Tensors, configure
from clipworks.models.left_out import leave_out
from clipworks.models.positions import resize_positions
from clipworks.models.tensor_files import TensorFile, find_weights, read_json, read_tensor_file
from clipworks.models.two_towers import TwoTowers

# In the order of asking: OpenAI's tensors are OpenCLIP's and three more.
_DIALECTS: tuple[AbstractDialect, ...] = (
    NativeDialect(),
    OpenAiDialect(),
    OpenClipDialect(),
    HuggingFaceDialect(),
)


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A model, and what its files say of the world around it.

    Attributes:
        model: in evaluation mode, on the CPU.
        dialect: who wrote the weights.
        weights: the file that was read, or the index of its shards.
        preprocessing: how pictures are prepared, in the dialect's own words, or None.
        tokenizer: what is known of the tokenizer.
        licence: as the folder's README.md names it, or None.
        notes: what of the file is not in the model, a sentence each.
    """

    model: Clip
    dialect: DialectName
    weights: Path
    preprocessing: dict[str, Any] | None
    tokenizer: TokenizerFacts
    licence: str | None
    notes: tuple[str, ...] = ()

    @property
    def config(self) -> ClipConfig:
        """The model's shape."""
        return self.model.config


def load_checkpoint(
    path: Path | str,
    *,
    hints: CheckpointHints | None = None,
    config: Mapping[str, Any] | None = None,
    dtype: torch.dtype = torch.float32,
    image_size: int | None = None,
) -> Checkpoint:
    """Load a model.

    Args:
        path: a file (.safetensors, .bin, .pt, also OpenAI's archives) or a folder as the Hugging
            Face hub has them, for transformers or for open_clip.
        hints: what the caller knows better than the files.
        config: what the side file would say, where there is none: the content of a config.json
            (Hugging Face) or an open_clip_config.json.
        dtype: of the model's parameters, whatever the file stores.
        image_size: pixels, height and width of the pictures that the model is to take, where that
            is not the size it was made for; its positions are stretched as its library does it.

    Raises:
        CheckpointError: damaged, not of a known kind, or not saying what the model needs to know.
        SettingsError: pictures of that size have no patch, or a ResNet was made for another.
    """
    file = read_tensor_file(find_weights(Path(path)))
    with _naming(file.path):
        return _load(file, hints, config, dtype, image_size)


def _load(
    file: TensorFile,
    hints: CheckpointHints | None,
    config: Mapping[str, Any] | None,
    dtype: torch.dtype,
    image_size: int | None,
) -> Checkpoint:
    dialect = _recognise(file)
    if config is None:
        config = _read_config(file.folder / dialect.config_file)
    state = dialect.translate(file.tensors)
    known = dialect.state_facts(file, config) | (hints.facts() if hints else Facts())
    state, notes = leave_out(state, known)
    model_config = configure(state, known, source=file.path.name, config_file=dialect.config_file)
    if image_size is not None:
        model_config = _take_pictures_of(image_size, model_config, state)
    tokenizer = dialect.tokenizer_facts(file, config, model_config.text)
    return Checkpoint(
        model=_build(_with_pad_id(model_config, tokenizer.pad_id), state, dtype),
        dialect=dialect.name,
        weights=file.path,
        preprocessing=dialect.read_preprocessing(file),
        tokenizer=tokenizer,
        licence=_read_licence(file.folder / "README.md"),
        notes=notes,
    )


def save_checkpoint(
    model: TwoTowers, path: Path | str, *, dtype: torch.dtype | None = None
) -> None:
    """Write a model as safetensors; the file is whole or absent, and a `Clip`'s knows what it is.

    Args:
        model: on any device.
        path: of the file, by custom `weights.safetensors`.
        dtype: to store; half precision halves the file. None keeps the model's. What are no
            floating-point numbers stays as it is.
    """
    state = {
        name: tensor.detach().to("cpu", dtype if tensor.is_floating_point() else None).contiguous()
        for name, tensor in model.state_dict().items()
    }
    metadata = metadata_of(model.config) if isinstance(model, Clip) else None
    with atomic_path(Path(path)) as temporary:
        save_file(state, temporary, metadata=metadata)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Say of which file an error speaks, where it does not say so itself."""
    try:
        yield
    except CheckpointError as error:
        if path.name in str(error):
            raise
        raise CheckpointError(f"{path}: {error}") from error


def _recognise(file: TensorFile) -> AbstractDialect:
    for dialect in _DIALECTS:
        if dialect.recognises(file):
            return dialect
    names = ", ".join(sorted(file.tensors)[:3]) or "no tensors"
    raise CheckpointError(
        f"{file.path}: not named as OpenAI, OpenCLIP, Hugging Face or clipworks do: {names}"
    )


def _read_config(path: Path) -> dict[str, Any] | None:
    return read_json(path) if path.is_file() else None


def _with_pad_id(config: ClipConfig, pad_id: int | None) -> ClipConfig:
    """The tokenizer knows best what it pads with."""
    return config if pad_id is None else replace(config, text=replace(config.text, pad_id=pad_id))


def _take_pictures_of(image_size: int, config: ClipConfig, state: dict[str, Tensor]) -> ClipConfig:
    """Fit the positions in `state` to pictures of another size."""
    if isinstance(config.vision, ResNetConfig):
        if image_size == config.vision.image_size:
            return config
        raise SettingsError(
            f"image_size={image_size}: a ResNet image tower takes pictures of the size that it was "
            f"made for, {config.vision.image_size} pixels, only"
        )
    positions, vision = resize_positions(state["visual.positions"], config.vision, image_size)
    state["visual.positions"] = positions
    return replace(config, vision=vision)


def _build(config: ClipConfig, state: Tensors, dtype: torch.dtype) -> Clip:
    with torch.device("meta"):  # no memory and no random numbers: every parameter is replaced
        model = Clip(config)
    expected = model.state_dict()
    _compare_shapes(expected, state)
    filled = {
        name: state[name].reshape(expected[name].shape).to(dtype).contiguous() for name in expected
    }
    model.load_state_dict(filled, assign=True)
    return model.eval()


def _compare_shapes(expected: Tensors, state: Tensors) -> None:
    if missing := sorted(expected.keys() - state.keys()):
        what = "tensors are missing" if len(missing) > 1 else "tensor is missing"
        raise CheckpointError(f"{len(missing)} {what}: {_some(missing)}")
    if unknown := sorted(state.keys() - expected.keys()):
        what = "tensors belong" if len(unknown) > 1 else "tensor belongs"
        raise CheckpointError(f"{len(unknown)} {what} to nothing in the model: {_some(unknown)}")
    for name, parameter in expected.items():
        tensor = state[name]
        if not _fits(tensor, parameter):
            raise CheckpointError(
                f"{name} has the shape {list(tensor.shape)} and type {tensor.dtype}: expected "
                f"floating-point numbers of the shape {list(parameter.shape)}"
            )


def _some(names: Sequence[str]) -> str:
    """The first few names, which are clipworks's, whatever the file calls them."""
    return f"{', '.join(names[:4])}{', ...' if len(names) > 4 else ''} (in clipworks's names)"


def _fits(tensor: Tensor, parameter: Tensor) -> bool:
    """The same shape; only a scalar may come as a vector of one number."""
    same = tensor.shape == parameter.shape or (parameter.ndim == 0 and tensor.numel() == 1)
    return same and tensor.is_floating_point()


def _read_licence(readme: Path) -> str | None:
    """The `license` of a model card's front matter."""
    if not readme.is_file():
        return None
    text = readme.read_text(encoding="utf-8", errors="replace")
    front = re.match(r"---\s*\n(.*?)\n---", text, flags=re.DOTALL)
    found = re.search(r"^license:\s*(\S+)", front[1], flags=re.MULTILINE) if front else None
    return found[1].strip("\"'") if found else None
