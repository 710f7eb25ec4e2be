"""What the README shows runs as it stands there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import clipworks
from clipworks.cli.main import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PICTURES = Path(clipworks.__file__).parent / "demo_pictures"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def test_the_python_example_runs(tmp_path):
    shutil.copy(PICTURES / "1f34e.png", tmp_path / "apple.png")
    shutil.copy(PICTURES / "1f697.png", tmp_path / "car.png")
    (example,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", example],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "a fruit" in done.stdout


def test_every_command_that_it_names_exists():
    named = set(re.findall(r"clipworks ([a-z]+)\b", "\n".join(blocks(""))))
    named |= set(re.findall(r"`clipworks ([a-z]+)", README))
    commands = {command.callback.__name__ for command in app.registered_commands}
    commands |= {group.name for group in app.registered_groups}
    assert named <= commands, named - commands
    assert {"demo", "embed", "search"} <= named


def test_the_files_that_it_links_to_exist():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert links
    for link in links:
        assert (ROOT / link).exists(), link
