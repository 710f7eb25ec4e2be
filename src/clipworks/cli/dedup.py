"""`clipworks dedup`: the groups of near duplicates in a folder, and what is left without them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clipworks.cli.copy_options import CopyTo, Link
from clipworks.cli.options import EmbeddingFolder, Json
from clipworks.cli.search_filters import Where

if TYPE_CHECKING:
    from clipworks.search.duplicate_groups import Groups
    from clipworks.search.folder_vectors import FolderVectors

Threshold = Annotated[
    float,
    typer.Option(
        "--threshold", "-t",
        envvar="CLIPWORKS_DEDUP_THRESHOLD",
        help="The cosine from which on two are duplicates.",
    ),
]  # fmt: skip
Exact = Annotated[
    bool, typer.Option("--exact", help="Only files that hold the same bytes, whatever the cosine.")
]
Kept = Annotated[
    Path | None,
    typer.Option(
        "--kept",
        help="Write the paths that stay, one a line: the first of each group and all others.",
        show_default=False,
    ),
]
Html = Annotated[
    Path | None, typer.Option(help="Write the groups as a page to this file.", show_default=False)
]

_GROUPS_SHOWN = 30
_GROUPS_ON_PAGE = 200
_PICTURES_A_GROUP = 12


def dedup(
    folder: EmbeddingFolder,
    threshold: Threshold = 0.94,
    exact: Exact = False,
    where: Where = "",
    kept: Kept = None,
    copy_to: CopyTo = None,
    link: Link = "copy",
    html: Html = None,
    json: Json = False,
) -> None:
    """List the groups of pictures that are near duplicates; nothing is deleted."""
    from clipworks.cli.copy_options import check_link, copy_rows
    from clipworks.search.folder_vectors import open_vectors
    from clipworks.search.metadata_filter import allowed_rows

    link_kind = check_link(link)
    vectors = open_vectors(folder)
    ids = vectors.ids
    if where:
        ids = ids[allowed_rows(vectors.metadata, where)[ids]]
    groups = _find_same(vectors, ids) if exact else _find_near(vectors, ids, threshold)
    dropped = {row for group in groups for row in group[1:]}
    _print(vectors, groups, checked=len(ids), dropped=len(dropped), json=json)
    staying = [int(row) for row in ids if int(row) not in dropped]
    if kept:
        _write_kept(kept, vectors, staying)
    if html:
        _write_page(html, folder, vectors, groups)
    if copy_to and copy_rows(vectors, staying, copy_to, link=link_kind).failed:
        raise typer.Exit(1)


def _find_near(vectors: FolderVectors, ids: Any, threshold: float) -> Groups:  # noqa: ANN401
    from clipworks.cli.console import stage_watcher
    from clipworks.search.duplicate_groups import find_near_duplicates

    with stage_watcher() as watch:
        return find_near_duplicates(
            vectors, threshold, ids=ids, report=lambda done, total: watch("rows", done, total)
        )


def _find_same(vectors: FolderVectors, ids: Any) -> Groups:  # noqa: ANN401
    from clipworks.cli.console import stage_watcher
    from clipworks.search.duplicate_groups import find_same_files

    paths = _paths(vectors, ids)
    with stage_watcher() as watch:
        groups, unread = find_same_files(paths, lambda done, total: watch("files", done, total))
    if unread:
        typer.echo(
            f"clipworks: {len(unread)} of {len(paths)} files cannot be read, and are in no group, "
            f"the first of them {paths[unread[0]]}",
            err=True,
        )
    return [[int(ids[place]) for place in group] for group in groups]


def _paths(vectors: FolderVectors, ids: Any) -> list[str]:  # noqa: ANN401
    from clipworks.search.hits import sample_names

    return [sample_names(record)[0] or "" for record in vectors.metadata.rows(ids)]


def _print(
    vectors: FolderVectors, groups: Groups, *, checked: int, dropped: int, json: bool
) -> None:
    from clipworks.cli.console import counted, print_json, result_console

    if json:
        paths = iter(_paths(vectors, [row for group in groups for row in group]))
        print_json(
            {
                "rows": checked,
                "duplicates": dropped,
                "groups": [
                    [{"id": row, "image_path": next(paths)} for row in group] for group in groups
                ],
            }
        )
        return
    console = result_console()
    if groups:
        console.print(_table(vectors, groups))
    console.print(
        f"{counted(checked, 'picture')}, {counted(len(groups), 'group')} of duplicates; "
        f"{checked - dropped:,} stay without them",
        highlight=False,
    )


def _table(vectors: FolderVectors, groups: Groups) -> Any:  # noqa: ANN401 - rich's table
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold")
    table.add_column("pictures", justify="right")
    table.add_column("stays", overflow="fold")
    table.add_column("duplicates of it", overflow="fold")
    for group in groups[:_GROUPS_SHOWN]:
        first, *others = _paths(vectors, group[: _PICTURES_A_GROUP + 1])
        names = [_short(path, first) for path in others]
        if len(group) > len(others) + 1:
            names.append(f"and {len(group) - len(others) - 1} more")
        table.add_row(str(len(group)), Text(first), Text(", ".join(names)))
    if len(groups) > _GROUPS_SHOWN:
        more = f"and {len(groups) - _GROUPS_SHOWN} groups more (--json and --html have them)"
        table.add_row("", Text(more, style="dim"), "")
    return table


def _short(path: str, beside: str) -> str:
    """A path in the same folder by its name alone."""
    return Path(path).name if Path(path).parent == Path(beside).parent else path


def _write_kept(target: Path, vectors: FolderVectors, staying: Sequence[int]) -> None:
    from clipworks.errors import FolderError
    from clipworks.files import write_bytes_atomic

    lines = "".join(f"{path}\n" for path in _paths(vectors, staying))
    try:
        write_bytes_atomic(target, lines.encode())
    except OSError as error:
        raise FolderError(f"{target} cannot be written: {error.strerror or error}") from error
    typer.echo(f"wrote {target}", err=True)


def _write_page(page: Path, folder: Path, vectors: FolderVectors, groups: Groups) -> None:
    from clipworks.cli.group_page import write_group_page

    shown = groups[:_GROUPS_ON_PAGE]
    write_group_page(
        page,
        vectors,
        [(f"{len(group)} pictures", group[:_PICTURES_A_GROUP]) for group in shown],
        title="Duplicates",
        subtitle=f"{len(groups)} groups in {folder}"
        + (f"; the {len(shown)} largest are here" if len(shown) < len(groups) else ""),
    )
