"""A bundle to one whose linear layers compute in 8-bit integers.

All layers are quantised at first. Where the embeddings then stand too far from the original's,
each layer's own damage is measured, and the worst go back to float, twice as many each time,
until the limits hold.

Axes: row (pictures or texts), image, text, dim (width of the joint space).
"""

from __future__ import annotations

import shutil
from collections.abc import Container
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, final, get_args

import numpy as np
from jaxtyping import Float

from clipworks.arrays import normalize_rows
from clipworks.data.partitions import split_batches
from clipworks.devices import count_cores
from clipworks.encoders.bundle import (
    NOTICE_FILE,
    Bundle,
    check_target,
    record_verification,
    seal_bundle,
)
from clipworks.encoders.embedder import Embedder
from clipworks.encoders.graph_signature import Feeds
from clipworks.encoders.loading import load
from clipworks.encoders.onnx_graph import OnnxGraph
from clipworks.encoders.text_trimming import trim_padding
from clipworks.errors import BundleError, SettingsError
from clipworks.export.graph_editor import GraphEditor, read_graph
from clipworks.export.graph_rewrites import speed_up
from clipworks.export.input_ranges import observe_ranges
from clipworks.export.layer_damage import measure_damage
from clipworks.export.limits import LIMITS
from clipworks.export.parity import row_cosines
from clipworks.export.probe_inputs import ProbeInputs, spread_evenly
from clipworks.export.quantization import linear_layers, quantize_dynamic, quantize_static
from clipworks.export.verification import VerificationReport, Watcher, verify_embedder
from clipworks.files import folder_beside

Method = Literal["dynamic", "static", "symmetric"]

_BATCH = 8
_MOST_PICTURES = 64  # that a layer's range and damage are taken from
_MOST_TEXTS = 64
_RANKING_EXAMPLES = 16  # of these, for each layer's own damage; the verdict takes all
_MARGIN = 0.5  # of the limits' distance from 1: pictures that nobody calibrated on do worse


@dataclass(frozen=True)
class Int8Report:
    """What became of a bundle.

    Attributes:
        bundle: what was written.
        verification: against the bundle that it was made of.
        float_layers: names of the layers that stay in float.
        num_layers: in both towers.
    """

    bundle: Bundle
    verification: VerificationReport
    float_layers: tuple[str, ...]
    num_layers: int


def quantize_bundle(
    source: Bundle,
    out: Path,
    inputs: ProbeInputs,
    *,
    method: Method = "dynamic",
    name: str | None = None,
    overwrite: bool = False,
    watch: Watcher | None = None,
) -> Int8Report:
    """Write a bundle whose linear layers are int8, whole or not at all, and verify it.

    Args:
        source: its graphs must compute in float32, however their weights are stored.
        out: the new bundle's folder.
        inputs: pictures and texts to calibrate on and to verify with.
        method: `dynamic`, for ONNX Runtime; `static`, for OpenVINO, and `symmetric`, for TensorRT,
            rely on `inputs` being like what is to be embedded.
        name: of the new bundle; by default the source's.
        overwrite: replace a bundle that stands there.
        watch: is told how far it is.

    Raises:
        SettingsError: no such method, or `out` is taken.
        BundleError: the graphs hold no layers to quantise, or the limits cannot be held; nothing
            is written.
    """
    if method not in get_args(Method):
        raise SettingsError(f"method {method!r}: expected one of {', '.join(get_args(Method))}")
    check_target(out, overwrite=overwrite)
    embedder = load(source, backend="onnx")
    pixels, tokens = _calibration_arrays(embedder, inputs)
    tell = watch or (lambda stage, done, total: None)
    towers = [
        _TowerQuantizer("image tower", source.image_graph, pixels, source, method, tell),
        _TowerQuantizer("text tower", source.text_graph, tokens, source, method, tell),
    ]
    with folder_beside(out) as folder:
        kept = [tower.write(folder / tower.path.name) for tower in towers]
        bundle = _seal(source, folder, name or source.card.name)
        report = verify_embedder(
            load(bundle, backend="onnx"), embedder, inputs, folders=(folder, source.folder),
            watch=watch,
        )  # fmt: skip
        if failures := report.failures():
            raise BundleError(f"int8 differs too much: {'; '.join(failures)}: nothing was written")
        bundle = record_verification(bundle, report.record())
        if out.exists():
            shutil.rmtree(out)
        folder.rename(out)
    return Int8Report(
        bundle=Bundle(out, bundle.card),
        verification=report,
        float_layers=tuple(sorted(set().union(*kept))),
        num_layers=sum(tower.num_layers for tower in towers),
    )


def _seal(source: Bundle, folder: Path, name: str) -> Bundle:
    """Make a bundle of a folder that has the two graphs."""
    for file in (source.tokenizer, source.folder / NOTICE_FILE):
        if file.exists():
            shutil.copyfile(file, folder / file.name)
    return seal_bundle(folder, replace(source.card, name=name, precision="int8", verified=()))


@final
class _TowerQuantizer:
    """One tower: its graph in float, and what the int8 one must come near to."""

    def __init__(
        self,
        title: str,
        path: Path,
        examples: np.ndarray,
        source: Bundle,
        method: Method,
        tell: Watcher,
    ) -> None:
        self.path = path
        self._title = title
        self._tell = tell
        self._method = method
        self._card = source.card
        self._batches = [examples[i : i + _BATCH] for i in range(0, len(examples), _BATCH)]
        self._reference = self._embed(path)
        self._layers = [layer.name for layer in linear_layers(self._read())]
        self._ranges: dict[str, tuple[float, float]] = {}
        if not self._layers:
            raise BundleError(f"{path}: found no products with float32 weights to quantise")

    @property
    def num_layers(self) -> int:
        """Products with a matrix of weights."""
        return len(self._layers)

    def write(self, target: Path) -> set[str]:
        """Write the graph; give the names of the layers that stay in float."""
        if self._method != "dynamic":
            self._tell(f"{self._title}: ranges", 0, 1)
            self._ranges = observe_ranges(self._read(), self._batches, target.parent)
        kept: set[str] = set()
        if self._holds(self._try(target, kept)):
            return kept
        damage = self._measure_damage(target.parent)
        worst = sorted(self._layers, key=lambda layer: -damage[layer])
        count = 1
        while count <= len(worst) // 2:
            kept = set(worst[:count])
            if self._holds(self._try(target, kept)):
                return kept
            count *= 2
        raise BundleError(
            f"{self._title}: even with {len(kept)} of {len(worst)} layers in float, int8 does not "
            f"reach a cosine of {LIMITS['int8'].mean_cosine}: keep this model in fp16 or bf16"
        )

    def _try(self, target: Path, kept: Container[str]) -> Float[np.ndarray, "row"]:
        """Write the graph with these layers in float; the cosines of the examples."""
        self._quantize(kept).save(target)
        return row_cosines(self._embed(target), self._reference)

    def _quantize(self, kept: Container[str] = ()) -> GraphEditor:
        """The graph in 8 bits, with these layers in float."""
        graph = self._read()
        if self._method == "dynamic":
            quantize_dynamic(graph, keep=kept)
        else:
            symmetric = self._method == "symmetric"
            quantize_static(graph, self._ranges, symmetric=symmetric, keep=kept)
        return graph

    def _measure_damage(self, folder: Path) -> dict[str, float]:
        """Each layer's own, to rank them by: a few examples tell."""
        examples = spread_evenly([*np.concatenate(self._batches)], _RANKING_EXAMPLES)
        batches = [np.stack(batch) for batch in split_batches(examples, _BATCH)]
        return measure_damage(
            self._read(),
            self._quantize(),
            batches,
            folder,
            load=self._load,
            tell=lambda done, total: self._tell(f"{self._title}: damage by layer", done, total),
        )

    def _holds(self, cosines: Float[np.ndarray, "row"]) -> bool:
        limits = LIMITS["int8"]
        pairs = ((cosines.min(), limits.lowest_cosine), (cosines.mean(), limits.mean_cosine))
        return all(1.0 - found <= _MARGIN * (1.0 - limit) for found, limit in pairs)

    def _read(self) -> GraphEditor:
        graph = read_graph(self.path)
        speed_up(graph)
        return graph

    def _load(self, path: Path, constants: Feeds | None = None) -> OnnxGraph:
        return OnnxGraph(
            path,
            providers=["CPUExecutionProvider"],
            num_threads=count_cores(),
            end_id=self._card.mask_end_id,
            pooled=self._card.pools_into_space,
            constants=constants,
        )

    def _embed(self, path: Path) -> Float[np.ndarray, "row dim"]:
        graph = self._load(path)
        return np.concatenate([normalize_rows(graph(batch)) for batch in self._batches])


def _calibration_arrays(
    embedder: Embedder, inputs: ProbeInputs
) -> tuple[Float[np.ndarray, "image 3 h w"], np.ndarray]:
    """Pixels and tokens of as many pictures and texts as calibration takes."""
    pictures = spread_evenly(inputs.pictures, _MOST_PICTURES)
    pixels = np.stack([embedder.read_pixels(picture) for picture in pictures])
    tokens = embedder.tokenizer(spread_evenly(inputs.texts, _MOST_TEXTS))
    if embedder.card.ignores_padding:
        tokens = trim_padding(tokens, embedder.card.text.end_id)
    return pixels, tokens
