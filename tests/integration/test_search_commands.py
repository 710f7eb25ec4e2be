"""The packaged pictures and model through the commands as a person types them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder in which `clipworks demo` was run, and a cache."""
    folder = tmp_path_factory.mktemp("place")
    run(folder, "clipworks", "demo")
    return folder


def run(place, *command, exit_code=0):
    if command[0] == "clipworks":
        command = [sys.executable, "-m", "clipworks", *command[1:]]
    done = subprocess.run(
        [str(part) for part in command],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "CLIPWORKS_CACHE": str(place / "cache"), "CLIPWORKS_BACKEND": "onnx"},
    )
    assert done.returncode == exit_code, done.stderr
    assert "Traceback" not in done.stderr
    return done


EMBEDDINGS = "clipworks-demo/embeddings"
APPLE, TOMATO, STRAWBERRY = "1f34e.png", "1f345.png", "1f353.png"


def names(done, end="\n"):
    return [Path(path).name for path in done.stdout.split(end) if path]


def test_relevant_answers_and_only_those_come(place):
    done = run(place, "clipworks", "filter", EMBEDDINGS, "a red fruit", "--relevant")
    assert set(names(done)) <= {APPLE, TOMATO, STRAWBERRY}
    assert APPLE in names(done)
    for query in ("a submarine sandwich recipe", "quarterly revenue spreadsheet"):
        (answer,) = json.loads(
            run(
                place, "clipworks", "search", EMBEDDINGS, query, "--relevant", "--json"
            ).stdout
        )  # fmt: skip
        assert answer["hits"] == []


def test_sums_move_the_answer(place):
    picture = f"clipworks-demo/pictures/{APPLE}"
    query = f"{picture} + 3 * 'yellow' - 3 * 'red'"
    options = ["-k", 5, "--json", "--embeddings"]
    done = run(place, "clipworks", "search", EMBEDDINGS, "--query", query, *options)
    (answer,) = json.loads(done.stdout)
    assert answer["query"] == f'{APPLE} + 3 * "yellow" - 3 * "red"'
    assert Path(answer["hits"][0]["image_path"]).name != APPLE
    assert len(answer["hits"][0]["embedding"]) == 192


def test_bad_input_is_one_line_and_exit_1(place):
    for arguments in (
        ("search", EMBEDDINGS, "-q", "dog"),
        ("search", EMBEDDINGS, "apple", "--where", "size > 3"),
        ("search", EMBEDDINGS, "--image", "http://127.0.0.1:9/a.png"),
        ("search", EMBEDDINGS, "apple", "--head", "x=none.pth"),
        ("filter", EMBEDDINGS, "apple"),
        ("dedup", "nowhere"),
        ("cluster", EMBEDDINGS, "--names", "captions"),
        ("map", EMBEDDINGS, "--method", "tsne"),
    ):
        done = run(place, "clipworks", *arguments, exit_code=1)
        assert done.stderr.count("\n") == 1, done.stderr
        assert done.stderr.startswith("clipworks: ")


def test_the_example_runs(place):
    done = run(
        place, sys.executable, "-W", "error", ROOT / "examples/search_pictures.py", EMBEDDINGS,
        "--plus", "a fruit", "--minus", "red", "--pages", 2,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert lines[0] == '"a fruit" - 0.5 * "red"'
    assert [int(line.split()[0]) for line in lines[1:]] == list(range(1, 11))


def test_groups_duplicates_and_a_map_are_made(place):
    groups = json.loads(run(place, "clipworks", "cluster", EMBEDDINGS, "-n", 6, "--json").stdout)
    assert sum(group["size"] for group in groups) == 99
    assert json.loads(run(place, "clipworks", "dedup", EMBEDDINGS, "--json").stdout)["rows"] == 99
    run(place, "clipworks", "map", EMBEDDINGS, "--out", "map.html", "--method", "pca")
    assert (place / "map.html").stat().st_size > 100_000
