"""The options of `clipworks embed` that say how a run is carried out, and what is kept of it."""

from __future__ import annotations

from typing import Annotated

import typer

_SHARING, _KEEPING = "How the work is shared out", "What is kept"

BatchSize = Annotated[
    int,
    typer.Option(
        min=1,
        envvar="CLIPWORKS_BATCH_SIZE",
        help="Pictures in one forward pass; a GPU likes 128 and more.",
    ),
]
PartitionSize = Annotated[
    int,
    typer.Option(
        min=1,
        envvar="CLIPWORKS_PARTITION_SIZE",
        help="Samples in one partition: what a kill may lose.",
    ),
]
Workers = Annotated[
    int,
    typer.Option(
        min=0,
        envvar="CLIPWORKS_WORKERS",
        help="Threads that each carry a batch; 0 for as many as are best.",
        rich_help_panel=_SHARING,
    ),
]
Decoders = Annotated[
    int | None,
    typer.Option(
        min=0,
        envvar="CLIPWORKS_DECODERS",
        help="Processes that read and decode; 0 to do it in the threads. By default 0 on a CPU, "
        "elsewhere one a core (16 at most).",
        rich_help_panel=_SHARING,
        show_default=False,
    ),
]
Executor = Annotated[
    str,
    typer.Option(
        envvar="CLIPWORKS_EXECUTOR",
        help="Where partitions are made: local (processes here), ray or spark.",
        rich_help_panel=_SHARING,
    ),
]
NumTasks = Annotated[
    int,
    typer.Option(
        min=0,
        envvar="CLIPWORKS_NUM_TASKS",
        help="Processes, actors or tasks that each have the model; 0 for one a GPU, or as the "
        "executor has it.",
        rich_help_panel=_SHARING,
    ),
]
ShardOption = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="K/N",
        envvar="CLIPWORKS_SHARD",
        help="Make only this share of the partitions, for one of N runs at once (K from 0).",
        rich_help_panel=_SHARING,
        show_default=False,
    ),
]
FastDecode = Annotated[
    bool,
    typer.Option(
        "--fast-decode/--exact-decode",
        envvar="CLIPWORKS_FAST_DECODE",
        help="Decode large JPEGs at reduced scale: quicker, with slightly other embeddings.",
        rich_help_panel=_KEEPING,
    ),
]
Store = Annotated[
    str,
    typer.Option(
        envvar="CLIPWORKS_STORE",
        help="How embeddings are kept: fp16, int8 (half as large) or binary (a sixteenth).",
        rich_help_panel=_KEEPING,
    ),
]
Dim = Annotated[
    int,
    typer.Option(
        min=0,
        envvar="CLIPWORKS_DIM",
        help="Keep only the first numbers of each embedding; for models trained for it "
        "(Matryoshka). 0 for all.",
        rich_help_panel=_KEEPING,
    ),
]
Profile = Annotated[
    bool, typer.Option("--profile", help="Say what bounds the run: read, decode, encode, write.")
]
