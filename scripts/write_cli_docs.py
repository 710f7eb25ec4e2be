"""Write docs/cli.md from the commands' own help; `--check` says whether it is up to date."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer.main

from clipworks.cli.main import app

PAGE = Path(__file__).parent.parent / "docs" / "cli.md"
HEAD = "# Commands\n\nMade from the commands' own help by `scripts/write_cli_docs.py`.\n"


def main() -> None:
    """Write the page, or compare it."""
    page = render()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page, encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != page:
        sys.exit("docs/cli.md is out of date: .venv/bin/python scripts/write_cli_docs.py")


def render() -> str:
    """All commands as Markdown."""
    commands = typer.main.get_command(app).commands  # pyright: ignore[reportAttributeAccessIssue]
    return "\n".join([HEAD, *(text for name in commands for text in _pages(name, commands[name]))])


def _pages(name: str, command: Any) -> list[str]:  # noqa: ANN401 - typer's own kind of command
    """A command, or each of a group's."""
    inner = getattr(command, "commands", None)
    if inner is None:
        return [_describe(name, command)]
    return [_describe(f"{name} {sub}", inner[sub]) for sub in inner]


def _describe(name: str, command: Any) -> str:  # noqa: ANN401 - typer's own kind of command
    arguments = [_argument(p) for p in command.params if p.param_type_name == "argument"]
    usage = " ".join(["clipworks", name, *arguments, "[OPTIONS]"])
    rows = [_row(p) for p in command.params if getattr(p, "help", None)]
    text = _plain(command.help or "")
    return "\n".join(
        [f"## {name}\n", f"`{usage}`\n", f"{text}\n", "| | | |", "| --- | --- | --- |", *rows, ""]
    )


def _row(parameter: Any) -> str:  # noqa: ANN401
    if parameter.param_type_name == "argument":
        names, notes = _argument(parameter), []
    else:
        names = ", ".join([*parameter.opts, *parameter.secondary_opts])
        notes = _notes(parameter)
    text = _plain(parameter.help).replace("|", "\\|")
    return f"| `{names}` | {text} | {'; '.join(notes)} |"


def _plain(text: str) -> str:
    """A help in one line, without the backslashes that keep brackets from being markup."""
    return " ".join(text.split()).replace("\\[", "[")


def _notes(option: Any) -> list[str]:  # noqa: ANN401
    notes = ["required"] if option.required else []
    if option.default not in (None, False, (), []) and option.show_default is not False:
        notes.append(f"default `{option.default}`")
    if option.envvar:
        notes.append(f"`{option.envvar}`")
    return notes


def _argument(parameter: Any) -> str:  # noqa: ANN401
    name = parameter.name.upper()
    name = f"{name}..." if parameter.nargs == -1 else name
    return name if parameter.required else f"[{name}]"


if __name__ == "__main__":
    main()
