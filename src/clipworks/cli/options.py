"""The options that several commands share, so that one name means one thing everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[
    str,
    typer.Option(
        "--model", "-m",
        envvar="CLIPWORKS_MODEL",
        help="A name that `clipworks models` lists, or a bundle's folder.",
    ),
]  # fmt: skip
Device = Annotated[
    str, typer.Option(envvar="CLIPWORKS_DEVICE", help="Where the model runs: cpu or cuda.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
EmbeddingFolder = Annotated[
    Path, typer.Argument(help="A folder that `clipworks embed` wrote.", show_default=False)
]
