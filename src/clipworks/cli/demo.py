"""`clipworks demo`: pictures that come with the package, embedded, indexed and searched."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipworks.cli.options import Json, Model
from clipworks.errors import FolderError, ModelMismatchError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from clipworks.embed.outcome import EmbedReport
    from clipworks.encoders.embedder import Embedder
    from clipworks.search.contact_sheet import Answer

Out = Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")]
Open = Annotated[bool, typer.Option("--open", help="Show the results in the browser.")]

QUERIES = (
    "a red fruit",
    "a vehicle",
    "a musical instrument",
    "a sea animal",
    "a building",
)
_NUM_RESULTS = 6
_AS_PICTURE = "\ufe0f"  # after a character: draw it in colour, not as a sign of the text,
_LAST_SIGN = "\uffff"  # which only the older ones can be
_ATTRIBUTION_FILE = "ATTRIBUTION.md"
_ATTRIBUTION = "Pictures: Twemoji, © Twitter, Inc and other contributors, CC-BY-4.0."


def demo(
    out: Out = Path("clipworks-demo"),
    open_page: Open = False,
    model: Model = "pictograms",
    json: Json = False,
) -> None:
    """Embed a hundred small pictures, index them, and answer five queries: offline, in seconds."""
    from clipworks.cli.console import print_json, result_console
    from clipworks.cli.model_option import pull_model
    from clipworks.cli.search import (
        answer_json,
        find_answers,
        show_in_browser,
        write_page,
    )
    from clipworks.cli.search_filters import make_queries
    from clipworks.encoders.loading import load
    from clipworks.search.build import build_index
    from clipworks.search.searcher import Searcher

    pictures, folder, page = out / "pictures", out / "embeddings", out / "results.html"
    _copy_pictures(out, pictures)
    # The backend that is always there, unmeasured; one thread: the work is shared out by batches.
    embedder = load(pull_model(model), backend="onnx", num_threads=1)
    report = _embed(pictures, folder, embedder)
    _say_what_was_done(report)
    build_index(folder)
    searcher = Searcher.open(folder, embedder)
    answers = find_answers(searcher, make_queries(QUERIES, None, None), _NUM_RESULTS)
    subtitle = f"{searcher.index.size} pictures; model: {embedder.card.name}"
    write_page(page, answers, title="clipworks demo", subtitle=subtitle, footer=_ATTRIBUTION)
    if json:
        print_json([answer_json(answer) for answer in answers])
    else:
        result_console().print(_answers_table(answers))
        typer.echo(f'\nNow your own words: clipworks search {folder} "a farm animal"')
    if open_page:
        show_in_browser(page)


def _say_what_was_done(report: EmbedReport) -> None:
    done = (
        f"embedded in {report.seconds:.1f} s" if report.partitions_made else "are embedded already"
    )
    typer.echo(f"{report.embedded} pictures {done}", err=True)


def _answers_table(answers: Sequence[Answer]) -> Table:
    """A line a query, with the emoji that the pictures found are drawings of."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False)
    table.add_column(style="bold")
    table.add_column()
    for answer in answers:
        found = "  ".join(_as_emoji(hit.image_path or "") for hit in answer.hits)
        table.add_row(Text(answer.query), Text(found))
    return table


def _as_emoji(image_path: str) -> str:
    """The character that a file of ours is named after; another file's name as it is."""
    path = Path(image_path)
    try:
        character = chr(int(path.stem, 16))
    except (ValueError, OverflowError):
        return path.name
    return character if character > _LAST_SIGN else character + _AS_PICTURE


def _copy_pictures(out: Path, pictures: Path) -> None:
    from clipworks.data.packaged_pictures import PACKAGED_FOLDER
    from clipworks.files import write_bytes_atomic

    mark = pictures / _ATTRIBUTION_FILE
    if out.exists() and (not out.is_dir() or any(out.iterdir())) and not mark.exists():
        raise FolderError(f"{out} is there already, and no demo of ours: give another with --out")
    # The attribution comes first: it marks the folder as ours, should we be killed in between.
    ours = sorted(PACKAGED_FOLDER.iterdir(), key=lambda file: (file.name != mark.name, file.name))
    try:
        for file in ours:
            target, content = pictures / file.name, file.read_bytes()
            if not target.exists() or target.read_bytes() != content:
                write_bytes_atomic(target, content)
    except OSError as error:
        raise FolderError(f"{out} cannot be written: {error.strerror or error}") from error


def _embed(pictures: Path, folder: Path, embedder: Embedder) -> EmbedReport:
    from clipworks.cli.console import progress_bar
    from clipworks.embed.outcome import EmbedProgress
    from clipworks.embed.pipeline import embed_folder

    with progress_bar() as progress:
        task = progress.add_task("pictures", total=None, rate="")

        def tell(state: EmbedProgress) -> None:
            progress.update(task, completed=state.done, total=state.total)

        try:
            return embed_folder(pictures, folder, embedder, report=tell)
        except (ModelMismatchError, SettingsError):
            # An older demo's, or somebody has put pictures of their own beside ours.
            shutil.rmtree(folder)
            return embed_folder(pictures, folder, embedder, report=tell)
