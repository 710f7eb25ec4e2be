"""A Triton model's `config.pbtxt`: its fields as frozen dataclasses, and their text.

The dataclasses have the names and the fields of Triton's own schema, `model_config.proto`, as far
as we use them; the text is protobuf's text format.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import StrEnum
from typing import Any


class DataType(StrEnum):
    """What a tensor is made of."""

    FP32 = "TYPE_FP32"
    INT64 = "TYPE_INT64"
    STRING = "TYPE_STRING"


class Kind(StrEnum):
    """Where an instance of a model runs."""

    CPU = "KIND_CPU"
    GPU = "KIND_GPU"


@dataclass(frozen=True)
class Tensor:
    """An input or an output; its dims are without the batch where the server batches."""

    name: str
    data_type: DataType
    dims: tuple[int, ...]


@dataclass(frozen=True)
class InstanceGroup:
    """How many copies of the model run, and where."""

    count: int
    kind: Kind


@dataclass(frozen=True)
class QueuePolicy:
    """How many requests may wait; the rest are refused at once."""

    max_queue_size: int


@dataclass(frozen=True)
class DynamicBatching:
    """How requests that arrive together become one batch."""

    preferred_batch_size: tuple[int, ...]
    max_queue_delay_microseconds: int
    default_queue_policy: QueuePolicy


@dataclass(frozen=True)
class WarmupInput:
    """A tensor of zeros."""

    data_type: DataType
    dims: tuple[int, ...]
    zero_data: bool = True


@dataclass(frozen=True)
class ModelWarmup:
    """A request that the model answers before the server says that it is ready."""

    name: str
    batch_size: int
    inputs: Mapping[str, WarmupInput]


@dataclass(frozen=True)
class Accelerator:
    """What ONNX Runtime hands the graph to."""

    name: str
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ExecutionAccelerators:
    """By the kind of instance."""

    gpu_execution_accelerator: tuple[Accelerator, ...] = ()
    cpu_execution_accelerator: tuple[Accelerator, ...] = ()


@dataclass(frozen=True)
class Optimization:
    """How the backend is to run the model."""

    execution_accelerators: ExecutionAccelerators


@dataclass(frozen=True)
class Parameter:
    """A setting of a backend's own."""

    string_value: str


@dataclass(frozen=True)
class EnsembleStep:
    """A model of an ensemble: its tensors' names to the ensemble's; version -1 is the newest."""

    model_name: str
    input_map: Mapping[str, str]
    output_map: Mapping[str, str]
    model_version: int = -1


@dataclass(frozen=True)
class EnsembleScheduling:
    """The steps of an ensemble."""

    step: tuple[EnsembleStep, ...]


@dataclass(frozen=True)
class ResponseCache:
    """Whether answers are kept for equal requests."""

    enable: bool = False


@dataclass(frozen=True)
class ModelConfig:
    """All of one `config.pbtxt`.

    Attributes:
        name: of the model and its folder.
        max_batch_size: 0 where the server must not batch; the dims then have the batch, as -1.
        input: tensors that requests have.
        output: tensors that answers have.
        backend: which of the server's backends runs it.
        platform: `ensemble`, and no backend, for an ensemble.
        default_model_filename: of the file in the version's folder.
        dynamic_batching: None where the server must not batch.
        ensemble_scheduling: of an ensemble.
        instance_group: how many copies, where.
        optimization: for ONNX Runtime.
        parameters: of the backend.
        model_warmup: requests before the server is ready.
        response_cache: off: an embedding is asked for once.
    """

    name: str
    max_batch_size: int
    input: tuple[Tensor, ...]
    output: tuple[Tensor, ...]
    backend: str | None = None
    platform: str | None = None
    default_model_filename: str | None = None
    dynamic_batching: DynamicBatching | None = None
    ensemble_scheduling: EnsembleScheduling | None = None
    instance_group: tuple[InstanceGroup, ...] = ()
    optimization: Optimization | None = None
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    model_warmup: tuple[ModelWarmup, ...] = ()
    response_cache: ResponseCache = ResponseCache()


def write_config(config: ModelConfig) -> str:
    """The text of a `config.pbtxt`."""
    return "\n".join(_message(config)) + "\n"


def _message(message: Any) -> Iterator[str]:  # noqa: ANN401 - any dataclass of this file
    for one in fields(message):
        yield from _field(one.name, getattr(message, one.name))


def _field(name: str, value: Any) -> Iterator[str]:  # noqa: ANN401
    if value is None:
        return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _block(name, [*_field("key", key), *_field("value", inner)])
    elif isinstance(value, tuple) and value and not is_dataclass(value[0]):
        yield f"{name}: [{', '.join(_scalar(inner) for inner in value)}]"
    elif isinstance(value, tuple):
        for inner in value:
            yield from _block(name, list(_message(inner)))
    elif is_dataclass(value):
        yield from _block(name, list(_message(value)))
    else:
        yield f"{name}: {_scalar(value)}"


def _block(name: str, lines: list[str]) -> Iterator[str]:
    yield f"{name} {{"
    yield from (f"  {line}" for line in lines)
    yield "}"


def _scalar(value: str | bool | int) -> str:
    if isinstance(value, StrEnum):
        return value.value
    return json.dumps(value)  # strings in quotes, true and false, numbers: as protobuf has them
