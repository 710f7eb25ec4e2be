"""`clipworks map`: a folder as one page, on which alike pictures lie near to each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clipworks.cli.folder_model import FolderModel
from clipworks.cli.options import EmbeddingFolder, Json
from clipworks.errors import FolderError, MissingExtraError, SettingsError

if TYPE_CHECKING:
    import numpy as np

    from clipworks.search.folder_vectors import FolderVectors
    from clipworks.search.map_layout import LayoutMethod, Points
    from clipworks.search.map_page import Colouring

Out = Annotated[Path, typer.Option("--out", "-o", help="The page to write.")]
Method = Annotated[
    str,
    typer.Option(
        help=r"umap (pip install 'clipworks\[map]'), pca, or auto: umap where it is there."
    ),
]
ColourBy = Annotated[
    str,
    typer.Option("--colour", help="The metadata column that is shown first; all are on the page."),
]
Count = Annotated[
    int, typer.Option("--clusters", "-n", min=1, envvar="CLIPWORKS_CLUSTERS", help="Colours.")
]
NameBy = Annotated[
    str, typer.Option("--names", help="Name groups by everyday words, captions, or none (numbers).")
]
Limit = Annotated[int, typer.Option(min=1, help="Draw at most so many, chosen evenly at random.")]
Seed = Annotated[int, typer.Option(min=0, help="The same one gives the same map.")]
Open = Annotated[bool, typer.Option("--open", help="Show the page in the browser.")]

_MAX_COLUMNS = 8


def map(
    folder: EmbeddingFolder,
    out: Out = Path("map.html"),
    method: Method = "auto",
    colour: ColourBy = "",
    clusters: Count = 12,
    names: NameBy = "words",
    limit: Limit = 20_000,
    seed: Seed = 0,
    open_page: Open = False,
    model: FolderModel = None,
    json: Json = False,
) -> None:
    """Draw a folder as a page to wander about in: pan, zoom, find, and colour by what there is."""
    import numpy as np

    from clipworks.cli.console import print_json
    from clipworks.cli.search import show_in_browser
    from clipworks.files import write_bytes_atomic
    from clipworks.search.folder_vectors import open_vectors

    vectors = open_vectors(folder)
    ids = vectors.ids
    if len(ids) > limit:
        typer.echo(f"drawing {limit} of {len(ids)} pictures (--limit)", err=True)
        ids = np.sort(np.random.default_rng(seed).choice(ids, limit, replace=False))
    _check_method(method)
    # Before the layout, which takes longest: what was asked for wrongly is told at once.
    colourings = _put_first(
        _colourings(folder, vectors, ids, names=names, count=clusters, model=model), colour
    )
    used, points = _lay_out(vectors, ids, method, seed)
    page = _render(folder, vectors, ids, points, colourings)
    try:
        write_bytes_atomic(out, page.encode())
    except OSError as error:
        raise FolderError(f"{out} cannot be written: {error.strerror or error}") from error
    typer.echo(f"wrote {out} ({len(page) / 1e6:.1f} MB, laid out by {used})", err=True)
    if json:
        print_json({"page": str(out), "pictures": len(ids), "method": used})
    if open_page:
        show_in_browser(out)


def _check_method(method: str) -> None:
    if method not in ("auto", "umap", "pca"):
        raise SettingsError(f"--method {method!r}: expected umap, pca or auto")


def _lay_out(
    vectors: FolderVectors, ids: np.ndarray, method: str, seed: int
) -> tuple[LayoutMethod, Points]:
    from clipworks.search.map_layout import lay_out

    rows = vectors.take(ids)
    if method != "pca":
        typer.echo(f"laying {len(ids)} pictures out", err=True)
        try:
            return "umap", lay_out(rows, "umap", seed=seed)
        except MissingExtraError as error:
            if method == "umap":
                raise
            typer.echo(f"taking PCA, which tells less apart, instead of UMAP: {error}", err=True)
    return "pca", lay_out(rows, "pca")


def _colourings(
    folder: Path,
    vectors: FolderVectors,
    ids: np.ndarray,
    *,
    names: str,
    count: int,
    model: str | None,
) -> list[Colouring]:
    from clipworks.cli.cluster import find_names, find_with_bar
    from clipworks.cli.model_option import RunOptions
    from clipworks.data.embedding_folder import CAPTION_COLUMN, IMAGE_PATH_COLUMN
    from clipworks.search.map_page import Colouring, colour_by_column

    clusters = find_with_bar(vectors, count, seed=0)
    kinds = [f"group {number + 1}" for number in range(len(clusters.sizes))]
    if names != "none":
        named = find_names(folder, vectors, clusters, by=names, model=model, how=RunOptions())
        kinds = [", ".join(words) for words in named]
    colourings = [Colouring("group", clusters.labels[ids].tolist(), kinds)]
    for column in vectors.metadata.columns:
        if column in (CAPTION_COLUMN, IMAGE_PATH_COLUMN) or len(colourings) > _MAX_COLUMNS:
            continue
        found = colour_by_column(column, _column(vectors, column).take(ids))
        if found:
            colourings.append(found)
    return colourings


def _column(vectors: FolderVectors, name: str) -> Any:  # noqa: ANN401 - pyarrow's
    import pyarrow as pa

    tables = vectors.metadata.tables([name])
    return pa.chunked_array([chunk for _, table in tables for chunk in table.column(0).chunks])


def _put_first(colourings: list[Colouring], name: str) -> list[Colouring]:
    if not name:
        return colourings
    chosen = [one for one in colourings if one.name == name]
    if not chosen:
        there = ", ".join(one.name for one in colourings)
        raise SettingsError(f"--colour {name!r}: expected one of {there}")
    return chosen + [one for one in colourings if one.name != name]


def _render(
    folder: Path,
    vectors: FolderVectors,
    ids: np.ndarray,
    points: Points,
    colourings: list[Colouring],
) -> str:
    from clipworks.cli.console import stage_watcher
    from clipworks.search.hits import sample_names
    from clipworks.search.map_page import MapData, render_map
    from clipworks.search.thumbnails import choose_tile_px, make_sheets

    samples = [sample_names(record) for record in vectors.metadata.rows(ids)]
    paths = [path for path, _ in samples]
    tile_px = choose_tile_px(len(ids))
    with stage_watcher() as watch:
        sheets, missing = make_sheets(
            paths, tile_px, lambda done, total: watch("thumbnails", done, total)
        )
    if missing:
        typer.echo(f"{missing} of {len(ids)} pictures cannot be read, and are dots", err=True)
    data = MapData(
        title=folder.resolve().name,
        subtitle=f"{len(ids):,} pictures; drag, zoom, point",
        points=points,
        names=[path or f"row {row}" for path, row in zip(paths, ids, strict=True)],
        captions=[caption or "" for _, caption in samples],
        colourings=colourings,
        sheets=sheets if missing < len(ids) else [],
        tile_px=tile_px,
    )
    return render_map(data)
