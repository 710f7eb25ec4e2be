"""Write docs/cli.md from the commands' own help; `--check` says whether it is up to date."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

PAGE = Path(__file__).parent.parent / "docs" / "cli.md"


def main() -> None:
    """Write the page, or compare it."""
    page = render()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page, encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != page:
        sys.exit("docs/cli.md is out of date: .venv/bin/python scripts/write_cli_docs.py")


def render() -> str:
    """All commands' help as Markdown."""
    os.environ["COLUMNS"] = "100"
    import typer

    from clipworks.cli.main import app

    group = typer.main.get_command(app)
    assert isinstance(group, click.Group) or hasattr(group, "commands")
    parts = [
        "# Commands\n\nGenerated from `clipworks COMMAND --help` by `scripts/write_cli_docs.py`.\n"
    ]
    root = group.make_context("clipworks", [], resilient_parsing=True)
    for name, command in group.commands.items():
        context = type(root)(command, parent=root, info_name=name)
        parts.append(f"## clipworks {name}\n\n{_describe(command, context)}")
    return "\n".join(parts)


def _describe(command: click.Command, context: click.Context) -> str:
    usage = " ".join(["clipworks", command.name or "", *command.collect_usage_pieces(context)])
    lines = [f"{(command.help or '').strip()}\n", f"```\n{usage}\n```\n"]
    rows = []
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is None and getattr(parameter, "help", None):
            record = (parameter.make_metavar(context), parameter.help)
        if record is not None:
            rows.append(
                f"| `{record[0].replace('|', ' or ')}` | {record[1].replace('|', ' or ')} |"
            )
    return "\n".join([*lines, "| | |", "| --- | --- |", *rows]) + "\n"


if __name__ == "__main__":
    main()
