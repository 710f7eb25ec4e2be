"""`clipworks models`: the models that can be had by name."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clipworks.cli.options import Json
from clipworks.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

    from rich.table import Table

    from clipworks.encoders.catalog import CatalogEntry


class SortKey(StrEnum):
    """What the table is sorted by."""

    SIZE = "size"
    NAME = "name"
    IMAGENET = "imagenet"
    COCO = "coco"


Word = Annotated[
    str | None,
    typer.Argument(
        help="Only models with this in their name, licence or state.", show_default=False
    ),
]
Sort = Annotated[SortKey, typer.Option(help="Small ones first, or the best first.")]
Installed = Annotated[bool, typer.Option("--installed", help="Only those on this machine.")]

_WIDE = 125  # columns: what all titles and texts need
_NOTE = (
    "size: about what is downloaded; ImageNet: zero-shot, per cent, as published by open_clip; "
    "state: 'ready' is downloaded as graphs that others made, 'convert' as a checkpoint that "
    "clipworks[torch] converts"
)
_WIDE_NOTE = f"{_NOTE}; COCO: text to image, image to text, recall at 1"
_NARROW_NOTE = f"{_NOTE}; a wider terminal shows more, --json everything"


@dataclass(frozen=True)
class ModelRow:
    """One model, as listed; None is unknown."""

    name: str
    family: str
    image_size: int
    patch_size: int | None
    embedding_dim: int
    context_length: int
    activation: str
    num_parameters: int | None
    size_bytes: int
    licence: str | None
    state: str
    folder: str | None
    source: str
    aliases: tuple[str, ...]
    published: dict[str, float | None]


def models(
    word: Word = None,
    sort: Sort = SortKey.SIZE,
    installed: Installed = False,
    json: Json = False,
) -> None:
    """List the models that can be had by name, and those on this machine."""
    from clipworks.cli.console import print_json, result_console

    rows = [row for row in list_models() if _fits(row, word, installed=installed)]
    rows.sort(key=lambda row: _sort_key(row, sort))
    if json:
        print_json([asdict(row) for row in rows])
        return
    if not rows:
        where = "on this machine" if installed else "in the catalogue"
        having = f" has {word!r} in its name, licence or state" if word else ""
        raise SettingsError(f"no model {where}{having}: clipworks models lists all")
    console = result_console()
    wide = console.width >= _WIDE
    console.print(models_table(rows, wide=wide))
    console.print(_WIDE_NOTE if wide else _NARROW_NOTE, style="dim", markup=False)


def list_models() -> list[ModelRow]:
    """The catalogue, and what is installed beside it."""
    from clipworks.encoders.bundle_store import list_stored
    from clipworks.encoders.catalog import list_entries

    stored = list_stored()
    known = {entry.name for entry in list_entries()}
    rows = [_row_of_entry(entry, stored.get(entry.name)) for entry in list_entries()]
    return rows + [_row_of_bundle(path) for name, path in stored.items() if name not in known]


def _row_of_entry(entry: CatalogEntry, folder: Path | None) -> ModelRow:
    state = "installed" if folder else ("ready" if entry.ready_export else "convert")
    source = entry.ready_export.repository if state == "ready" and entry.ready_export else ""
    return ModelRow(
        name=entry.name,
        family=entry.family,
        image_size=entry.image.height,
        patch_size=entry.patch_size,
        embedding_dim=entry.embedding_dim,
        context_length=entry.text.context_length,
        activation=entry.activation,
        num_parameters=entry.num_parameters,
        size_bytes=_folder_size(folder) if folder else entry.download_size_bytes,
        licence=entry.licence,
        state=state,
        folder=str(folder) if folder else None,
        source=f"hf://{source or entry.repository}",
        aliases=entry.aliases,
        published=asdict(entry.published),
    )


def _row_of_bundle(folder: Path) -> ModelRow:
    from clipworks.encoders.bundle import read_bundle

    card = read_bundle(folder, check_hashes=False).card
    return ModelRow(
        name=card.name,
        family=card.family,
        image_size=card.image.height,
        patch_size=None,
        embedding_dim=card.embedding_dim,
        context_length=card.text.context_length,
        activation=card.activation,
        num_parameters=None,
        size_bytes=_folder_size(folder),
        licence=card.licence,
        state="installed",
        folder=str(folder),
        source=card.source,
        aliases=(),
        published={},
    )


def _folder_size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _fits(row: ModelRow, word: str | None, *, installed: bool) -> bool:
    if installed and row.state != "installed":
        return False
    texts = (row.name, *row.aliases, row.licence or "", row.state)
    return word is None or any(word.casefold() in text.casefold() for text in texts)


def _sort_key(row: ModelRow, sort: SortKey) -> tuple[Any, ...]:
    imagenet = -(row.published.get("imagenet_top1") or 0.0)
    coco = -(row.published.get("coco_text_to_image_r1") or 0.0)
    return {
        SortKey.SIZE: (row.num_parameters or 0, row.image_size, imagenet, row.name),
        SortKey.NAME: (row.name,),
        SortKey.IMAGENET: (imagenet, row.name),
        SortKey.COCO: (coco, row.name),
    }[sort]


def models_table(rows: list[ModelRow], *, wide: bool) -> Table:
    """Draw the list; a narrow terminal gets the columns that one chooses by."""
    from rich.table import Table

    table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0), pad_edge=False)
    cells = [_cells(row, wide=wide) for row in rows]
    for title in cells[0]:
        table.add_column(title, justify="right" if title in _NUMBERS else "left", no_wrap=True)
    for row, texts in zip(rows, cells, strict=True):
        table.add_row(*texts.values(), style="green" if row.state == "installed" else None)
    return table


_NUMBERS = {"pixels", "patch", "dim", "context", "size", "ImageNet", "COCO"}
_ONLY_WIDE = {"patch", "context", "activation", "licence", "COCO"}


def _cells(row: ModelRow, *, wide: bool) -> dict[str, str]:
    """One line of the table, by the titles of its columns."""
    from clipworks.cli.download_bar import size_text

    coco = [row.published.get(f"coco_{way}_r1") for way in ("text_to_image", "image_to_text")]
    cells = {
        "model": row.name,
        "pixels": str(row.image_size),
        "patch": str(row.patch_size or ""),
        "dim": str(row.embedding_dim),
        "context": str(row.context_length),
        "activation": row.activation,
        "size": size_text(row.size_bytes),
        "licence": row.licence or "?",
        "ImageNet": _percent(row.published.get("imagenet_top1")),
        "COCO": " ".join(_percent(figure) for figure in coco),
        "state": row.state,
    }
    return {title: text for title, text in cells.items() if wide or title not in _ONLY_WIDE}


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"
