"""A process beside ours that answers one question after the other.

It is started afresh, not forked, for threads and runtimes do not survive a fork. When we are gone,
however we went, it ends as well, at whatever it is.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any, final

CONTEXT = multiprocessing.get_context("spawn")

_PATIENCE_S = 10.0
_LOOK_S = 1.0

Answer = Callable[[Any], Any]


class ProcessDiedError(Exception):
    """The process is gone, or had to be ended; the message says how, in a few words."""


@final
class SideProcess:
    """Runs what `open_answer` returns, in another process.

    Args:
        open_answer: is called there once, and gives what answers a question.
        arguments: for it.
        name: of the process, for people.
    """

    def __init__(
        self, open_answer: Callable[..., Answer], arguments: tuple[Any, ...], *, name: str
    ) -> None:
        self._pipe, theirs = CONTEXT.Pipe()
        self._process = CONTEXT.Process(
            target=_serve, args=(theirs, open_answer, arguments), name=name
        )
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int | None:
        """The process's number."""
        return self._process.pid

    def ask(self, question: Any, *, is_stuck: Callable[[], bool] = lambda: False) -> Any:  # noqa: ANN401
        """Ask, and wait for the answer.

        Args:
            question: anything that can be pickled.
            is_stuck: is asked every second; a process that is stuck is ended.

        Raises:
            ProcessDiedError: there is no answer, and this process gives none any more.
            Exception: what was raised there.
        """
        try:
            self._pipe.send(question)
            while not self._pipe.poll(_LOOK_S):
                if is_stuck():
                    self.close(patience_s=0)
                    raise ProcessDiedError("took too long")
            succeeded, answer = self._pipe.recv()
        except (EOFError, OSError) as error:  # among them a pipe that is closed already
            self.close()
            raise ProcessDiedError(_how_it_ended(self._process.exitcode)) from error
        if not succeeded:
            raise answer
        return answer

    def kill(self) -> None:
        """End the process at once; who waits for its answer learns of it."""
        self._process.kill()

    def close(self, *, patience_s: float = _PATIENCE_S) -> None:
        """End the process: it may finish what it is at, for a while."""
        with suppress(OSError):
            self._pipe.close()
        self._process.join(patience_s)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _serve(
    pipe: Connection, open_answer: Callable[..., Answer], arguments: tuple[Any, ...]
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started us, and ends us
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
    with suppress(EOFError, ConnectionError), pipe:
        answer: Answer | None = None
        while True:
            question = pipe.recv()
            try:
                answer = answer or open_answer(*arguments)
                reply = (True, answer(question))
            except Exception as error:  # noqa: BLE001 - the process's border: it is raised there
                reply = (False, error)
            _send(pipe, reply)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _send(pipe: Connection, reply: tuple[bool, Any]) -> None:
    try:
        content = ForkingPickler.dumps(reply)
        if not reply[0]:
            pickle.loads(content)  # some errors can be pickled, but not read again
    except Exception:  # noqa: BLE001 - whatever a foreign error's own pickling raises
        content = ForkingPickler.dumps((False, RuntimeError(repr(reply[1]))))
    pipe.send_bytes(content)


def _how_it_ended(exit_code: int | None) -> str:
    if exit_code is None:
        return "hung up"
    if exit_code < 0:
        with suppress(ValueError):
            return f"was killed ({signal.Signals(-exit_code).name})"
    return f"ended with exit code {exit_code}"
