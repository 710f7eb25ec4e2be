"""`clipworks index`: an embedding folder to an index that answers fast."""

from __future__ import annotations

from clipworks.cli.options import EmbeddingFolder, Json


def index(folder: EmbeddingFolder, json: Json = False) -> None:
    """Index an embedding folder, so that searches in it are fast."""
    from clipworks.cli.console import print_json, progress_bar, result_console
    from clipworks.search.build import build_index

    with progress_bar() as progress:
        tasks = {}

        def tell(modality: str, done: int, total: int) -> None:
            if modality not in tasks:
                tasks[modality] = progress.add_task(f"{modality}s", total=total, rate="rows")
            progress.update(tasks[modality], completed=done)

        card = build_index(folder, report=tell)
    if json:
        print_json(card.to_json())
        return
    kinds = ", ".join(f"{modality}s: {kind}" for modality, kind in card.kinds.items())
    result_console().print(
        f"{folder}: {card.rows} rows of {card.embedding_dim} numbers ({kinds})",
        markup=False,
        soft_wrap=True,
    )
