"""An embedding folder to an index, in the same folder and in clip-retrieval's layout.

Beside `metadata/`, which is there already, come `image.index` and `text.index`, and last of all
`index.json`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from clipworks.errors import FolderError
from clipworks.search.folder_contents import MODALITIES, FolderContents, Modality, read_contents
from clipworks.search.index import INDEXES
from clipworks.search.index_card import CARD_FILE, IndexCard, write_index_card
from clipworks.search.index_folder import DEFAULT_BACKEND, index_path
from clipworks.search.row_store import write_row_store

Report = Callable[[Modality, int, int], None]
"""Is called with the modality, the rows done and the rows in all."""


def build_index(
    folder: Path, *, backend: str = DEFAULT_BACKEND, report: Report | None = None
) -> IndexCard:
    """Index an embedding folder's pictures and texts; an index that is there is replaced.

    Args:
        folder: that `clipworks embed`, or clip-retrieval, wrote.
        backend: `faiss`, or `exact` (a plain matrix).
        report: is told how far the work is.

    Raises:
        FolderError: the folder is missing, unfinished, empty or damaged.
    """
    contents = read_contents(folder)
    if not contents.metadata.size:
        raise FolderError(f"{folder} holds no samples, so there is nothing to index")
    kinds: dict[str, str] = {}
    for modality in MODALITIES:
        path = index_path(folder, modality)
        if path.is_dir():
            raise FolderError(f"{path} is a folder that another program wrote: move it away first")
        if modality in contents.rows:
            kinds[modality] = _build_one(folder, contents, modality, backend, report)
        else:
            path.unlink(missing_ok=True)
    card = _card(contents, backend, kinds)
    write_row_store(contents.metadata)
    write_index_card(folder, card)
    return card


def _build_one(
    folder: Path,
    contents: FolderContents,
    modality: Modality,
    backend: str,
    report: Report | None,
) -> str:
    def tell(done: int, total: int) -> None:
        if report:
            report(modality, done, total)

    index = INDEXES.load(backend).build(contents.rows[modality], tell)
    # From here on until the new card is written, what lies there is not one whole.
    (folder / CARD_FILE).unlink(missing_ok=True)
    index.save(index_path(folder, modality))
    return index.kind


def _card(contents: FolderContents, backend: str, kinds: dict[str, str]) -> IndexCard:
    manifest = contents.manifest
    widths = {rows.embedding_dim for rows in contents.rows.values()}
    return IndexCard(
        backend=backend,
        model=manifest.model if manifest else "",
        fingerprint=manifest.fingerprint if manifest else "",
        embedding_dim=max(widths),
        rows=contents.metadata.size,
        kinds=kinds,
        listing_digest=manifest.listing_digest if manifest else "",
    )
