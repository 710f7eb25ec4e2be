"""The backends: which libraries each needs, and where it runs."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from importlib import metadata

from clipworks.encoders.bundle import WEIGHTS_FILE, Bundle
from clipworks.registry import Registry

BACKENDS = Registry(
    "encoder backend",
    {
        "kserve": "clipworks.encoders.backends.kserve_encoder:KServeEncoder",
        "onnx": "clipworks.encoders.backends.onnx_encoder:OnnxEncoder",
        "openvino": "clipworks.encoders.backends.openvino_encoder:OpenVinoEncoder",
        "tensorrt": "clipworks.encoders.backends.tensorrt_encoder:TensorRtEncoder",
        "torch": "clipworks.encoders.backends.torch_encoder:TorchEncoder",
        "torch-compile": "clipworks.encoders.backends.torch_encoder:compiled_torch_encoder",
    },
)

DEVICE_LISTS = Registry(
    "encoder backend",
    {
        "kserve": "clipworks.encoders.backends.kserve_encoder:list_devices",
        "onnx": "clipworks.encoders.backends.onnx_encoder:list_devices",
        "openvino": "clipworks.encoders.backends.openvino_encoder:list_devices",
        "tensorrt": "clipworks.encoders.backends.tensorrt_encoder:list_devices",
        "torch": "clipworks.encoders.backends.torch_encoder:list_devices",
    },
)

ALWAYS_THERE = "onnx"
_REMOTE_SCHEMES = ("http://", "https://", "grpc://", "grpcs://")


@dataclass(frozen=True)
class BackendFacts:
    """What a backend needs.

    Attributes:
        modules: that must be there to be imported.
        distributions: under one of these names pip knows the version.
        pip: what to install.
        candidate_for: the devices for which `auto` considers it.
        needs_weights: whether it runs `weights.safetensors` and not the graphs.
    """

    modules: tuple[str, ...]
    distributions: tuple[str, ...]
    pip: str
    candidate_for: tuple[str, ...] = ()
    needs_weights: bool = False

    @property
    def installed(self) -> bool:
        """Whether its libraries are there; nothing is imported."""
        return all(importlib.util.find_spec(name) is not None for name in self.modules)

    @property
    def version(self) -> str | None:
        """Of its library, or None where that is not installed."""
        for name in self.distributions:
            try:
                return metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
        return None


_ONNXRUNTIMES = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml")

# TensorRT builds engines for minutes and torch-compile needs a compiler: both on request only.
BACKEND_FACTS = {
    "kserve": BackendFacts(("grpc", "urllib3"), ("urllib3",), "clipworks[kserve]"),
    "onnx": BackendFacts(
        ("onnxruntime",), _ONNXRUNTIMES, "onnxruntime", ("cpu", "cuda", "coreml", "tensorrt")
    ),
    "openvino": BackendFacts(
        ("openvino",), ("openvino",), "clipworks[openvino]", ("cpu", "gpu", "npu")
    ),
    "tensorrt": BackendFacts(
        ("tensorrt", "cuda"), ("tensorrt", "tensorrt-cu12", "tensorrt-cu13"), "clipworks[tensorrt]"
    ),
    "torch": BackendFacts(("torch",), ("torch",), "clipworks[torch]", ("cpu", "cuda"), True),
}


def list_candidates(bundle: Bundle, device: str) -> list[str]:
    """The installed backends that can run a bundle on a device, the base backend first."""
    if device.startswith(_REMOTE_SCHEMES):
        return ["kserve"]
    has_weights = (bundle.folder / WEIGHTS_FILE).is_file()
    found = [
        name
        for name, facts in BACKEND_FACTS.items()
        if device in facts.candidate_for
        and facts.installed
        and (has_weights or not facts.needs_weights)
    ]
    return sorted(found, key=lambda name: name != ALWAYS_THERE)
