"""Builds an index of an embedding folder's pictures with autofaiss, as clip-retrieval does.

    peers/bin/pip install autofaiss
    peers/bin/python benchmarks/peers/autofaiss_build.py FOLDER/img_emb OUT.index

The last line of stdout is JSON: seconds of the clock and of the processor, and the peak of memory.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from pathlib import Path

from autofaiss import build_index


def main() -> None:
    """Build, and tell what it took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("embeddings")
    parser.add_argument("index")
    parser.add_argument("--memory", default="6G", help="while building")
    parser.add_argument("--index-memory", default="3G", help="of the index: it wants more to build")
    options = parser.parse_args()
    begin, cpu = time.perf_counter(), time.process_time()
    build_index(
        embeddings=options.embeddings,
        index_path=options.index,
        index_infos_path=f"{options.index}.json",
        max_index_memory_usage=options.index_memory,
        current_memory_available=options.memory,
        metric_type="ip",
        verbose=40,
    )
    state = Path("/proc/self/status").read_text()  # getrusage counts the parent's pages too
    peak = int(re.search(r"VmHWM:\s+(\d+)", state)[1]) * 1024
    took = {"build_s": time.perf_counter() - begin, "cpu_s": time.process_time() - cpu}
    print(json.dumps({**took, "peak_bytes": peak}))


if __name__ == "__main__":
    main()
