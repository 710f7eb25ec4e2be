"""Runs one command as a person would, in this process."""

from __future__ import annotations

from collections.abc import Callable

import typer
from typer.testing import CliRunner


def run(command: Callable[..., None], *arguments: object, exit_code: int = 0):
    """Run a command; our own errors are raised, as `clipworks.cli.main` catches them."""
    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == exit_code, result.output
    return result
