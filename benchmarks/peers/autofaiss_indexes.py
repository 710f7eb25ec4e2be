"""Small indexes made by autofaiss, as golden files: what clipworks has to read.

    peers/bin/pip install autofaiss
    peers/bin/python benchmarks/peers/autofaiss_indexes.py tests/golden/indexes

All are made of `rows.npy`; `answers.npz` has what the peer's FAISS finds in each for its `queries`.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import faiss
import numpy as np
from autofaiss import build_index
from faiss.contrib.ondisk import merge_ondisk

DIM, ROWS = 32, 400
_OPQ = faiss.OPQMatrix


def _opq_matrix(d: int, M: int, d2: int) -> faiss.OPQMatrix:  # noqa: N803 - autofaiss's names
    """Autofaiss 2.18 names arguments that FAISS 1.15 takes by their places alone."""
    return _OPQ(d, M, d2)


faiss.OPQMatrix = _opq_matrix
KEYS = {
    "flat": ("Flat", "ip"),
    "hnsw": ("HNSW15", "ip"),
    "ivf": ("IVF8,Flat", "ip"),
    "opq-ivf-pq": ("OPQ8_32,IVF8,PQ8x8", "ip"),
    "opq-ivf-pq4": ("OPQ8_32,IVF8,PQ8x4fs", "ip"),
    "flat-l2": ("Flat", "l2"),
    "hnsw-l2": ("HNSW15", "l2"),
}


def main() -> None:
    """Write the indexes and their own answers."""
    folder = Path(sys.argv[1])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    random = np.random.default_rng(7)
    rows = draw(random, ROWS)
    np.save(folder / "rows.npy", rows.astype(np.float16))
    queries = draw(random, 8)
    answers = {"queries": queries}
    for name, (key, metric) in KEYS.items():
        path = folder / f"{name}.index"
        with tempfile.TemporaryDirectory() as work:
            build_index(
                embeddings=rows,
                index_path=str(path),
                index_infos_path=f"{work}/infos.json",
                index_key=key,
                metric_type=metric,
                max_index_memory_usage="1G",
                current_memory_available="2G",
                verbose=40,
            )
        index = faiss.read_index(str(path))
        answers[f"{name}.d"], answers[f"{name}.i"] = index.search(queries, 10)
    write_on_disk(folder / "populated.index", rows)
    np.savez_compressed(folder / "answers.npz", **answers)


def write_on_disk(folder: Path, rows: np.ndarray) -> None:
    """clip-retrieval's form for indexes that are larger than memory."""
    folder = folder.with_name("on-disk.index")
    folder.mkdir()
    index = faiss.index_factory(DIM, "IVF8,SQ8", faiss.METRIC_INNER_PRODUCT)
    index.train(rows)
    shards = []
    for number in range(2):
        shard = faiss.clone_index(index)
        ids = np.arange(number * ROWS // 2, (number + 1) * ROWS // 2)
        shard.add_with_ids(rows[ids], ids)
        shards.append(str(folder / f"shard{number}"))
        faiss.write_index(shard, shards[-1])
    merge_ondisk(index, shards, str(folder / "merged_index.ivfdata"))
    faiss.write_index(index, str(folder / "populated.index"))
    for shard in shards:
        Path(shard).unlink()


def draw(random: np.random.Generator, count: int) -> np.ndarray:
    """Unit rows."""
    rows = random.standard_normal((count, DIM)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


if __name__ == "__main__":
    main()
