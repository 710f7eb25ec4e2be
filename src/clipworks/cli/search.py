"""`clipworks search`: words, pictures and sums of them to what is nearest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipworks.cli.folder_model import FolderModel
from clipworks.cli.options import Backend, Device, EmbeddingFolder, Json, Precision, Threads
from clipworks.cli.search_filters import (
    Dedup,
    DedupThreshold,
    Expressions,
    Heads,
    ModalityOption,
    Pictures,
    Relevant,
    Where,
    Words,
)
from clipworks.errors import FolderError, SettingsError

if TYPE_CHECKING:
    from rich.console import Group

    from clipworks.search.contact_sheet import Answer
    from clipworks.search.hits import Hit
    from clipworks.search.query import Query
    from clipworks.search.search_options import SearchOptions
    from clipworks.search.searcher import Searcher

NumResults = Annotated[
    int,
    typer.Option(
        "--num-results", "-k", envvar="CLIPWORKS_NUM_RESULTS", help="How many, for each query."
    ),
]
Offset = Annotated[int, typer.Option(min=0, help="Pass over this many of the best: later pages.")]
AestheticFile = Annotated[
    str,
    typer.Option(
        "--aesthetic",
        metavar="FILE[:WEIGHT]",
        help="Turn queries to one of LAION's ratings, for example rating9.npy:0.5.",
        show_default=False,
    ),
]
WithEmbeddings = Annotated[
    bool, typer.Option("--embeddings", help="Give each hit's embedding, in JSON.")
]
Html = Annotated[
    Path | None, typer.Option(help="Write the results as a page to this file.", show_default=False)
]
Open = Annotated[bool, typer.Option("--open", help="Show the results as a page in the browser.")]


def search(
    folder: EmbeddingFolder,
    words: Words = None,
    expressions: Expressions = None,
    images: Pictures = None,
    num_results: NumResults = 10,
    offset: Offset = 0,
    where: Where = "",
    relevant: Relevant = False,
    dedup: Dedup = False,
    dedup_threshold: DedupThreshold = 0.94,
    heads: Heads = None,
    aesthetic: AestheticFile = "",
    modality: ModalityOption = "image",
    embeddings: WithEmbeddings = False,
    html: Html = None,
    open_page: Open = False,
    model: FolderModel = None,
    backend: Backend = "auto",
    device: Device = "cpu",
    precision: Precision = None,
    threads: Threads = 0,
    json: Json = False,
) -> None:
    """Search an embedding folder with words, pictures, and sums of them."""
    from clipworks.cli.folder_model import load_folder_model
    from clipworks.cli.model_option import RunOptions
    from clipworks.cli.search_filters import (
        check_modality,
        make_queries,
        read_aesthetic,
        read_heads,
    )
    from clipworks.search.search_options import SearchOptions
    from clipworks.search.searcher import Searcher

    queries = make_queries(words, expressions, images)
    if not queries:
        raise SettingsError('nothing to look for: give words, such as "a red apple", or --image')
    options = SearchOptions(
        where=where,
        relevant=relevant,
        heads=read_heads(heads),
        dedup=dedup_threshold if dedup else None,
        probabilities=True,
        embeddings=_check_embeddings(embeddings, json=json),
        aesthetic=read_aesthetic(aesthetic),
    )
    kind = check_modality(modality)
    how = RunOptions(backend, device, precision, threads)
    searcher = Searcher.open(folder, load_folder_model(folder, model, how), modality=kind)
    _say_if_slow(folder, searcher)
    _say_if_words_are_new(searcher, queries)
    answers = find_answers(searcher, queries, num_results, offset=offset, options=options)
    _print(answers, json=json)
    if html or open_page:
        _show(answers, searcher, folder, html, in_browser=open_page)


def _show(
    answers: Sequence[Answer],
    searcher: Searcher,
    folder: Path,
    html: Path | None,
    *,
    in_browser: bool,
) -> None:
    page = html or _temporary_folder() / "results.html"
    write_page(page, answers, title=_page_title(answers), subtitle=_about(searcher, folder))
    if in_browser:
        show_in_browser(page)


def find_answers(
    searcher: Searcher,
    queries: Sequence[Query],
    k: int,
    *,
    offset: int = 0,
    options: SearchOptions | None = None,
) -> list[Answer]:
    """Answer each query."""
    from clipworks.search.contact_sheet import Answer
    from clipworks.search.search_options import SearchOptions

    chosen = options or SearchOptions()
    return [
        Answer(query.label, searcher.search(query, k, offset=offset, options=chosen), query.picture)
        for query in queries
    ]


def _check_embeddings(wanted: bool, *, json: bool) -> bool:
    if wanted and not json:
        raise SettingsError("--embeddings are for programs: give --json too")
    return wanted


def _print(answers: Sequence[Answer], *, json: bool) -> None:
    from clipworks.cli.console import print_json, result_console

    if json:
        print_json([answer_json(answer) for answer in answers])
        return
    console = result_console()
    for answer in answers:
        console.print(hits_table(answer))


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
    table.add_column(justify="right", style="cyan")
    table.add_column(overflow="fold")
    best = max((hit.similarity for hit in answer.hits), default=0.0)
    if not answer.hits:
        table.add_row("", "", "", "", Text("nothing was found", style="dim"))
    for hit in answer.hits:
        share = max(0.0, hit.similarity / best) if best > 0 else 0.0
        name = Text(_short_path(hit.image_path))
        if hit.caption:
            name = Text(hit.caption).append(f"  {name}", style="dim")
        bar = Bar(1.0, 0.0, share, width=12, color="blue")
        table.add_row(str(hit.rank), f"{hit.similarity:.3f}", bar, _figures(hit), name)
    return Group(Text(answer.query, style="bold", no_wrap=True, overflow="ignore"), table)


def _figures(hit: Hit) -> str:
    """The probability, and what heads say."""
    figures = [] if hit.probability is None else [f"{hit.probability:.0%}"]
    return "  ".join([*figures, *(f"{name} {score:.2f}" for name, score in hit.scores.items())])


def _short_path(image_path: str | None) -> str:
    """Leave out the current folder."""
    path, here = Path(image_path or ""), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else image_path or ""


def _about(searcher: Searcher, folder: Path) -> str:
    kind = "pictures" if searcher.modality == "image" else "captions"
    return f"{searcher.index.size} {kind} in {folder}; model: {searcher.embedder.card.name}"


def _say_if_words_are_new(searcher: Searcher, queries: Sequence[Query]) -> None:
    from clipworks.cli.search_filters import say_words_are_embedded

    if any(searcher.can_judge(query) for query in queries):
        say_words_are_embedded(searcher.embedder)


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
