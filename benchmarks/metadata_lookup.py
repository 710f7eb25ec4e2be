"""How long the metadata of hits take, in a folder of a million samples with seven columns.

    python benchmarks/metadata_lookup.py [--rows 1000000] [--work FOLDER] [--rounds 9]

The folder is written first (2,048 rows a partition, as `clipworks embed` does). Then, in turns,
rows drawn at random are looked up in the row store that `clipworks index` writes, and in the
parquet files alone; every round draws other rows, and both must answer alike. The first round
warms up and does not count. Last comes `--where`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from clipworks.search.metadata import MetadataTable
from clipworks.search.metadata_filter import allowed_rows
from clipworks.search.row_store import ROW_STORE_FILE, write_row_store

PARTITION = 2048
LOOKUPS = (10, 3_000, 10_000)
CONDITIONS = ("width > 500 AND license = 'cc0'", "caption LIKE '%word12 %'")


def main() -> None:
    """Write, look up, print."""
    options = parse_options()
    with tempfile.TemporaryDirectory(dir=options.work) as scratch:
        files = write_metadata(Path(scratch) / "metadata", options.rows)
        parquet = MetadataTable(files)
        write_s, store_path = timed(lambda: write_row_store(parquet))
        report: dict[str, Any] = {
            "rows": options.rows,
            "write_store_s": round(write_s, 2),
            "store_bytes": store_path.stat().st_size,
            "parquet_bytes": sum(path.stat().st_size for path in files),
            "open_store_ms": milliseconds(lambda: MetadataTable(files), options.rounds),
        }
        store = MetadataTable(files)
        for count in LOOKUPS:
            report[f"{count} rows"] = compare(parquet, store, count, options.rounds)
        for condition in CONDITIONS:
            report[condition] = milliseconds(
                lambda condition=condition: allowed_rows(store, condition), options.rounds
            )
        (Path(scratch) / ROW_STORE_FILE).unlink()
    print(json.dumps(report, indent=2))


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--work", type=Path, help="where to write; by default a temporary folder")
    parser.add_argument("--rounds", type=int, default=9)
    return parser.parse_args()


def write_metadata(folder: Path, num_rows: int) -> list[Path]:
    """Write parquet files with a path, a caption of twelve words and five further columns."""
    folder.mkdir()
    random = np.random.default_rng(0)
    words = np.array([f"word{number}" for number in range(5000)])
    files = []
    for start in range(0, num_rows, PARTITION):
        size = min(PARTITION, num_rows - start)
        ids = range(start, start + size)
        table = {
            "image_path": [f"/data/pictures/{i // 1000:05}/{i:09}.jpg" for i in ids],
            "caption": [" ".join(row) for row in words[random.integers(0, 5000, (size, 12))]],
            "url": [f"https://example.com/{n:016x}.jpg" for n in random.integers(0, 2**62, size)],
            "width": random.integers(64, 4096, size),
            "height": random.integers(64, 4096, size),
            "score": random.random(size),
            "license": np.array(["cc0", "cc-by", "unknown"])[random.integers(0, 3, size)],
        }
        files.append(folder / f"metadata_{start // PARTITION:03}.parquet")
        pq.write_table(pa.table(table), files[-1])
    return files


def compare(
    parquet: MetadataTable, store: MetadataTable, count: int, rounds: int
) -> dict[str, float]:
    """Look the same rows up in both, in turns."""
    random = np.random.default_rng(count)
    from_store, from_parquet = [], []
    for number in range(rounds + 1):
        ids = random.choice(store.size, count, replace=False)
        store_s, found = timed(lambda ids=ids: store.rows(ids))
        parquet_s, expected = timed(lambda ids=ids: parquet.rows(ids))
        assert found == expected
        if number:
            from_store.append(store_s)
            from_parquet.append(parquet_s)
    return {
        "store_ms": round(statistics.median(from_store) * 1e3, 1),
        "store_worst_ms": round(max(from_store) * 1e3, 1),
        "parquet_ms": round(statistics.median(from_parquet) * 1e3, 1),
    }


def milliseconds(work: Callable[[], Any], rounds: int) -> float:
    """The median time of some work."""
    return round(statistics.median(timed(work)[0] for _ in range(rounds)) * 1e3, 1)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what came out."""
    begin = time.perf_counter()
    result = work()
    return time.perf_counter() - begin, result


if __name__ == "__main__":
    main()
