"""`clipworks embed` as people run it, with a real bundle."""

from __future__ import annotations

import inspect
import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from clipworks.cli.embed import embed
from clipworks.embed.embed_settings import EmbedSettings
from clipworks.encoders import loading
from clipworks.encoders.bundle import read_bundle, seal_bundle
from clipworks.errors import FolderError, ModelMismatchError, SettingsError
from tests.support.commands import run
from tests.support.folder_bytes import folder_bytes
from tests.support.pictures import BREAKAGES, fill_folder


@pytest.fixture
def pictures(tmp_path):
    fill_folder(tmp_path / "pictures", 12)
    return tmp_path / "pictures"


def test_embeds_and_says_so(pictures, tmp_path, tiny_bundle_folder):
    out = tmp_path / "out"
    result = run(embed, pictures, "--out", out, "--model", tiny_bundle_folder)
    assert result.stdout.startswith(f"{out}: 12 embedded; ")
    assert result.stdout.count("\n") == 1
    result = run(embed, pictures, "--out", out, "--model", tiny_bundle_folder)
    assert result.stdout == f"{out} is complete already: 12 embedded\n"


def test_says_how_many_were_skipped_and_where_to_look(pictures, tmp_path, tiny_bundle_folder):
    BREAKAGES["text"](pictures / "broken.jpg")
    (pictures / "0000.json").write_text("{")
    arguments = (embed, pictures, "--out", tmp_path / "out", "--model", tiny_bundle_folder)
    assert (
        "12 embedded, 1 skipped, 1 without a caption or fields that could not be read "
        "(see errors/); "
    ) in run(*arguments).stdout


def test_json_has_the_report(pictures, tmp_path, tiny_bundle_folder):
    arguments = (embed, pictures, "--out", tmp_path / "out", "--model", tiny_bundle_folder)
    report = json.loads(run(*arguments, "--json", "--partition-size", 5).stdout)
    assert report["embedded"] == 12
    assert report["partitions"] == report["partitions_made"] == 3
    assert report["model"] == "tiny"


def test_a_finished_folder_wants_no_model(pictures, tmp_path, tiny_bundle_folder, monkeypatch):
    arguments = (embed, pictures, "--out", tmp_path / "out", "--model", tiny_bundle_folder)
    run(*arguments)
    monkeypatch.setattr(loading, "load", None)
    run(*arguments)


def test_refusals_name_both_sides(pictures, tmp_path, tiny_bundle_folder):
    out = tmp_path / "out"
    run(embed, pictures, "--out", out, "--model", tiny_bundle_folder)
    other = shutil.copytree(tiny_bundle_folder, tmp_path / "other")
    card = read_bundle(other).card
    seal_bundle(other, replace(card, name="other", image=replace(card.image, resize="squash")))
    with pytest.raises(ModelMismatchError, match=r"begun with the model tiny .*, not other "):
        run(embed, pictures, "--out", out, "--model", other)
    with pytest.raises(SettingsError, match="begun with batch_size 8, not 16"):
        run(embed, pictures, "--out", out, "--model", tiny_bundle_folder, "--batch-size", 16)
    with pytest.raises(FolderError, match="nowhere is not there"):
        run(embed, tmp_path / "nowhere", "--out", out, "--model", tiny_bundle_folder)


def test_the_options_defaults_are_the_settings():
    options, settings = inspect.signature(embed).parameters, EmbedSettings()
    assert options["batch_size"].default == settings.batch_size
    assert options["partition_size"].default == settings.partition_size
    assert options["workers"].default == settings.num_workers


def test_ctrl_c_stops_with_a_line_and_the_same_command_goes_on(tmp_path, tiny_bundle_folder):
    pictures, out = tmp_path / "pictures", tmp_path / "out"
    for number, path in enumerate(fill_folder(pictures, 40)):
        path.with_suffix(".txt").write_text(f"a red square {number}")
    arguments = [str(pictures), "--out", str(out), "--model", str(tiny_bundle_folder)]
    arguments += ["--partition-size", "4", "--batch-size", "2"]
    stopped = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, *arguments], capture_output=True, text=True
    )
    assert stopped.returncode == 130
    assert stopped.stderr.count("\n") == 1
    assert "stopped; " in stopped.stderr
    assert "the same command goes on" in stopped.stderr
    assert not (out / ".lock").exists()
    assert 0 < len(list((out / "stats").iterdir())) < 10
    run(embed, *arguments)
    run(embed, pictures, "--out", tmp_path / "whole", *arguments[3:])
    assert folder_bytes(out) == folder_bytes(tmp_path / "whole")


INTERRUPTED = f"""
import os, signal, typer
from clipworks.cli.embed import embed
from clipworks.embed import pipeline
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
write = pipeline.write_partition
def write_and_interrupt(files, *rest):
    write(files, *rest)
    if files.number == 3:
        os.kill(os.getpid(), {int(signal.SIGINT)})
pipeline.write_partition = write_and_interrupt
typer.run(embed)
"""
