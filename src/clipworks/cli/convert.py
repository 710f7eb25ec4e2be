"""`clipworks convert`: a checkpoint to a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clipworks.cli.options import Json

Checkpoint = Annotated[
    Path,
    typer.Argument(
        help="Weights: .safetensors, .bin or .pt, a folder as hubs have it, or a bundle.",
        show_default=False,
    ),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="The bundle's folder.", show_default=False)]
Name = Annotated[str | None, typer.Option(help="The model's name; by default the file's.")]
Precision = Annotated[
    str, typer.Option(envvar="CLIPWORKS_PRECISION", help="Of the stored weights: fp32 or fp16.")
]
Config = Annotated[
    Path | None,
    typer.Option(help="The library's own config.json or open_clip_config.json, if not beside."),
]
Tokenizer = Annotated[Path | None, typer.Option(help="A tokenizer.json, if not beside.")]
Activation = Annotated[
    str | None, typer.Option(help="gelu, quick_gelu or gelu_tanh, where no file says.")
]
Preset = Annotated[
    str | None, typer.Option(help="Preprocessing, where no file says: openai, imagenet or siglip.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a bundle that stands there.")]


def convert(
    checkpoint: Checkpoint,
    out: Out,
    name: Name = None,
    precision: Precision = "fp32",
    config: Config = None,
    tokenizer: Tokenizer = None,
    activation: Activation = None,
    preset: Preset = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Convert weights of OpenAI, OpenCLIP or Hugging Face CLIP to a bundle, and compare the two."""
    from clipworks.cli.console import print_json, result_console
    from clipworks.extras import require

    require("torch", "clipworks convert")
    from clipworks.export.conversion import ConversionSettings, convert_checkpoint
    from clipworks.models.facts import CheckpointHints
    from clipworks.models.tensor_files import read_json

    settings = ConversionSettings(
        name=name,
        precision=precision,
        config=read_json(config) if config else None,
        hints=CheckpointHints(activation=activation),  # pyright: ignore[reportArgumentType]
        preset=preset,
        tokenizer=tokenizer,
        overwrite=overwrite,
    )
    report = convert_checkpoint(checkpoint, out, settings)
    card = report.bundle.card
    for note in report.notes:
        typer.echo(f"note: {note}", err=True)
    if json:
        print_json(
            {
                "bundle": str(report.bundle.folder),
                "name": card.name,
                "fingerprint": card.fingerprint,
                "image_difference": report.image_difference,
                "text_difference": report.text_difference,
                "min_cosine": report.min_cosine,
                "notes": list(report.notes),
            }
        )
        return
    result_console().print(
        f"{report.bundle.folder}: {card.name}, {card.embedding_dim} dimensions, {card.precision}, "
        f"fingerprint {card.fingerprint}\n"
        f"largest difference from torch: pictures {report.image_difference:.1e}, "
        f"texts {report.text_difference:.1e}; lowest cosine {report.min_cosine:.6f}",
        soft_wrap=True,
    )
