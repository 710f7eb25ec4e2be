"""`clipworks search`: words or a picture to the pictures that are nearest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipworks.cli.options import Backend, Device, EmbeddingFolder, Json, Precision, Threads
from clipworks.errors import FolderError, SettingsError, UnknownModelError

if TYPE_CHECKING:
    from rich.console import Group

    from clipworks.cli.model_option import RunOptions
    from clipworks.encoders.bundle import Bundle
    from clipworks.encoders.embedder import Embedder
    from clipworks.search.contact_sheet import Answer
    from clipworks.search.searcher import RecordedModel, Searcher

Words = Annotated[
    list[str] | None,
    typer.Argument(help="What to look for; each text is a query of its own.", show_default=False),
]
Pictures = Annotated[
    list[Path] | None,
    typer.Option("--image", "-i", help="Look for what resembles this picture.", show_default=False),
]
NumResults = Annotated[
    int,
    typer.Option(
        "--num-results", "-k", envvar="CLIPWORKS_NUM_RESULTS", help="How many, for each query."
    ),
]
Html = Annotated[
    Path | None, typer.Option(help="Write the results as a page to this file.", show_default=False)
]
Open = Annotated[bool, typer.Option("--open", help="Show the results as a page in the browser.")]
Model = Annotated[
    str | None,
    typer.Option(
        "--model", "-m",
        envvar="CLIPWORKS_MODEL",
        help="A name or a bundle's folder; by default the model that made the folder.",
        show_default=False,
    ),
]  # fmt: skip


def search(
    folder: EmbeddingFolder,
    words: Words = None,
    images: Pictures = None,
    num_results: NumResults = 10,
    html: Html = None,
    open_page: Open = False,
    model: Model = None,
    backend: Backend = "auto",
    device: Device = "cpu",
    precision: Precision = None,
    threads: Threads = 0,
    json: Json = False,
) -> None:
    """Search an embedding folder with words or pictures."""
    from clipworks.cli.console import print_json, result_console
    from clipworks.cli.model_option import RunOptions
    from clipworks.search.searcher import Searcher, recorded_model

    if not words and not images:
        raise SettingsError('nothing to look for: give words, such as "a red apple", or --image')
    how = RunOptions(backend, device, precision, threads)
    embedder = _load_model(folder, model, recorded_model(folder), how)
    searcher = Searcher.open(folder, embedder)
    _say_if_slow(folder, searcher)
    answers = find_answers(searcher, words or [], images or [], num_results)
    if json:
        print_json([answer_json(answer) for answer in answers])
    else:
        console = result_console()
        for answer in answers:
            console.print(hits_table(answer))
    if html or open_page:
        page = html or _temporary_folder() / "results.html"
        subtitle = f"{searcher.index.size} pictures in {folder}; model: {embedder.card.name}"
        write_page(page, answers, title=_page_title(answers), subtitle=subtitle)
        if open_page:
            show_in_browser(page)


def find_answers(
    searcher: Searcher, words: Sequence[str], images: Sequence[Path], k: int
) -> list[Answer]:
    """Answer each text and each picture."""
    from clipworks.search.contact_sheet import Answer

    texts = [Answer(text, searcher.search_text(text, k)) for text in words]
    return texts + [Answer(path.name, searcher.search_image(path, k), path) for path in images]


def answer_json(answer: Answer) -> dict[str, object]:
    """Plain values for `--json`."""
    query = str(answer.picture) if answer.picture else answer.query
    return {"query": query, "hits": [hit.to_json() for hit in answer.hits]}


def hits_table(answer: Answer) -> Group:
    """Draw one query's hits; bars are relative to the best of them."""
    from rich.bar import Bar
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False)
    table.add_column(justify="right", style="dim", width=3)
    table.add_column(justify="right", width=6)
    table.add_column(width=12)
    table.add_column(overflow="fold")
    best = max((hit.similarity for hit in answer.hits), default=0.0)
    for hit in answer.hits:
        share = max(0.0, hit.similarity / best) if best > 0 else 0.0
        name = Text(_short_path(hit.image_path))
        if hit.caption:
            name = Text(hit.caption).append(f"  {name}", style="dim")
        bar = Bar(1.0, 0.0, share, width=12, color="blue")
        table.add_row(str(hit.rank), f"{hit.similarity:.3f}", bar, name)
    return Group(Text(answer.query, style="bold", no_wrap=True, overflow="ignore"), table)


def _short_path(image_path: str | None) -> str:
    """Leave out the current folder."""
    path, here = Path(image_path or ""), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else image_path or ""


def _load_model(
    folder: Path, model: str | None, recorded: RecordedModel | None, how: RunOptions
) -> Embedder:
    from clipworks.cli.model_option import load_model, pull_model
    from clipworks.encoders.loading import DEFAULT_MODEL

    if not model and not recorded:
        typer.echo(
            f"{folder} does not say which model made it: taking {DEFAULT_MODEL}, unchecked "
            "(--model names another)",
            err=True,
        )
        return load_model(DEFAULT_MODEL, how)
    try:
        bundle = pull_model(model or (recorded.name if recorded else DEFAULT_MODEL))
    except UnknownModelError as error:
        if model or not recorded:
            raise
        raise UnknownModelError(
            f"{folder} was made with {recorded.name} (fingerprint {recorded.fingerprint}), which "
            f"cannot be had by that name ({error}): give its bundle's folder with --model"
        ) from error
    return load_model(bundle, _as_recorded(how, bundle, recorded))


def _as_recorded(how: RunOptions, bundle: Bundle, recorded: RecordedModel | None) -> RunOptions:
    """Compute queries in what the folder was computed in, unless told otherwise."""
    from clipworks.encoders.computed_precision import find_precision

    if how.precision or not recorded:
        return how
    return replace(how, precision=find_precision(bundle.card, recorded.fingerprint))


def _say_if_slow(folder: Path, searcher: Searcher) -> None:
    if searcher.index.kind == "exact":
        typer.echo(
            f"{folder} has no index: comparing with all {searcher.index.size} rows "
            f"(clipworks index {folder} makes searches fast)",
            err=True,
        )


def write_page(
    path: Path, answers: Sequence[Answer], *, title: str, subtitle: str, footer: str = ""
) -> None:
    """Write the results as a page, and say where.

    Raises:
        FolderError: the page cannot be written there.
    """
    from clipworks.files import write_bytes_atomic
    from clipworks.search.contact_sheet import render_contact_sheet

    page = render_contact_sheet(answers, title=title, subtitle=subtitle, footer=footer)
    try:
        write_bytes_atomic(path, page.encode())
    except OSError as error:
        raise FolderError(f"{path} cannot be written: {error.strerror or error}") from error
    typer.echo(f"wrote {path}", err=True)


def show_in_browser(page: Path) -> None:
    """Open a page with whatever the user browses with."""
    import webbrowser

    webbrowser.open(page.resolve().as_uri())


def _temporary_folder() -> Path:
    import tempfile

    return Path(tempfile.mkdtemp(prefix="clipworks-"))


def _page_title(answers: Sequence[Answer]) -> str:
    return answers[0].query if len(answers) == 1 else f"{len(answers)} queries"
