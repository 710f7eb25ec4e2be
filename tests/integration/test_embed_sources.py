"""`clipworks embed` on other things than folders, as people type it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from clipworks.cli.embed import embed
from clipworks.embed.pipeline import embed_folder
from clipworks.errors import FolderError, SettingsError
from clipworks.search.build import build_index
from clipworks.search.searcher import Searcher
from tests.support.colours import colour_embedder
from tests.support.commands import run
from tests.support.pictures import BREAKAGES, draw, huge_png, png_bytes, save
from tests.support.sources import items, tar_files, write_pictures, write_tar
from tests.support.web_server import web_server


def animation():
    stream = io.BytesIO()
    draw(1).save(stream, "GIF", save_all=True, append_images=[draw(2), draw(3)])
    return stream.getvalue()


def heic():
    pillow_heif = pytest.importorskip("pillow_heif")
    stream = io.BytesIO()
    pillow_heif.from_pillow(draw(4, size=(64, 64))).save(stream)
    return stream.getvalue()


def faults(out):
    return [
        json.loads(line)
        for path in sorted((out / "errors").iterdir())
        for line in path.read_text().splitlines()
    ]


def test_one_folders_pictures_as_a_tar_give_the_same_rows(tmp_path, tiny_bundle_folder):
    given = items([png_bytes(n) for n in range(6)])
    folder = write_pictures(tmp_path / "pictures", given)
    tar = write_tar(tmp_path / "0.tar", tar_files(given))
    for source, out in ((folder, "a"), (tar, "b")):
        run(embed, source, "--out", tmp_path / out, "--model", tiny_bundle_folder)
    for name in ("img_emb/img_emb_0.npy", "text_emb/text_emb_0.npy"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    report = run(embed, tar, "--out", tmp_path / "b", "--model", tiny_bundle_folder, "--json")
    assert json.loads(report.stdout)["partitions_made"] == 0


def test_what_was_guessed_is_said_on_stderr(tmp_path, tiny_bundle_folder):
    save(tmp_path / "a.png")
    (tmp_path / "t.csv").write_text("file,TEXT,n\na.png,a red photo,5\n")
    arguments = (embed, tmp_path / "t.csv", "--out", tmp_path / "out", "-m", tiny_bundle_folder)
    result = run(*arguments)
    assert "pictures from column 'file' (--image-column)" in result.stderr
    assert result.stdout.startswith(f"{tmp_path}/out: 1 embedded; ")
    (row,) = pq.read_table(tmp_path / "out/metadata").to_pylist()
    assert row == {"image_path": f"{tmp_path}/a.png", "caption": "a red photo", "n": 5}
    with pytest.raises(SettingsError, match="begun with modality both, not image"):
        run(*arguments, "--modality", "image")
    with pytest.raises(SettingsError, match=r"no column 'x' .* there are 'file', 'TEXT', 'n'"):
        run(*arguments, "--image-column", "x")


def test_stdin_ended_by_nul(tmp_path, tiny_bundle_folder):
    names = ["a\nb.png", "c.png", os.fsdecode(b"caf\xe9.png")]
    paths = [save(tmp_path / name, n) for n, name in enumerate(names)]
    command = [sys.executable, "-m", "clipworks", "embed", "-", "-0", "--out", tmp_path / "out"]
    typed = b"\0".join(map(os.fsencode, paths))
    command += ["--model", tiny_bundle_folder]
    subprocess.run(command, input=typed, check=True, capture_output=True)
    table = pq.read_table(tmp_path / "out/metadata")
    assert len(table) == 3
    assert table["image_path"][0].as_py() == str(paths[0])


def test_hostile_pictures_in_tars_cost_nothing_but_themselves(tmp_path):
    """One bad image halts a run: clip-retrieval #257, #13, #89, #330."""
    good = [png_bytes(0), animation(), heic(), png_bytes(5)]
    bad = [huge_png(), b"", b"<html>404</html>", png_bytes()[:40], b"\0" * 5000]
    mixed = [picture for pair in zip(good, bad, strict=False) for picture in pair] + bad[4:]
    files = [(f"{n:03}.jpg", picture) for n, picture in enumerate(mixed)]
    files.insert(1, ("000.json", b"[" * 100_000))
    files.insert(0, ("../../escape.jpg", png_bytes(9)))
    tar = write_tar(tmp_path / "0.tar", files)
    report = embed_folder(tar, tmp_path / "out", colour_embedder())
    assert (report.embedded, report.skipped, report.incomplete) == (5, 5, 1)
    rows = np.load(tmp_path / "out/img_emb/img_emb_0.npy")
    expected = colour_embedder().embed_images([png_bytes(9), *good]).astype(np.float16)
    assert np.array_equal(rows, expected)
    assert all("\n" not in fault["reason"] for fault in faults(tmp_path / "out"))


def test_odd_names_in_tars_are_stored(tmp_path):
    names = ["日本 é.png", 'it\'s "quoted".png', "two\nlines.png", os.fsdecode(b"caf\xe9.png")]
    tar = write_tar(tmp_path / "0.tar", [(name, png_bytes(n)) for n, name in enumerate(names)])
    embed_folder(tar, tmp_path / "out", colour_embedder())
    stored = pq.read_table(tmp_path / "out/metadata")["image_path"].to_pylist()
    assert stored[:3] == [f"tar://{name}::{tar}" for name in names[:3]]
    assert stored[3] == f"tar://caf\\udce9.png::{tar}"


def test_addresses_that_fail_are_faults_with_their_status(tmp_path):
    with web_server() as server:
        server.files |= {"/a.png": png_bytes(1), "/page.png": b"<html></html>"}
        paths = ["a.png", "none.png", "page.png", "status/503/1/a.png", "cut/a.png"]
        lines = [f"{server.url}/{path}" for path in paths]
        (tmp_path / "t.jsonl").write_text("".join(json.dumps({"url": u}) + "\n" for u in lines))
        report = embed_folder(tmp_path / "t.jsonl", tmp_path / "out", colour_embedder())
    assert (report.embedded, report.skipped) == (2, 3)
    found = {fault["image_path"]: fault["reason"] for fault in faults(tmp_path / "out")}
    assert found[lines[1]] == "HTTP 404 Not Found"
    assert found[lines[2]].startswith("is not a picture")
    assert "ended early" in found[lines[4]]
    rows = np.load(tmp_path / "out/img_emb/img_emb_0.npy")
    assert np.array_equal(rows[0], rows[1])


def test_texts_alone_can_be_searched(tmp_path):
    """clip-retrieval #345, #352: texts without pictures."""
    (tmp_path / "t.jsonl").write_text(
        '{"text": "a red photo", "n": 1}\n{"text": ""}\n{"text": "a blue photo", "n": 3}\n'
    )
    out = tmp_path / "out"
    report = embed_folder(tmp_path / "t.jsonl", out, colour_embedder())
    assert (report.embedded, report.skipped) == (2, 1)
    assert sorted(path.name for path in out.iterdir()) == [
        "errors", "manifest.json", "metadata", "stats", "text_emb",
    ]  # fmt: skip
    for indexed in (False, True):
        if indexed:
            build_index(out)
        searcher = Searcher.open(out, colour_embedder(), modality="text")
        best, _ = searcher.search_text("blue")
        assert (best.image_path, best.caption, best.metadata) == (None, "a blue photo", {"n": 3})
        (best, _) = searcher.search_image(Image.new("RGB", (8, 8), "red"))
        assert best.caption == "a red photo"


def test_an_empty_or_wrong_source_leaves_nothing_behind(tmp_path, tiny_bundle_folder):
    BREAKAGES["text"](tmp_path / "0.tar")
    for source, message in (
        (tmp_path / "0.tar", "is no tar archive"),
        (tmp_path / "none", "is not there"),
    ):
        with pytest.raises(FolderError, match=message):
            run(embed, source, "--out", tmp_path / "out", "--model", tiny_bundle_folder)
    assert not (tmp_path / "out").exists()
