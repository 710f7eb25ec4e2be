"""The same pictures in every kind of source."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from clipworks.data.sources.opening import open_source
from clipworks.data.sources.source import AbstractSource
from clipworks.data.sources.source_options import SourceOptions
from tests.support.web_server import WebServer

WORDS = ("a red photo", "a green photo", "a blue photo", "a big red picture")


@dataclass(frozen=True)
class Item:
    """A picture's file, whole or broken, with a caption and a field."""

    content: bytes
    caption: str
    number: int

    @property
    def stem(self) -> str:
        return f"{self.number:03}"


def items(contents: Iterable[bytes]) -> list[Item]:
    return [Item(content, WORDS[n % 4], n) for n, content in enumerate(contents)]


@dataclass(frozen=True)
class Workshop:
    """Where sources are built."""

    root: Path
    server: WebServer
    patch: Any = field(repr=False)


Build = Callable[[Workshop, list[Item]], list[str]]


def write_pictures(folder: Path, given: list[Item]) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for item in given:
        (folder / f"{item.stem}.png").write_bytes(item.content)
        (folder / f"{item.stem}.txt").write_text(item.caption)
        (folder / f"{item.stem}.json").write_text(json.dumps({"number": item.number}))
    return folder


def write_tar(path: Path, given: Iterable[tuple[str, bytes]], mode: str = "w") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as tar:
        for name, content in given:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def tar_files(given: Iterable[Item], **more: object) -> Iterable[tuple[str, bytes]]:
    for item in given:
        yield f"{item.stem}.png", item.content
        yield f"{item.stem}.txt", item.caption.encode()
        yield f"{item.stem}.json", json.dumps({"number": item.number, **more}).encode()


def folder(shop: Workshop, given: list[Item]) -> list[str]:
    return [str(write_pictures(shop.root / "pictures", given))]


def memory_folder(shop: Workshop, given: list[Item]) -> list[str]:
    memory = fsspec.filesystem("memory")
    root = f"/{shop.root.name}"
    if memory.exists(root):
        memory.rm(root, recursive=True)
    for path in sorted(write_pictures(shop.root / "local", given).iterdir()):
        memory.pipe(f"{root}/pictures/{path.name}", path.read_bytes())
    return [f"memory:/{root}/pictures"]


def tars(shop: Workshop, given: list[Item]) -> list[str]:
    """Two tars of several partitions each."""
    half = len(given) // 2
    for number, part in enumerate((given[:half], given[half:])):
        write_tar(shop.root / f"tars/{number:05}.tar", tar_files(part))
    return [str(shop.root / "tars/{00000..00001}.tar")]


def compressed_tars(shop: Workshop, given: list[Item]) -> list[str]:
    shutil.rmtree(shop.root / "zipped", ignore_errors=True)
    for number in range(0, len(given), 3):
        path = shop.root / f"zipped/{number:05}.tar.gz"
        write_tar(path, tar_files(given[number : number + 3]), "w:gz")
    return [str(shop.root / "zipped")]


def web_tars(shop: Workshop, given: list[Item]) -> list[str]:
    count = len(given) // 2
    for number in range(count):
        path = write_tar(shop.root / "one.tar", tar_files(given[number * 2 : number * 2 + 2]))
        shop.server.files[f"/{number}.tar"] = path.read_bytes()
    return [shop.server.url + f"/{{0..{count - 1}}}.tar"]


def img2dataset_tars(shop: Workshop, given: list[Item]) -> list[str]:
    root = shop.root / "img2dataset"
    for shard in range(2):
        part = given[shard * 4 : shard * 4 + 4]
        write_tar(root / f"{shard:05}.tar", tar_files(part, status="success", width=5))
        _write_report(root, shard, part, pictures=False)
    return [str(root)]


def img2dataset_tables(shop: Workshop, given: list[Item]) -> list[str]:
    root = shop.root / "img2dataset_parquet"
    for shard in range(2):
        _write_report(root, shard, given[shard * 4 : shard * 4 + 4], pictures=True)
    return [str(root)]


def _write_report(root: Path, shard: int, given: list[Item], *, pictures: bool) -> None:
    root.mkdir(exist_ok=True)
    rows = []
    for item in given:
        row = {"url": f"http://x/{item.stem}", "caption": item.caption, "number": item.number}
        rows.append({**row, "status": "success", "width": 5, "jpg": item.content})
        rows.append({**row, "status": "failed_to_download", "width": None, "jpg": None})
    table = pa.Table.from_pylist(rows)
    table = table if pictures else table.drop_columns("jpg")
    pq.write_table(table, root / f"{shard:05}.parquet", row_group_size=3)
    (root / f"{shard:05}_stats.json").write_text(json.dumps({"successes": len(given)}))


def parquet_bytes(shop: Workshop, given: list[Item]) -> list[str]:
    rows = [{"jpg": i.content, "TEXT": i.caption, "number": i.number} for i in given]
    return [_write_parquet(shop.root / "bytes.parquet", rows)]


def parquet_structs(shop: Workshop, given: list[Item]) -> list[str]:
    rows = [
        {"image": {"bytes": i.content, "path": "x.png"}, "text": i.caption, "number": i.number}
        for i in given
    ]
    shutil.rmtree(shop.root / "hub", ignore_errors=True)
    for number in range(0, len(rows), 5):
        path = shop.root / f"hub/data/{number}.parquet"
        _write_parquet(path, rows[number : number + 5])
    return [str(shop.root / "hub")]


def _write_parquet(path: Path, rows: list[dict]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=2)
    return str(path)


def parquet_paths(shop: Workshop, given: list[Item]) -> list[str]:
    write_pictures(shop.root / "beside", given)
    rows = [
        {"image_path": f"beside/{i.stem}.png", "caption": i.caption, "number": i.number}
        for i in given
    ]
    return [_write_parquet(shop.root / "paths.parquet", rows)]


def csv_paths(shop: Workshop, given: list[Item]) -> list[str]:
    return [_write_csv(shop, given, "paths.csv", ",")]


def tsv_paths(shop: Workshop, given: list[Item]) -> list[str]:
    return [_write_csv(shop, given, "paths.tsv", "\t")]


def _write_csv(shop: Workshop, given: list[Item], name: str, delimiter: str) -> str:
    write_pictures(shop.root / "beside", given)
    with (shop.root / name).open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, delimiter=delimiter)
        writer.writerow(["file", "caption", "number", "note"])
        for item in given:
            note = 'two\nlines, and "quotes"\tand é' if item.number % 2 else ""
            writer.writerow([f"beside/{item.stem}.png", item.caption, item.number, note])
    return str(shop.root / name)


def json_lines(shop: Workshop, given: list[Item]) -> list[str]:
    write_pictures(shop.root / "beside", given)
    lines = [json.dumps(row) + "\n" for row in _path_rows(shop, given)]
    (shop.root / "paths.jsonl").write_text("\n".join(lines))
    return [str(shop.root / "paths.jsonl")]


def _path_rows(shop: Workshop, given: list[Item]) -> list[dict]:
    return [
        {"path": str(shop.root / f"beside/{i.stem}.png"), "caption": i.caption, "number": i.number}
        for i in given
    ]


def web_addresses(shop: Workshop, given: list[Item]) -> list[str]:
    for item in given:
        shop.server.files[f"/{item.stem} é.png"] = item.content
    rows = [
        {"URL": f"{shop.server.url}/{i.stem} é.png", "TEXT": i.caption, "number": i.number}
        for i in given
    ]
    return [_write_parquet(shop.root / "urls.parquet", rows)]


def web_table(shop: Workshop, given: list[Item]) -> list[str]:
    """A table that lies on the web, beside its pictures."""
    path = _write_csv(shop, given, "web.csv", ",")
    shop.server.files["/set/web.csv"] = Path(path).read_bytes()
    for item in given:
        shop.server.files[f"/set/beside/{item.stem}.png"] = item.content
    return [f"{shop.server.url}/set/web.csv"]


def stdin_paths(shop: Workshop, given: list[Item]) -> list[str]:
    write_pictures(shop.root / "beside", given)
    lines = [row["path"] for row in _path_rows(shop, given)]
    return _on_stdin(shop, "\n".join(lines).encode())


def stdin_objects(shop: Workshop, given: list[Item]) -> list[str]:
    write_pictures(shop.root / "beside", given)
    lines = [json.dumps(row) for row in _path_rows(shop, given)]
    return _on_stdin(shop, "\n".join(lines).encode())


def _on_stdin(shop: Workshop, content: bytes) -> list[str]:
    class Stdin:
        @property
        def buffer(self):
            return io.BytesIO(content)

    shop.patch.setattr(sys, "stdin", Stdin())
    return ["-"]


def named_pictures(shop: Workshop, given: list[Item]) -> list[str]:
    root = write_pictures(shop.root / "pictures", given)
    return [str(path) for path in sorted(root.glob("*.png"))]


PICTURE_SOURCES: dict[str, Build] = {
    build.__name__: build
    for build in (
        folder,
        memory_folder,
        tars,
        compressed_tars,
        web_tars,
        img2dataset_tars,
        img2dataset_tables,
        parquet_bytes,
        parquet_structs,
        parquet_paths,
        csv_paths,
        tsv_paths,
        json_lines,
        web_addresses,
        web_table,
        stdin_paths,
        stdin_objects,
        named_pictures,
    )
}
WITHOUT_CAPTIONS = ("stdin_paths", "named_pictures")


def open_built(typed: list[str], partition_size: int = 3, **options: object) -> AbstractSource:
    return open_source(typed, SourceOptions(partition_size=partition_size, **options))
