"""What people look for: texts to measure an index with, where a folder has none of its own."""

from __future__ import annotations

import json
from importlib.resources import files


def everyday_queries() -> list[str]:
    """A hundred short descriptions of everyday pictures."""
    table = files("clipworks.search").joinpath("everyday_queries.json")
    return json.loads(table.read_text("utf-8"))
