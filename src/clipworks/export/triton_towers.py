"""How each of Triton's backends runs a tower: the files beside its configuration, and its fields.

Axes: h and w (pixels), context (token positions), dim (width of the joint space).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from clipworks.encoders.bundle import Bundle
from clipworks.encoders.served_names import EMBEDDINGS_TENSOR, PIXELS_TENSOR, TOKENS_TENSOR
from clipworks.encoders.tensorrt_engine import BatchProfile
from clipworks.errors import BundleError, SettingsError
from clipworks.export.to_tensorrt import Precision, write_plan
from clipworks.export.triton_config import (
    Accelerator,
    DataType,
    DynamicBatching,
    ExecutionAccelerators,
    InstanceGroup,
    Kind,
    ModelConfig,
    ModelWarmup,
    Optimization,
    Parameter,
    QueuePolicy,
    Tensor,
    WarmupInput,
)
from clipworks.export.triton_models import BUNDLE_FOLDER

Variant = Literal["onnx", "openvino", "tensorrt", "python"]
Device = Literal["cpu", "gpu"]

_QUEUE_DELAY_US = 1000  # what a lone request waits for company: little beside one forward pass
_WAITING_BATCHES = 16  # full batches that may wait before requests are refused
_ONNX_TYPES = {DataType.FP32: "tensor(float)", DataType.INT64: "tensor(int64)"}
_MODEL_FILE = "model.onnx"
_FATAL = 4  # onnxruntime's own log: what goes wrong comes to us as an exception
_ENGINE_CACHE = "/tmp/clipworks-tensorrt"  # in the server's container: mount it to keep it


@dataclass(frozen=True)
class RepositorySettings:
    """How Triton is to run a bundle.

    Attributes:
        variant: the backend of the towers; `python` runs any bundle, through `backend`.
        max_batch: pictures or texts in a batch.
        instances: copies of each tower.
        device: where the towers run.
        backend: of clipworks, for the `python` variant.
        accelerate: let ONNX Runtime hand the graphs to TensorRT on a GPU, to OpenVINO on a CPU.
        precision: of TensorRT's engines.

    Raises:
        SettingsError: one is out of range, or two do not go together.
    """

    variant: Variant = "onnx"
    max_batch: int = 64
    instances: int = 1
    device: Device = "cpu"
    backend: str = "onnx"
    accelerate: bool = False
    precision: Precision = "fp16"

    def __post_init__(self) -> None:
        for name, kind in (("variant", Variant), ("device", Device), ("precision", Precision)):
            if getattr(self, name) not in get_args(kind):
                known = ", ".join(get_args(kind))
                raise SettingsError(f"{name} {getattr(self, name)!r}: expected one of {known}")
        if self.max_batch < 1 or self.instances < 1:
            raise SettingsError(
                f"max_batch {self.max_batch} and instances {self.instances}: expected 1 or more"
            )
        needed = {"tensorrt": "gpu", "openvino": "cpu"}.get(self.variant, self.device)
        if self.device != needed:
            raise SettingsError(f"the variant {self.variant} runs on device {needed} only")
        if self.accelerate and self.variant != "onnx":
            raise SettingsError("accelerate goes with the variant onnx only")

    @property
    def profile(self) -> BatchProfile:
        """The batch sizes that TensorRT's engines are made for."""
        return BatchProfile(1, max(1, self.max_batch // 4), self.max_batch)

    @property
    def batching(self) -> DynamicBatching:
        """How requests become batches."""
        sizes = {max(1, self.max_batch // 4), self.max_batch}
        return DynamicBatching(
            preferred_batch_size=tuple(sorted(sizes)),
            max_queue_delay_microseconds=_QUEUE_DELAY_US,
            default_queue_policy=QueuePolicy(_WAITING_BATCHES * self.max_batch),
        )


@dataclass(frozen=True)
class Tower:
    """One of a bundle's two graphs: what it takes, and gives as FP32 [n, dim]."""

    bundle: Bundle
    graph: Path
    input: Tensor

    @property
    def output(self) -> Tensor:
        """The embeddings."""
        return Tensor(EMBEDDINGS_TENSOR, DataType.FP32, (self.bundle.card.embedding_dim,))


def image_tower(bundle: Bundle) -> Tower:
    """Pixels [3 h w] to an embedding."""
    spec = bundle.card.image
    pixels = Tensor(PIXELS_TENSOR, DataType.FP32, (3, spec.height, spec.width))
    return Tower(bundle, bundle.image_graph, pixels)


def text_tower(bundle: Bundle) -> Tower:
    """Tokens [context] to an embedding."""
    tokens = Tensor(TOKENS_TENSOR, DataType.INT64, (bundle.card.text.context_length,))
    return Tower(bundle, bundle.text_graph, tokens)


def configure_tower(tower: Tower, name: str, settings: RepositorySettings) -> ModelConfig:
    """The configuration of a tower, under a name."""
    kind = Kind.GPU if settings.device == "gpu" else Kind.CPU
    config = ModelConfig(
        name=name,
        max_batch_size=settings.max_batch,
        input=(tower.input,),
        output=(tower.output,),
        dynamic_batching=settings.batching,
        instance_group=(InstanceGroup(settings.instances, kind),),
        model_warmup=tuple(
            ModelWarmup(f"{size} at once", size, {tower.input.name: _zeros(tower.input)})
            for size in sorted({1, settings.max_batch})
        ),
    )
    if settings.variant == "openvino":
        return _with_free_batch(config)
    if settings.variant == "tensorrt":
        return replace(config, backend="tensorrt")
    if settings.variant == "python":
        device = "cuda" if settings.device == "gpu" else "cpu"
        values = {"backend": settings.backend, "device": device}
        parameters = {key: Parameter(value) for key, value in values.items()}
        return replace(config, backend="python", parameters=parameters)
    accelerator = _accelerator(tower, settings) if settings.accelerate else None
    return replace(config, backend="onnxruntime", optimization=accelerator)


def write_tower_files(
    tower: Tower,
    folder: Path,
    settings: RepositorySettings,
    *,
    copy: Callable[[Path, Path], None],
) -> None:
    """Put what the variant runs into a version's folder.

    Args:
        tower: of the bundle.
        folder: of the version.
        settings: of the repository.
        copy: copies a file to a path, whose folder may not be there yet.

    Raises:
        BundleError: the graph does not take and give what the served models do.
        MissingExtraError: TensorRT's engines are wanted, and tensorrt is not installed.
    """
    if settings.variant == "python":
        for path in _files(tower.bundle.folder):
            copy(path, folder / BUNDLE_FOLDER / path.name)
        return
    check_graph(tower)
    if settings.variant == "tensorrt":
        plan = folder / "model.plan"
        write_plan(
            tower.graph,
            plan,
            precision=settings.precision,
            profile=settings.profile,
            context_length=tower.bundle.card.text.context_length,
        )
        return
    # Triton's ONNX Runtime wants a graph with its weights in a folder that is called model.onnx
    home = folder / _MODEL_FILE if settings.variant == "onnx" else folder
    copy(tower.graph, home / _MODEL_FILE)
    for weights in weight_files(tower.bundle.folder, tower.graph):
        copy(weights, home / weights.name)


def weight_files(folder: Path, graph: Path) -> list[Path]:
    """The files of a bundle in which a graph's weights lie: the graph names them."""
    content = graph.read_bytes()
    return [path for path in _files(folder) if path != graph and path.name.encode() in content]


def check_graph(tower: Tower) -> None:
    """Compare a graph's input and output with those of the served model.

    Graphs that others exported may want one row at a time, a mask, or other names.

    Raises:
        BundleError: they differ.
    """
    inputs, outputs = _read_tensors(tower.graph)
    dims = list(tower.input.dims)
    expected = (tower.input.name, _ONNX_TYPES[tower.input.data_type], dims)
    found = [(one.name, one.type, _of_size(one.shape[1:], dims)) for one in inputs]
    given = [(one.name, one.type) for one in outputs]
    if (
        found != [expected]
        or isinstance(inputs[0].shape[0], int)
        or given != [(EMBEDDINGS_TENSOR, _ONNX_TYPES[DataType.FP32])]
    ):
        shapes = ", ".join(f"{one.name} {one.type} {one.shape}" for one in [*inputs, *outputs])
        raise BundleError(
            f"{tower.graph} takes and gives {shapes}; expected {expected[0]} of any number of rows "
            f"and {EMBEDDINGS_TENSOR}: --variant python serves it as it is"
        )


def _of_size(shape: Sequence[int | str], dims: Sequence[int]) -> list[int | str]:
    """A shape with its open axes, which have names, as the served model has them."""
    open_axes = dict(enumerate(dims))
    return [open_axes.get(i, one) if isinstance(one, str) else one for i, one in enumerate(shape)]


def _read_tensors(graph: Path) -> tuple[Sequence[Any], Sequence[Any]]:
    """A graph's inputs and outputs, as ONNX Runtime describes them."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = _FATAL
    try:
        session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        # onnxruntime's exceptions share no base class but this one
        reason = " ".join(str(error).split())
        raise BundleError(f"{graph}: onnxruntime cannot load it: {reason}") from error
    return session.get_inputs(), session.get_outputs()


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.is_file()]


def _zeros(tensor: Tensor) -> WarmupInput:
    return WarmupInput(tensor.data_type, tensor.dims)


def _with_free_batch(config: ModelConfig) -> ModelConfig:
    """For OpenVINO, which fixes the batch at the largest where Triton batches.

    Requests then have any number of rows, each is a batch of its own, and the tensors on the wire
    are the same.
    """
    (tensor,), (output,) = config.input, config.output
    one_row = replace(tensor, dims=(1, *tensor.dims))
    (instances,) = config.instance_group
    return replace(
        config,
        backend="openvino",
        default_model_filename=_MODEL_FILE,
        max_batch_size=0,
        dynamic_batching=None,
        input=(replace(tensor, dims=(-1, *tensor.dims)),),
        output=(replace(output, dims=(-1, *output.dims)),),
        model_warmup=(ModelWarmup("1 at once", 0, {tensor.name: _zeros(one_row)}),),
        parameters={"NUM_STREAMS": Parameter(str(instances.count))},
    )


def _accelerator(tower: Tower, settings: RepositorySettings) -> Optimization:
    if settings.device == "cpu":
        accelerators = ExecutionAccelerators(cpu_execution_accelerator=(Accelerator("openvino"),))
        return Optimization(accelerators)
    sizes = asdict(settings.profile)  # min, opt, max
    dims = "x".join(str(side) for side in tower.input.dims)
    parameters = {
        "precision_mode": settings.precision.upper(),
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": _ENGINE_CACHE,
        **{
            f"trt_profile_{bound}_shapes": f"{tower.input.name}:{size}x{dims}"
            for bound, size in sizes.items()
        },
    }
    tensorrt = Accelerator("tensorrt", parameters)
    return Optimization(ExecutionAccelerators(gpu_execution_accelerator=(tensorrt,)))
