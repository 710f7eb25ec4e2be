"""What is lost by storing embeddings in fewer bits, or in fewer numbers.

    python benchmarks/stored_rows.py BUNDLE --pictures FOLDER [--texts FILE] [--dims 256 128 ...]

For each way to store rows: bytes a row, and recall@10: of the ten nearest rows by the float32
embeddings, how many are among the ten nearest by what was stored. Queries are float32, cut as the
rows are: every n-th picture (which itself does not count as found), and the lines of a text file.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from clipworks.arrays import Embeddings
from clipworks.data.sources.folder_source import list_folder
from clipworks.data.stored_rows import pack_rows, shorten_rows, unpack_rows
from clipworks.encoders.loading import load

NEAREST = 10
QUERIES = 500


def main() -> None:
    """Embed, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("bundle", help="a bundle's folder, or a model's name")
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--texts", type=Path, help="a query a line")
    parser.add_argument("--dims", type=int, nargs="*", default=[])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    embedder = load(options.bundle, backend="onnx")
    rows = embedder.embed_images([s.name for s in list_folder(options.pictures).samples])
    queries = {"pictures": rows[:: max(1, len(rows) // QUERIES)]}
    if options.texts:
        queries["texts"] = embedder.embed_texts(options.texts.read_text().splitlines())
    width = rows.shape[1]
    results = [
        measure(rows, queries, store=store, dim=dim)
        for dim in (width, *options.dims)
        for store in ("fp16", "int8", "binary")
    ]
    print(json.dumps(results) if options.json else table(results, count=len(rows)))


def measure(
    rows: Embeddings, queries: dict[str, Embeddings], *, store: str, dim: int
) -> dict[str, float | int | str]:
    """One way to store the rows."""
    packed = pack_rows(shorten_rows(rows, dim), store)
    stored = unpack_rows(packed)
    result: dict[str, float | int | str] = {
        "store": store, "dim": dim, "bytes": packed[0].nbytes,
    }  # fmt: skip
    for kind, asked in queries.items():
        drop = 1 if kind == "pictures" else 0
        wanted = nearest(asked, rows, drop=drop)
        found = nearest(shorten_rows(asked, dim), stored, drop=drop)
        hits = [len(set(a) & set(b)) for a, b in zip(wanted, found, strict=True)]
        result[f"recall_{kind}"] = float(np.mean(hits)) / NEAREST
    return result


def nearest(queries: Embeddings, rows: Embeddings, *, drop: int) -> list[np.ndarray]:
    """The numbers of the nearest rows, without the first `drop`, which are the query itself."""
    order = np.argsort(-(queries @ rows.T), axis=1, kind="stable")
    return list(order[:, drop : NEAREST + drop])


def table(results: list[dict[str, float | int | str]], *, count: int) -> str:
    """The results for people."""
    names = list(results[0])
    lines = [f"{count} rows", "  ".join(f"{name:>15}" for name in names)]
    for result in results:
        cells = (f"{v:.4f}" if isinstance(v, float) else str(v) for v in result.values())
        lines.append("  ".join(f"{cell:>15}" for cell in cells))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
