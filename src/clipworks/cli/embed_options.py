"""What `clipworks embed` is told: what is read, how the work is shared out, what is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_READING = "What is read"
_SHARING, _KEEPING = "How the work is shared out", "What is kept"

Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE",
        help="A folder of pictures with captions (.txt) and fields (.json) of the same name; "
        "tars, as {00000..00099}.tar; what img2dataset wrote; parquet, CSV, TSV or JSONL with a "
        "column of paths, addresses or bytes; addresses (https://, s3:// and others); or - for "
        "paths, addresses or JSON objects on stdin.",
        show_default=False,
    ),
]
SourceKind = Annotated[
    str | None,
    typer.Option(
        envvar="CLIPWORKS_SOURCE_KIND",
        help="What the source is, where its name does not tell: folder, webdataset, img2dataset, "
        "parquet, csv, tsv, jsonl, paths (one a line) or lines (texts, one a line).",
        show_default=False,
        rich_help_panel=_READING,
    ),
]
Modality = Annotated[
    str,
    typer.Option(
        envvar="CLIPWORKS_MODALITY",
        help="What is embedded: image, text, both, or auto: what there is.",
        rich_help_panel=_READING,
    ),
]
ImageColumn = Annotated[
    str | None,
    typer.Option(
        "--image-column", "--image-key",
        envvar="CLIPWORKS_IMAGE_COLUMN",
        help="A table's column of pictures, or the pictures' extension in tars.",
        show_default=False,
        rich_help_panel=_READING,
    ),
]  # fmt: skip
CaptionColumn = Annotated[
    str | None,
    typer.Option(
        "--caption-column", "--caption-key",
        envvar="CLIPWORKS_CAPTION_COLUMN",
        help="A table's column of captions, or the captions' extension in tars.",
        show_default=False,
        rich_help_panel=_READING,
    ),
]  # fmt: skip
Null = Annotated[
    bool,
    typer.Option(
        "--null", "-0",
        help="Paths on stdin end in NUL, as `find -print0` writes them.",
        rich_help_panel=_READING,
    ),
]  # fmt: skip
UrlTimeout = Annotated[
    float,
    typer.Option(
        min=0.1,
        envvar="CLIPWORKS_URL_TIMEOUT",
        help="Seconds that one try to fetch an address may take; there are three.",
        rich_help_panel=_READING,
    ),
]
Out = Annotated[
    Path,
    typer.Option(
        "--out", "-o", envvar="CLIPWORKS_OUT", help="The embedding folder.", show_default=False
    ),
]
BatchSize = Annotated[
    int,
    typer.Option(
        min=0,
        envvar="CLIPWORKS_BATCH_SIZE",
        help="Pictures in one forward pass; 0 for as many as the folder was begun with, or 8 on a "
        "CPU and 32 elsewhere. A GPU likes 128 and more.",
        rich_help_panel=_SHARING,
    ),
]
PartitionSize = Annotated[
    int,
    typer.Option(
        min=1,
        envvar="CLIPWORKS_PARTITION_SIZE",
        help="Samples in one partition: what a kill may lose.",
        rich_help_panel=_SHARING,
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
FastResize = Annotated[
    bool | None,
    typer.Option(
        "--fast-resize/--exact-resize",
        envvar="CLIPWORKS_FAST_RESIZE",
        help="Resize eight times as fast as Pillow, which moves an embedding about as much as half "
        "floats do. By default as the folder was begun, else fast where the library for it is "
        "installed.",
        rich_help_panel=_KEEPING,
        show_default=False,
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
