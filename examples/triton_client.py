"""Ask a Triton server which text fits each picture.

    pip install 'tritonclient[http,grpc]'
    python triton_client.py --model pictograms --texts "an apple,a car" apple.png car.png

The server has what `clipworks export triton` wrote; it decodes and tokenises by itself.
"""

import argparse
import importlib
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np


class TritonEmbedder:
    """Pictures and texts to unit rows, over HTTP or gRPC."""

    def __init__(self, url: str, model: str) -> None:
        address = urlsplit(url)
        protocol = "grpc" if address.scheme == "grpc" else "http"
        self._triton = importlib.import_module(f"tritonclient.{protocol}")
        self._client = self._triton.InferenceServerClient(address.netloc)
        self._slug = model.replace("/", "--")

    def embed_images(self, pictures: list[bytes]) -> np.ndarray:
        """Embed encoded pictures: as float32 [image, dim]."""
        return self._ask("image", pictures)

    def embed_texts(self, texts: list[str]) -> np.ndarray:
        """Embed texts: as float32 [text, dim]."""
        return self._ask("text", [text.encode() for text in texts])

    def _ask(self, kind: str, items: list[bytes]) -> np.ndarray:
        rows = np.array([[item] for item in items], dtype=object)  # [n, 1]
        tensor = self._triton.InferInput(kind, list(rows.shape), "BYTES")
        tensor.set_data_from_numpy(rows)
        return self._client.infer(f"{self._slug}-embed-{kind}", [tensor]).as_numpy("embeddings")


def main() -> None:
    """Print one line a picture."""
    parser = argparse.ArgumentParser(description="Which text fits each picture?")
    parser.add_argument("pictures", nargs="+", type=Path)
    parser.add_argument("--texts", required=True, help="separated by commas")
    parser.add_argument("--model", required=True, help="as clipworks calls it")
    parser.add_argument("--url", default="http://localhost:8000", help="or grpc://localhost:8001")
    options = parser.parse_args()

    model = TritonEmbedder(options.url, options.model)
    texts = [text.strip() for text in options.texts.split(",")]
    images = model.embed_images([path.read_bytes() for path in options.pictures])
    cosines = images @ model.embed_texts(texts).T  # [image, text]
    for path, row in zip(options.pictures, cosines, strict=True):
        print(f"{path.name}: {texts[row.argmax()]} ({row.max():.3f})")


if __name__ == "__main__":
    main()
