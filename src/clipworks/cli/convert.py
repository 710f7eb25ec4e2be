"""`clipworks convert`: a checkpoint to a bundle, in the precision that is wanted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipworks.cli.options import Json
from clipworks.errors import SettingsError

if TYPE_CHECKING:
    from clipworks.export.conversion import ConversionSettings
    from clipworks.export.int8_bundle import Int8Report
    from clipworks.export.to_bundle import ConversionReport

Checkpoint = Annotated[
    str,
    typer.Argument(
        help="Weights (.safetensors, .bin, .pt, a hub's folder), a bundle, a model's name, or "
        "open_clip:MODEL/TAG, open_clip:MODEL/FILE, open_clip:FOLDER for any model of open_clip.",
        show_default=False,
    ),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="The bundle's folder.", show_default=False)]
Name = Annotated[str | None, typer.Option(help="The model's name; by default the file's.")]
Precision = Annotated[
    str,
    typer.Option(
        envvar="CLIPWORKS_PRECISION", help="Of the stored weights: fp32, fp16, bf16 or int8."
    ),
]
Calibrate = Annotated[
    Path | None,
    typer.Option(
        help="For int8: a folder of pictures like those to come.",
        exists=True, file_okay=False, show_default=False,
    ),
]  # fmt: skip
Backend = Annotated[
    str, typer.Option(help="For int8: who is to run it: onnx, openvino or tensorrt.")
]
Config = Annotated[
    Path | None,
    typer.Option(help="The library's own config.json or open_clip_config.json, if not beside."),
]
Tokenizer = Annotated[
    Path | None, typer.Option(help="A tokenizer.json, or SentencePiece's .model, if not beside.")
]
Activation = Annotated[
    str | None, typer.Option(help="gelu, quick_gelu or gelu_tanh, where no file says.")
]
Hint = Annotated[
    list[str] | None,
    typer.Option(
        help="What no file says, again and again: --hint text_heads=8 --hint causal=true.",
        metavar="NAME=VALUE", show_default=False,
    ),
]  # fmt: skip
Preset = Annotated[
    str | None, typer.Option(help="Preprocessing, where no file says: openai, imagenet or siglip.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a bundle that stands there.")]


def convert(
    checkpoint: Checkpoint,
    out: Out,
    name: Name = None,
    precision: Precision = "fp32",
    calibrate: Calibrate = None,
    backend: Backend = "onnx",
    config: Config = None,
    tokenizer: Tokenizer = None,
    activation: Activation = None,
    hint: Hint = None,
    preset: Preset = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    r"""Convert a checkpoint to a bundle, and compare the two.

    Weights of OpenAI, OpenCLIP and Hugging Face (CLIP, SigLIP) are read here; any other model of
    open_clip comes through clipworks\[open_clip].
    """
    from clipworks.extras import require

    require("torch", "clipworks convert")
    from clipworks.export.conversion import ConversionSettings, convert_checkpoint
    from clipworks.models.hint_words import read_hints
    from clipworks.models.tensor_files import read_json

    words = [*(hint or []), *([f"activation={activation}"] if activation else [])]
    settings = ConversionSettings(
        name=name,
        precision=precision,
        config=read_json(config) if config else None,
        hints=read_hints(words),
        preset=preset,
        tokenizer=tokenizer,
        overwrite=overwrite,
    )
    int8 = precision == "int8"
    if not int8 and (calibrate or backend != "onnx"):
        raise SettingsError("--calibrate and --backend are for --precision int8 alone")
    if checkpoint.startswith("open_clip:"):
        _print_float(_convert_open_clip(checkpoint, out, settings), json=json)
        return
    source = _find_source(Path(checkpoint))
    if int8:
        _print_int8(_convert_to_int8(source, out, settings, calibrate, backend), json=json)
    else:
        _print_float(convert_checkpoint(source, out, settings), json=json)


def _convert_open_clip(
    checkpoint: str, out: Path, settings: ConversionSettings
) -> ConversionReport:
    from clipworks.cli.download_bar import download_bar
    from clipworks.export.open_clip_adapter import convert_open_clip

    with download_bar() as watch:
        return convert_open_clip(checkpoint, out, settings, watch=watch)


def _find_source(given: Path) -> Path:
    """What is there under this path, or else the model of this name on this machine."""
    from clipworks.encoders.loading import find_installed

    installed = None if given.exists() else find_installed(given)
    return installed.folder if installed else given


def _convert_to_int8(
    source: Path,
    out: Path,
    settings: ConversionSettings,
    calibrate: Path | None,
    backend: str,
) -> Int8Report:
    from clipworks.cli.console import stage_watcher
    from clipworks.export.conversion import convert_to_int8

    with stage_watcher() as watch:
        return convert_to_int8(
            source, out, settings, pictures=calibrate, backend=backend, watch=watch
        )


def _print_float(report: ConversionReport, *, json: bool) -> None:
    from clipworks.cli.console import print_json, result_console

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


def _print_int8(report: Int8Report, *, json: bool) -> None:
    from clipworks.cli.console import print_json, result_console

    card, verification = report.bundle.card, report.verification
    if json:
        print_json(
            {
                "bundle": str(report.bundle.folder),
                "name": card.name,
                "fingerprint": card.fingerprint,
                "layers": report.num_layers,
                "float_layers": report.float_layers,
                "verification": verification.to_json(),
            }
        )
        return
    result_console().print(
        f"{report.bundle.folder}: {card.name}, {card.embedding_dim} dimensions, int8, "
        f"fingerprint {card.fingerprint}\n"
        f"{report.num_layers} layers, {len(report.float_layers)} of them left in float; "
        f"{verification.size_bytes / verification.reference_size_bytes:.0%} of the size\n"
        f"mean cosine with {verification.against}: pictures {verification.images.mean:.5f}, "
        f"texts {verification.texts.mean:.5f}; same best label {verification.agreement:.1%}",
        soft_wrap=True,
    )
