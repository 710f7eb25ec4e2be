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
    ACCURACY = "accuracy"
    RETRIEVAL = "retrieval"


Words = Annotated[
    list[str] | None,
    typer.Argument(
        help="Only models with all of these in their name, family, licence or state.",
        show_default=False,
    ),
]
Sort = Annotated[
    SortKey,
    typer.Option(help="Small ones first, or the best first: on ImageNet, on COCO."),
]
Family = Annotated[
    str | None, typer.Option(help="Only this family: clip, siglip2, eva, ...", show_default=False)
]
Installed = Annotated[bool, typer.Option("--installed", help="Only those on this machine.")]

INSTALLED, READY, CONVERT, ADAPTER = "installed", "ready", "convert", "open_clip"

_NOTE = (
    "size: about what is downloaded; ImageNet: zero-shot, per cent, as published; state: 'ready' "
    "comes as graphs that others made; 'convert' as a checkpoint, for clipworks[torch]; "
    "'open_clip' as one for clipworks[open_clip]"
)
_COLUMN_NOTES = {
    "COCO": "text to image, image to text, recall at 1",
    "Flickr": "the same on Flickr30k",
    "params": "millions in the picture and in the text tower",
}


@dataclass(frozen=True)
class ModelRow:
    """One model, as listed; None is unknown.

    `size_bytes` is what lies on the disk, or an estimate of what will be downloaded; `state` is
    INSTALLED, or how the model is had: READY, CONVERT or ADAPTER.
    """

    name: str
    family: str
    image_size: int
    embedding_dim: int
    context_length: int
    activation: str | None
    image_parameters: int | None
    text_parameters: int | None
    num_parameters: int | None
    size_bytes: int
    size_is_estimate: bool
    licence: str | None
    attribution: str | None
    state: str
    loader: str | None
    folder: str | None
    source: str
    aliases: tuple[str, ...]
    published: dict[str, float | None]


def models(
    words: Words = None,
    sort: Sort = SortKey.SIZE,
    family: Family = None,
    installed: Installed = False,
    json: Json = False,
) -> None:
    """List the models that can be had by name, and those on this machine."""
    from clipworks.cli.console import print_json, result_console

    known = list_models()
    _check_family(family, known)
    rows = [
        row
        for row in known
        if _fits(row, words or [])
        and family in (None, row.family)
        and (row.state == INSTALLED or not installed)
    ]
    rows.sort(key=lambda row: _sort_key(row, sort))
    if json:
        print_json([asdict(row) for row in rows])
        return
    if not rows:
        raise _nothing_found(words or [], installed=installed)
    console = result_console()
    table = models_table(rows, width=console.width)
    console.print(table)
    titles = {str(column.header) for column in table.columns}
    notes = [
        _NOTE,
        *(f"{title}: {note}" for title, note in _COLUMN_NOTES.items() if title in titles),
    ]
    if len(titles) < len(_TITLES):
        notes.append("a wider terminal shows more, --json everything")
    console.print("; ".join(notes), style="dim", markup=False)


def _nothing_found(words: list[str], *, installed: bool) -> SettingsError:
    where = "on this machine" if installed else "in the catalogue"
    wanted = " and ".join(repr(word) for word in words)
    having = f" has {wanted} in its name, family, licence or state" if words else ""
    return SettingsError(f"no model {where}{having}: clipworks models lists all")


def list_models() -> list[ModelRow]:
    """The catalogue, and what is installed beside it."""
    from clipworks.encoders.bundle_store import list_stored
    from clipworks.encoders.catalog import list_entries

    stored = list_stored()
    known = {entry.name for entry in list_entries()}
    rows = [_row_of_entry(entry, stored.get(entry.name)) for entry in list_entries()]
    return rows + [_row_of_bundle(path) for name, path in stored.items() if name not in known]


def _row_of_entry(entry: CatalogEntry, folder: Path | None) -> ModelRow:
    state = _state_of(entry, folder)
    export = entry.ready_export if state == READY else None
    return ModelRow(
        name=entry.name,
        family=entry.family,
        image_size=entry.image.height,
        embedding_dim=entry.embedding_dim,
        context_length=entry.text.context_length,
        activation=entry.activation,
        image_parameters=entry.image_parameters,
        text_parameters=entry.text_parameters,
        num_parameters=entry.num_parameters,
        size_bytes=_folder_size(folder) if folder else entry.download_size_bytes,
        size_is_estimate=folder is None,
        licence=entry.licence,
        attribution=entry.attribution,
        state=state,
        loader=entry.loader,
        folder=str(folder) if folder else None,
        source=f"hf://{export.repository if export else entry.repository}",
        aliases=entry.aliases,
        published=asdict(entry.published),
    )


def _state_of(entry: CatalogEntry, folder: Path | None) -> str:
    if folder:
        return INSTALLED
    if entry.ready_export:
        return READY
    return CONVERT if entry.loader == "native" else ADAPTER


def _row_of_bundle(folder: Path) -> ModelRow:
    from clipworks.encoders.bundle import read_bundle

    card = read_bundle(folder, check_hashes=False).card
    return ModelRow(
        name=card.name,
        family=card.family,
        image_size=card.image.height,
        embedding_dim=card.embedding_dim,
        context_length=card.text.context_length,
        activation=card.activation,
        image_parameters=None,
        text_parameters=None,
        num_parameters=None,
        size_bytes=_folder_size(folder),
        size_is_estimate=False,
        licence=card.licence,
        attribution=card.attribution or None,
        state=INSTALLED,
        loader=None,
        folder=str(folder),
        source=card.source,
        aliases=(),
        published={},
    )


def _folder_size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _check_family(family: str | None, rows: list[ModelRow]) -> None:
    families = sorted({row.family for row in rows})
    if family is not None and family not in families:
        raise SettingsError(f"no family {family!r}: expected one of {', '.join(families)}")


def _fits(row: ModelRow, words: list[str]) -> bool:
    """Each word stands somewhere; hyphens and underscores are one, as in a model's name."""
    texts = (row.name, *row.aliases, row.family, row.licence or "unknown", row.state)
    simple = [_simplify(text) for text in texts]
    return all(any(_simplify(word) in text for text in simple) for word in words)


def _simplify(text: str) -> str:
    return text.casefold().replace("-", "_")


def _sort_key(row: ModelRow, sort: SortKey) -> tuple[Any, ...]:
    imagenet = -(row.published.get("imagenet_top1") or 0.0)
    coco = -(row.published.get("coco_text_to_image_r1") or 0.0)
    return {
        SortKey.SIZE: (row.num_parameters or 0, row.image_size, imagenet, row.name),
        SortKey.NAME: (row.name.casefold(),),
        SortKey.ACCURACY: (imagenet, row.num_parameters or 0, row.name),
        SortKey.RETRIEVAL: (coco, row.num_parameters or 0, row.name),
    }[sort]


_TITLES = (
    "model", "family", "pixels", "dim", "context", "params", "size", "licence", "ImageNet", "COCO",
    "Flickr", "state",
)  # fmt: skip
_NUMBERS = {"pixels", "dim", "context", "params", "size", "ImageNet", "COCO", "Flickr"}
# What one chooses by comes first; the rest as far as the terminal is wide.
_BY_IMPORTANCE = (
    "model", "state", "size", "ImageNet", "pixels", "COCO", "licence", "dim", "context", "params",
    "family", "Flickr",
)  # fmt: skip
_ROOMY = 100  # columns, from which on two spaces stand between the table's


def models_table(rows: list[ModelRow], *, width: int) -> Table:
    """Draw the list, with as many columns as fit.

    Args:
        rows: at least one.
        width: of the terminal, in characters.
    """
    from rich.table import Table

    cells = [_cells(row) for row in rows]
    gap = 2 if width >= _ROOMY else 1
    titles = _fitting_titles(cells, width, gap)
    table = Table(box=None, header_style="bold", padding=(0, gap, 0, 0), pad_edge=False)
    for title in titles:
        table.add_column(title, justify="right" if title in _NUMBERS else "left", no_wrap=True)
    for row, texts in zip(rows, cells, strict=True):
        style = "green" if row.state == INSTALLED else None
        table.add_row(*(texts[title] for title in titles), style=style)
    return table


def _fitting_titles(cells: list[dict[str, str]], width: int, gap: int) -> list[str]:
    chosen, used = set(), -gap
    for title in _BY_IMPORTANCE:
        longest = max(len(texts[title]) for texts in cells)
        needed = max(len(title), longest) + gap
        if longest and used + needed <= width:
            chosen.add(title)
            used += needed
    return [title for title in _TITLES if title in chosen]


def _cells(row: ModelRow) -> dict[str, str]:
    """One line of the table, by the titles of its columns."""
    from clipworks.cli.download_bar import size_text

    towers = (row.image_parameters, row.text_parameters)
    return {
        "model": row.name,
        "family": row.family,
        "pixels": str(row.image_size),
        "dim": str(row.embedding_dim),
        "context": str(row.context_length),
        "params": " + ".join(f"{number / 1e6:.0f}" for number in towers if number is not None),
        "size": size_text(row.size_bytes),
        "licence": row.licence or "?",
        "ImageNet": _percent(row.published.get("imagenet_top1")),
        "COCO": _recalls(row, "coco"),
        "Flickr": _recalls(row, "flickr30k"),
        "state": row.state,
    }


def _recalls(row: ModelRow, dataset: str) -> str:
    ways = [row.published.get(f"{dataset}_{way}_r1") for way in ("text_to_image", "image_to_text")]
    return " ".join(_percent(figure) or "-" for figure in ways) if any(ways) else ""


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"
