import os
import subprocess
import sys
import threading

import pytest

from clipworks.data.folder_lock import LOCK_FILE, hold_folder
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
