"""From a model's name to an embedder that is ready to run."""

from __future__ import annotations

from pathlib import Path

from clipworks.encoders.bundle import Bundle, is_bundle, read_bundle
from clipworks.encoders.embedder import Embedder
from clipworks.encoders.encoder import AbstractEncoder
from clipworks.errors import UnknownModelError
from clipworks.inputs.text_tokenizer import TextTokenizer
from clipworks.registry import Registry

DEFAULT_MODEL = "pictograms"

BACKENDS = Registry(
    "encoder backend",
    {"onnx": "clipworks.encoders.backends.onnx_encoder:OnnxEncoder"},
)

_PACKAGED_BUNDLES = Path(__file__).parent / "bundles"


def load(
    model: str | Path = DEFAULT_MODEL,
    *,
    backend: str = "onnx",
    device: str = "cpu",
    num_threads: int = 0,
) -> Embedder:
    """Load a model by name or from a bundle's folder.

    Args:
        model: a bundle's folder, or a name that `clipworks models` lists. A model of the hub is
            downloaded when first used, and kept.
        backend: the runtime: `onnx`.
        device: `cpu` or `cuda`.
        num_threads: of one forward pass; 0 for one a core.

    Raises:
        UnknownModelError: neither a bundle nor a known name.
        BundleError: the bundle is damaged.
        DownloadError: the hub did not give it.
    """
    bundle = find_bundle(model)
    encoder: AbstractEncoder = BACKENDS.load(backend)(
        bundle, device=device, num_threads=num_threads
    )
    return Embedder(encoder, bundle.card, TextTokenizer(bundle.tokenizer, bundle.card.text))


def find_bundle(model: str | Path) -> Bundle:
    """Find a model's bundle: a folder, a packaged model, or one of the hub (downloaded once).

    Raises:
        UnknownModelError: neither a bundle nor a known name.
    """
    folder = Path(model)
    if is_bundle(folder):
        return read_bundle(folder)
    if is_bundle(_PACKAGED_BUNDLES / str(model)):
        return read_bundle(_PACKAGED_BUNDLES / str(model))
    raise UnknownModelError(f"{model}: neither a bundle's folder nor a known model")
