"""`clipworks export`: a model in the form that other servers and runtimes take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clipworks.cli.options import Json

app = typer.Typer(
    help="Write a model in the form that other servers and runtimes take.", no_args_is_help=True
)

Model = Annotated[
    str,
    typer.Argument(
        help="A name that `clipworks models` lists, or a bundle's folder.", show_default=False
    ),
]
Repository = Annotated[
    Path,
    typer.Option(
        "--out", "-o", help="The model repository; others' models stay.", show_default=False
    ),
]
Variant = Annotated[
    str,
    typer.Option(
        help="Which of Triton's backends runs the towers: onnx, openvino, tensorrt, or python, "
        "which runs any bundle through clipworks itself."
    ),
]
MaxBatch = Annotated[int, typer.Option(help="Pictures or texts in a batch.", min=1)]
Instances = Annotated[int, typer.Option(help="Copies of each model.", min=1)]
Device = Annotated[str, typer.Option(help="Where the towers run: cpu or gpu.")]
Backend = Annotated[str, typer.Option(help="Of clipworks, for the variant python.")]
Accelerate = Annotated[
    bool,
    typer.Option(
        "--accelerate",
        help="For the variant onnx: hand the graphs to TensorRT on a GPU, to OpenVINO on a CPU.",
    ),
]
Precision = Annotated[
    str, typer.Option(help="What TensorRT computes in: fp32, fp16, bf16 or int8.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace models that stand there.")]
Engines = Annotated[
    Path, typer.Option("--out", "-o", help="The engines' folder.", show_default=False)
]
Batches = Annotated[str, typer.Option(help="The smallest, the usual and the largest batch.")]


@app.command()
def triton(
    model: Model,
    out: Repository,
    variant: Variant = "onnx",
    max_batch: MaxBatch = 64,
    instances: Instances = 1,
    device: Device = "cpu",
    backend: Backend = "onnx",
    accelerate: Accelerate = False,
    precision: Precision = "fp16",
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Write a model repository for NVIDIA's Triton: pictures and texts in, embeddings out."""
    from clipworks.cli.console import print_json, result_console
    from clipworks.cli.model_option import pull_model
    from clipworks.export.triton_repository import write_repository
    from clipworks.export.triton_towers import RepositorySettings

    settings = RepositorySettings(
        variant=variant,  # pyright: ignore[reportArgumentType] - checked there
        max_batch=max_batch,
        instances=instances,
        device=device,  # pyright: ignore[reportArgumentType]
        backend=backend,
        accelerate=accelerate,
        precision=precision,  # pyright: ignore[reportArgumentType]
    )
    bundle = pull_model(model)
    models = write_repository(bundle, out, settings, overwrite=overwrite)
    names = [folder.name for folder in models]
    if json:
        fingerprint = bundle.card.fingerprint
        print_json({"repository": str(out), "models": names, "fingerprint": fingerprint})
        return
    result_console().print(f"{out}: {', '.join(names)}", markup=False, soft_wrap=True)


@app.command()
def tensorrt(
    model: Model,
    out: Engines,
    precision: Precision = "fp16",
    batches: Batches = "1,16,64",
    json: Json = False,
) -> None:
    """Build TensorRT engines of both towers, on the GPU that will run them.

    An int8 engine is built from a bundle that `clipworks convert --precision int8 --backend
    tensorrt` made.
    """
    from clipworks.cli.console import print_json, result_console
    from clipworks.cli.model_option import pull_model
    from clipworks.export.to_tensorrt import parse_batches, write_engines
    from clipworks.extras import require

    profile = parse_batches(batches)
    require("tensorrt", "clipworks export tensorrt")
    bundle = pull_model(model)
    plans = write_engines(
        bundle,
        out,
        precision=precision,  # pyright: ignore[reportArgumentType] - checked there
        profile=profile,
    )
    if json:
        names = [plan.name for plan in plans]
        fingerprint = bundle.card.fingerprint
        print_json({"folder": str(out), "engines": names, "fingerprint": fingerprint})
        return
    result_console().print(
        f"{out}: {', '.join(plan.name for plan in plans)}", markup=False, soft_wrap=True
    )
