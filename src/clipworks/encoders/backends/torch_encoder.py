"""PyTorch: a bundle's weights in the towers of `clipworks.models`, eager or compiled.

Axes: image, text, row (of a batch), h and w (pixels), context (token positions), dim (width of the
joint space).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, final

from jaxtyping import Float32

from clipworks.arrays import Embeddings, Pixels, Tokens
from clipworks.devices import describe_cpu
from clipworks.encoders.batch_checks import check_pixels, check_tokens, no_rows
from clipworks.encoders.bundle import WEIGHTS_FILE, Bundle
from clipworks.encoders.computed_precision import resolve_precision
from clipworks.encoders.encoder import AbstractEncoder
from clipworks.encoders.text_trimming import trim_padding
from clipworks.errors import BundleError, SettingsError
from clipworks.extras import require

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from clipworks.models.clip import Clip

torch = require("torch", "the torch backend")

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def list_devices() -> list[str]:
    """The devices that the installed PyTorch can use."""
    return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def compiled_torch_encoder(
    bundle: Bundle, *, device: str = "cpu", precision: str | None = None, num_threads: int = 0
) -> TorchEncoder:
    """The same with `torch.compile`: slow to start (it needs a C++ compiler), then faster."""
    return TorchEncoder(
        bundle, device=device, precision=precision, num_threads=num_threads, compiled=True
    )


@final
class TorchEncoder(AbstractEncoder):
    """A bundle's weights in PyTorch.

    Args:
        bundle: what to run; it must have `weights.safetensors`.
        device: `cpu` or `cuda`.
        precision: what to compute in; None for the bundle's own.
        num_threads: of one forward pass; 0 leaves it to PyTorch. PyTorch keeps that number for
            the calling thread, so that other work there is held to it too.
        compiled: whether to run the towers through `torch.compile`.

    Raises:
        SettingsError: the device or the precision is not to be had.
        BundleError: the bundle has no weights.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        device: str = "cpu",
        precision: str | None = None,
        num_threads: int = 0,
        compiled: bool = False,
    ) -> None:
        from clipworks.models.checkpoints import load_checkpoint

        _check_device(device)
        self._precision = resolve_precision(
            bundle.card, precision, able=_precisions(device), runtime=f"torch on {device}"
        )
        weights = bundle.folder / WEIGHTS_FILE
        if not weights.is_file():
            raise BundleError(
                f"{bundle.card.name} has no {WEIGHTS_FILE}, which the torch backend runs: take the "
                f"onnx backend, or clipworks pull {bundle.card.name} --convert brings it"
            )
        self._card = bundle.card
        self._device = device
        self._num_threads = num_threads
        self._dtype = _DTYPES[self._precision]
        self._model = load_checkpoint(weights).model.to(device, self._dtype).eval()
        self._compiled = compiled
        self._compiling = threading.Lock()
        self._encode_image, self._encode_text = _towers(self._model, compiled=compiled)

    @property
    def backend(self) -> str:
        """The runtime, the device and the precision."""
        name = "torch-compile" if self._compiled else "torch"
        return f"{name} ({self._device}, {self._precision})"

    def encode_images(self, pixels: Pixels) -> Embeddings:
        """Map float32 pixels [image 3 h w] to unit rows [image dim]."""
        check_pixels(pixels, self._card)
        return self._run(self._encode_image, pixels)

    def encode_texts(self, tokens: Tokens) -> Embeddings:
        """Map int64 tokens [text context] to unit rows [text dim]."""
        check_tokens(tokens, self._card, vocab_size=self._model.config.text.vocab_size)
        if self._model.config.text.ignores_padding:
            tokens = trim_padding(tokens, self._card.text.end_id)
        return self._run(self._encode_text, tokens)

    def _run(
        self, tower: Callable[[Tensor], Tensor], batch: np.ndarray
    ) -> Float32[np.ndarray, "row dim"]:
        if not len(batch):
            return no_rows(self._card)
        if self._num_threads:
            torch.set_num_threads(self._num_threads)
        given: Any = torch.tensor(batch, device=self._device)
        if given.is_floating_point():
            given = given.to(self._dtype)
        with torch.inference_mode():
            features = self._forward(tower, given).float()
            rows = torch.nn.functional.normalize(features, dim=1)
        return rows.cpu().numpy()

    def _forward(self, tower: Callable[[Tensor], Tensor], given: Tensor) -> Tensor:
        if not self._compiled:
            return tower(given)
        with self._compiling:  # a new batch size may compile, which is not for several threads
            return tower(given)


def _towers(
    model: Clip, *, compiled: bool
) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    if not compiled:
        return model.encode_image, model.encode_text
    return (
        torch.compile(model.encode_image, dynamic=True),
        torch.compile(model.encode_text, dynamic=True),
    )


def _check_device(device: str) -> None:
    if device not in ("cpu", "cuda"):
        raise SettingsError(f"device {device!r}: the torch backend runs on cpu, cuda")
    if device not in list_devices():
        raise SettingsError(
            f"device {device!r}: this PyTorch sees no GPU (torch {torch.__version__}): "
            "https://pytorch.org/get-started names the build with CUDA"
        )


def _precisions(device: str) -> list[str]:
    """What the hardware multiplies: PyTorch emulates the rest, at a crawl."""
    if device == "cuda":
        bf16 = ["bf16"] if torch.cuda.is_bf16_supported() else []
        return ["fp32", *bf16, "fp16"]
    return ["fp32", "bf16"] if describe_cpu().has_bf16 else ["fp32"]
