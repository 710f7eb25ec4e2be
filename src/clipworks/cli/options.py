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
Backend = Annotated[
    str,
    typer.Option(
        envvar="CLIPWORKS_BACKEND",
        help="What runs the model: onnx, openvino, torch, torch-compile, tensorrt, kserve, or "
        "auto: the fastest that is installed.",
    ),
]
Device = Annotated[
    str,
    typer.Option(
        envvar="CLIPWORKS_DEVICE",
        help="Where it runs: cpu, cuda, coreml, tensorrt, gpu or npu (Intel's), or a model "
        "server's address: http://host:8000, grpc://host:8001.",
    ),
]
Precision = Annotated[
    str | None,
    typer.Option(
        envvar="CLIPWORKS_PRECISION",
        help="What it computes in: fp32, bf16 or fp16; by default as the model says.",
        show_default=False,
    ),
]
Threads = Annotated[
    int,
    typer.Option(
        min=0,
        envvar="CLIPWORKS_THREADS",
        help="Threads of one forward pass; 0 for as many as are best.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
EmbeddingFolder = Annotated[
    Path, typer.Argument(help="A folder that `clipworks embed` wrote.", show_default=False)
]
