"""`--copy-to` and `--link`: chosen samples as a folder of their own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clipworks.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clipworks.search.copied_folder import CopyReport, LinkKind
    from clipworks.search.folder_vectors import FolderVectors

CopyTo = Annotated[
    Path | None,
    typer.Option(
        "--copy-to",
        help="Copy the pictures to this new folder, with captions and a table (samples.csv).",
        show_default=False,
    ),
]
Link = Annotated[
    str, typer.Option("--link", help="With --copy-to: copy, or link instead (hard, symbolic).")
]


def check_link(given: str) -> LinkKind:
    """Return the kind of link.

    Raises:
        SettingsError: there is no such one.
    """
    if given == "copy":
        return "copy"
    if given == "hard":
        return "hard"
    if given == "symbolic":
        return "symbolic"
    raise SettingsError(f"--link {given!r}: expected copy, hard or symbolic")


def copy_rows(
    vectors: FolderVectors,
    ids: Sequence[int],
    out: Path,
    *,
    link: LinkKind,
    figures: Mapping[str, Sequence[float]] | None = None,
) -> CopyReport:
    """Copy some rows' pictures, with a bar; what could not be copied is named on stderr.

    Raises:
        FolderError: the folder cannot be written.
    """
    from clipworks.cli.console import counted, stage_watcher
    from clipworks.search.copied_folder import CopiedSample, copy_samples
    from clipworks.search.hits import sample_names

    samples: list[CopiedSample] = []
    for place, (row, record) in enumerate(zip(ids, vectors.metadata.rows(ids), strict=True)):
        path, caption = sample_names(record)
        fields: dict[str, Any] = {name: values[place] for name, values in (figures or {}).items()}
        samples.append(CopiedSample(int(row), path or "", caption, {**fields, **record}))
    with stage_watcher() as watch:
        report = copy_samples(
            samples, out, link=link, report=lambda done, total: watch("copying", done, total)
        )
    for path, reason in report.failed:
        typer.echo(f"clipworks: {path or 'a sample without a path'}: {reason}", err=True)
    typer.echo(f"copied {counted(report.copied, 'picture')} into {out}", err=True)
    return report
