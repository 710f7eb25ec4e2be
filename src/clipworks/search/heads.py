"""Heads: small networks over embeddings that score pictures, from files that the user brings.

The published ones are known by their layout:

    one layer                      LAION's aesthetic-predictor (sa_0_4_*_linear.pth)
    layers 0 2 4 6 7               improved-aesthetic-predictor (sac+logos+ava1-l14-linearMSE.pth):
                                   linear throughout, with dropouts between
    layers 0 3 6 9 12 15 16        the H-14 safety model (h14_nsfw.pth): ReLU, but not before 16
    an array [prompt dim]          clip-retrieval's violence detector: which prompt is nearest

clip-retrieval's safety model for L/14 is a Keras folder, which needs TensorFlow, and is refused;
its layers, saved as safetensors with a card, can be read.

A card beside the file (`FILE.json`, or the file's stem and `.json`) may say more: `embedding_dim`,
`model`, `fingerprint`, and for layers in another order `activations`, one of "none" and "relu"
after each layer but the last.

Axes: row, dim (width of the joint space), prompt.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import Float32
from safetensors import SafetensorError
from safetensors.numpy import load_file

from clipworks.arrays import Embeddings
from clipworks.errors import CheckpointError, ModelMismatchError
from clipworks.search.tensor_archive import read_tensor_archive

Scores = Float32[np.ndarray, "row"]

_ACTIVATIONS = {
    (0,): (),
    (0, 2, 4, 6, 7): ("none",) * 4,
    (0, 3, 6, 9, 12, 15, 16): ("relu",) * 5 + ("none",),
}
_CARD_FIELDS = {"name", "embedding_dim", "model", "fingerprint", "activations"}
_LAYER = re.compile(r"(?:^|\.)(\d+)\.(weight|bias)$")


@dataclass(frozen=True)
class HeadCard:
    """What a head's card says; all of it may be left out.

    Attributes:
        name: for people.
        embedding_dim: width of the embeddings that it takes.
        model: the name of the model whose embeddings it takes.
        fingerprint: of that model.
        activations: after each layer but the last: "none" or "relu".
    """

    name: str = ""
    embedding_dim: int = 0
    model: str = ""
    fingerprint: str = ""
    activations: tuple[str, ...] | None = None


@dataclass(frozen=True)
class _Layer:
    weight: Float32[np.ndarray, "out in"]
    bias: Float32[np.ndarray, "out"]
    is_relu: bool


@final
class Head:
    """A head, ready to score.

    Attributes:
        card: what is known about it.
        embedding_dim: width of the embeddings that it takes.
    """

    def __init__(self, card: HeadCard, layers: list[_Layer], prompts: Embeddings | None) -> None:
        self.card = card
        self._layers = layers
        self._prompts = prompts
        first = layers[0].weight if prompts is None else prompts
        self.embedding_dim: int = first.shape[1]

    def score(self, rows: Embeddings) -> Scores:
        """Score unit rows; a head of prompts gives the number of the nearest one, from 0."""
        if self._prompts is not None:
            return (rows @ self._prompts.T).argmax(axis=1).astype(np.float32)
        values = rows
        for layer in self._layers:
            values = values @ layer.weight.T + layer.bias
            if layer.is_relu:
                values = np.maximum(values, 0)
        return values[:, 0]

    def check_takes(self, embedding_dim: int, *, model: str, fingerprint: str) -> None:
        """Refuse the embeddings of another model.

        Args:
            embedding_dim: of the embeddings.
            model: that made them; empty where it is not known.
            fingerprint: of that model; empty where it is not known.

        Raises:
            ModelMismatchError: the head is for other embeddings.
        """
        if embedding_dim != self.embedding_dim:
            raise ModelMismatchError(
                f"the head {self.card.name} takes embeddings of {self.embedding_dim} numbers, and "
                f"those of the folder have {embedding_dim}: it is for another model"
            )
        for wanted, given in ((self.card.fingerprint, fingerprint), (self.card.model, model)):
            if wanted and given and wanted != given:
                raise ModelMismatchError(
                    f"the head {self.card.name} is for embeddings of {wanted}, and the folder "
                    f"was made with {given}: give a head for that model"
                )


def load_head(path: Path) -> Head:
    """Read a head from `.pth`, `.pt`, `.safetensors` or `.npy`, with its card if it has one.

    Raises:
        CheckpointError: damaged, or not of a known layout.
    """
    card = _read_card(path)
    if path.is_dir():
        raise CheckpointError(
            f"{path} is a folder: Keras models, such as clip-retrieval's safety model for L/14, "
            "need TensorFlow, which clipworks does not use: save their layers as safetensors"
        )
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    if path.suffix == ".npy":
        prompts = _read_array(path)
        head = Head(card, [], prompts)
    else:
        head = Head(card, _read_layers(_read_tensors(path), path, card), None)
    if card.embedding_dim and card.embedding_dim != head.embedding_dim:
        raise CheckpointError(
            f"{path} takes {head.embedding_dim} numbers, and its card says {card.embedding_dim}"
        )
    return head


def read_aesthetic_embedding(path: Path) -> Float32[np.ndarray, "dim"]:
    """Read one of LAION's `ratingN.npy`: a direction that is added to queries.

    Raises:
        CheckpointError: damaged, or no single row of numbers.
    """
    rows = _read_array(path)
    if len(rows) != 1:
        raise CheckpointError(f"{path}: expected one embedding, got {list(rows.shape)}")
    return rows[0]


def _read_card(path: Path) -> HeadCard:
    places = (path.with_name(f"{path.name}.json"), path.with_suffix(".json"))
    place = next((place for place in places if place.is_file() and place != path), None)
    if place is None:
        return HeadCard(name=path.name)
    try:
        fields = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{place} is damaged: {error}") from error
    if not isinstance(fields, dict) or not set(fields) <= _CARD_FIELDS:
        raise CheckpointError(f"{place}: expected a JSON object with {', '.join(_CARD_FIELDS)}")
    if (activations := fields.get("activations")) is not None:
        if not isinstance(activations, list) or not set(activations) <= {"none", "relu"}:
            raise CheckpointError(f'{place}: activations: expected a list of "none" and "relu"')
        fields["activations"] = tuple(activations)
    return HeadCard(**{"name": path.name, **fields})


def _read_array(path: Path) -> Embeddings:
    try:
        array: Any = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise CheckpointError(f"{path} cannot be read as an array: {error}") from error
    if array.ndim == 1:
        array = array[None]
    if array.ndim != 2 or array.dtype.kind != "f" or not array.size:
        raise CheckpointError(
            f"{path}: expected numbers [prompt, dim], got {array.dtype} {list(array.shape)}"
        )
    return array.astype(np.float32)


def _read_tensors(path: Path) -> Mapping[str, np.ndarray]:
    if path.suffix != ".safetensors":
        return read_tensor_archive(path)
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path}: not readable as safetensors: {error}") from error


def _read_layers(tensors: Mapping[str, np.ndarray], path: Path, card: HeadCard) -> list[_Layer]:
    """Put the layers in their order.

    Raises:
        CheckpointError: no chain that ends in one number, or of unknown activations.
    """
    parts: dict[int, dict[str, np.ndarray]] = {}
    for name, values in tensors.items():
        found = _LAYER.search(name)
        number, part = (int(found[1]), found[2]) if found else (0, name)
        parts.setdefault(number, {})[part] = values.astype(np.float32)
    numbers = tuple(sorted(parts))
    chain = [parts[number] for number in numbers]
    if not chain or any(set(part) != {"weight", "bias"} for part in chain):
        raise CheckpointError(f"{path}: expected layers of weight and bias, got {sorted(tensors)}")
    activations = _ACTIVATIONS.get(numbers) if card.activations is None else card.activations
    if activations is None or len(activations) != len(chain) - 1:
        raise CheckpointError(
            f"{path}: what stands between the layers {list(numbers)} is not known: say it in "
            f'{path.name}.json: {{"activations": ["relu", ...]}}, one for each layer but the last'
        )
    _check_chain(chain, path)
    return [
        _Layer(part["weight"], part["bias"], is_relu=activation == "relu")
        for part, activation in zip(chain, (*activations, "none"), strict=True)
    ]


def _check_chain(chain: list[dict[str, np.ndarray]], path: Path) -> None:
    shapes = [part["weight"].shape for part in chain]
    fits = all(len(shape) == 2 for shape in shapes) and all(
        part["bias"].shape == part["weight"].shape[:1] for part in chain
    )
    if fits:
        fits = all(before[0] == after[1] for before, after in pairwise(shapes))
    if not fits or shapes[-1][0] != 1:
        raise CheckpointError(
            f"{path}: expected layers that lead to one number, got {[list(s) for s in shapes]}"
        )
