import os
import subprocess
import sys
import threading

import pytest

from clipworks.data.folder_lock import LOCK_FILE, hold_folder
from clipworks.data.shard import Shard
from clipworks.errors import FolderError


def test_one_holder_at_a_time_and_nothing_is_left(tmp_path):
    with hold_folder(tmp_path):
        message = rf"in use: process {os.getpid()} on .+ is writing"
        with pytest.raises(FolderError, match=message), hold_folder(tmp_path):
            pass
        assert (tmp_path / LOCK_FILE).exists()
    assert list(tmp_path.iterdir()) == []
    with hold_folder(tmp_path):
        pass


def test_what_a_dead_holder_left_does_not_count(tmp_path):
    code = (
        "import sys, os, signal, pathlib\n"
        "from clipworks.data.folder_lock import hold_folder\n"
        "with hold_folder(pathlib.Path(sys.argv[1])):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)])
    assert done.returncode == -9
    assert (tmp_path / LOCK_FILE).exists()
    with hold_folder(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_many_that_try_at_once_never_hold_it_together(tmp_path):
    holders, worst, held = 0, 0, 0
    count = threading.Lock()

    def try_often():
        nonlocal holders, worst, held
        for _ in range(100):
            try:
                with hold_folder(tmp_path):
                    with count:
                        holders += 1
                        held += 1
                        worst = max(worst, holders)
                    with count:
                        holders -= 1
            except FolderError:
                pass

    threads = [threading.Thread(target=try_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worst == 1
    assert held > 0


def test_shards_hold_a_folder_together_and_each_itself_alone(tmp_path):
    first, second, other = Shard(0, 2), Shard(1, 2), Shard(0, 3)
    with hold_folder(tmp_path, first):
        with hold_folder(tmp_path, second):
            for refused in (first, second, other, None):
                with pytest.raises(FolderError, match="in use"), hold_folder(tmp_path, refused):
                    pass
        with pytest.raises(FolderError, match="in use"), hold_folder(tmp_path):
            pass
        with hold_folder(tmp_path, second):
            pass
    assert list(tmp_path.iterdir()) == []
    with hold_folder(tmp_path), pytest.raises(FolderError), hold_folder(tmp_path, first):
        pass


def test_what_a_dead_shard_left_does_not_count(tmp_path):
    (tmp_path / ".lock.0-of-2").touch()
    with hold_folder(tmp_path, Shard(1, 3)):
        assert not (tmp_path / ".lock.0-of-2").exists()
