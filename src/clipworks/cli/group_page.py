"""Groups of a folder's pictures as one page: a section for each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clipworks.arrays import Embeddings
    from clipworks.search.folder_vectors import FolderVectors


def write_group_page(
    page: Path,
    vectors: FolderVectors,
    groups: Sequence[tuple[str, Sequence[int]]],
    *,
    title: str,
    subtitle: str,
    centres: Embeddings | None = None,
) -> None:
    """Write a page of groups; the bars show how near each row is to its group's middle.

    Args:
        page: is written.
        vectors: the folder's.
        groups: each with its heading and its rows.
        title: of the page.
        subtitle: a line below the title.
        centres: the groups' middles, unit rows [group dim]; by default each group's first row.

    Raises:
        FolderError: the page cannot be written.
    """
    import numpy as np

    from clipworks.cli.search import write_page
    from clipworks.search.contact_sheet import Answer
    from clipworks.search.hits import Hit, sample_names

    answers = []
    for number, (heading, rows) in enumerate(groups):
        embeddings = vectors.take(np.asarray(rows))
        cosines = embeddings @ (embeddings[0] if centres is None else centres[number])
        hits = []
        for place, (row, record) in enumerate(zip(rows, vectors.metadata.rows(rows), strict=True)):
            path, caption = sample_names(record)
            hits.append(Hit(place + 1, float(cosines[place]), int(row), path, caption, record))
        answers.append(Answer(heading, hits))
    write_page(page, answers, title=title, subtitle=subtitle)
