"""clipworks: pictures and words to answers with CLIP-like models.

    import clipworks

    model = clipworks.load()
    pictures = model.embed_images(["cat.png", "dog.png"])
    words = model.embed_texts(["a cat", "a dog"])
    print(pictures @ words.T)

Names load what they need when first used, so that the import itself is light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clipworks.embed.pipeline import embed_folder
    from clipworks.encoders.embedder import Embedder
    from clipworks.encoders.loading import load
    from clipworks.errors import ClipworksError
    from clipworks.search.query import Query
    from clipworks.search.search_options import SearchOptions
    from clipworks.search.searcher import Searcher, open_searcher
    from clipworks.zeroshot.classifier import ZeroShotClassifier, classify

__version__ = "0.1.0"

__all__ = [
    "ClipworksError",
    "Embedder",
    "Query",
    "SearchOptions",
    "Searcher",
    "ZeroShotClassifier",
    "classify",
    "embed_folder",
    "load",
    "open_searcher",
]

_HOMES = {
    "ClipworksError": "clipworks.errors",
    "Embedder": "clipworks.encoders.embedder",
    "Query": "clipworks.search.query",
    "SearchOptions": "clipworks.search.search_options",
    "Searcher": "clipworks.search.searcher",
    "ZeroShotClassifier": "clipworks.zeroshot.classifier",
    "classify": "clipworks.zeroshot.classifier",
    "embed_folder": "clipworks.embed.pipeline",
    "load": "clipworks.encoders.loading",
    "open_searcher": "clipworks.search.searcher",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any public name
    if name not in _HOMES:
        raise AttributeError(f"module 'clipworks' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
