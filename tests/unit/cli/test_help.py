import pytest
import typer
from rich.text import Text

from clipworks.cli.main import app


def commands(group, name="clipworks"):
    yield name, group
    for sub, command in getattr(group, "commands", {}).items():
        yield from commands(command, f"{name} {sub}")


COMMANDS = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("name", COMMANDS)
def test_brackets_of_a_help_are_shown(name):
    """Rich takes [map] for markup, and swallows it, where no backslash stands before."""
    command = COMMANDS[name]
    helps = [command.help, *(getattr(each, "help", None) for each in command.params)]
    for text in filter(None, helps):
        assert Text.from_markup(text).plain == text.replace("\\[", "[")


def test_extras_are_named_in_full():
    method = next(each for each in COMMANDS["clipworks map"].params if each.name == "method")
    assert "clipworks[map]" in Text.from_markup(method.help).plain
