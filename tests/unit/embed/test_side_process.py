import os
import signal
import threading
import time

import pytest

from clipworks.embed import side_process
from clipworks.embed.side_process import ProcessDiedError, SideProcess


def open_answer(mode):
    if mode == "broken":
        raise ValueError("cannot be opened")

    def answer(question):
        if question == "die":
            os._exit(7)
        if question == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if question == "wait":
            time.sleep(600)
        if question == "raise":
            raise KeyError("not there")
        if question == "strange":
            raise StrangeError("a", "b")
        return question, os.getpid()

    return answer


class StrangeError(Exception):
    """Can be pickled, but not read again."""

    def __init__(self, first, second):
        super().__init__(f"{first} {second}")


@pytest.fixture
def process():
    process = SideProcess(open_answer, ("",), name="test")
    yield process
    process.close(patience_s=0)


def test_answers_in_one_process_of_its_own_until_it_dies(process):
    assert [process.ask(n) for n in range(3)] == [(n, process.pid) for n in range(3)]
    with pytest.raises(KeyError, match="not there"):
        process.ask("raise")
    with pytest.raises(RuntimeError, match=r"StrangeError\('a b'\)"):
        process.ask("strange")
    assert process.ask("still there") == ("still there", process.pid)
    with pytest.raises(ProcessDiedError, match="ended with exit code 7"):
        process.ask("die")


def test_a_killed_process_is_said_to_be(process):
    with pytest.raises(ProcessDiedError, match=r"was killed \(SIGKILL\)"):
        process.ask("kill")
    with pytest.raises(ProcessDiedError):
        process.ask("after that")


def test_a_stuck_process_is_ended(process, monkeypatch):
    monkeypatch.setattr(side_process, "_LOOK_S", 0.05)
    process.ask("started")
    with pytest.raises(ProcessDiedError, match="took too long"):
        process.ask("wait", is_stuck=lambda: True)


def test_a_kill_reaches_who_waits(process):
    process.ask("started")
    threading.Timer(0.2, process.kill).start()
    with pytest.raises(ProcessDiedError):
        process.ask("wait")


def test_what_cannot_be_opened_says_so_each_time():
    process = SideProcess(open_answer, ("broken",), name="test")
    for _ in range(2):
        with pytest.raises(ValueError, match="cannot be opened"):
            process.ask("anything")
    process.close()
