"""A real disk that is full."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from clipworks.embed.embed_settings import EmbedSettings
from clipworks.embed.pipeline import embed_folder
from clipworks.errors import FolderError
from tests.support.colours import colour_embedder
from tests.support.folder_bytes import folder_bytes
from tests.support.pictures import fill_folder

SETTINGS = EmbedSettings(batch_size=4, partition_size=4)


@pytest.mark.slow
@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("mount") is None,
    reason="a small disk is mounted by root; run the slow tests as root",
)
@pytest.mark.parametrize("pages", [3, 6, 9, 12, 15])
def test_a_full_disk_ends_the_run_in_one_line_and_a_rerun_completes_it(tmp_path, pages):
    fill_folder(tmp_path / "pictures", 20)
    embed_folder(tmp_path / "pictures", tmp_path / "whole", colour_embedder(), settings=SETTINGS)
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={4096 * pages}", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        with pytest.raises(FolderError, match="cannot be written: No space left on device"):
            embed_folder(tmp_path / "pictures", disk / "out", colour_embedder(), settings=SETTINGS)
        subprocess.run(["mount", "-o", "remount,size=10M", str(disk)], check=True)
        embed_folder(tmp_path / "pictures", disk / "out", colour_embedder(), settings=SETTINGS)
        assert folder_bytes(disk / "out") == folder_bytes(tmp_path / "whole")
    finally:
        subprocess.run(["umount", str(disk)], check=True)
