"""The walls of the house: what stays light, small, sorted and reachable."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import clipworks
from clipworks.errors import MissingExtraError
from clipworks.registry import Registry

SOURCE = Path(clipworks.__file__).parent
HEAVY = ("torch", "onnxruntime", "faiss", "pyarrow", "PIL", "numpy", "rich", "huggingface_hub")
FILES = sorted(SOURCE.rglob("*.py"))

# The walls of docs/architecture.md. A name may leave these lists, none may join.
LONG_FILES: set[str] = set()
LONG_FUNCTIONS: set[str] = set()


def modules_after(statement: str) -> list[str]:
    code = f"{statement}; import sys, json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def heavy_after(statement: str) -> set[str]:
    return set(modules_after(statement)) & set(HEAVY)


def test_importing_clipworks_loads_nothing_heavy():
    assert heavy_after("import clipworks") == set()


def test_the_command_line_loads_nothing_heavy():
    heavy = heavy_after("import clipworks.cli.main")
    assert heavy <= {"rich"}, heavy


def test_the_light_import_test_can_fail():
    assert "numpy" in heavy_after("import clipworks; import numpy")


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(SOURCE).as_posix())
def test_files_and_functions_stay_small(path: Path):
    text = path.read_text(encoding="utf-8")
    name = path.relative_to(SOURCE).as_posix()
    assert len(text.splitlines()) <= 600 or name in LONG_FILES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= 60 or f"{name}:{node.name}" in LONG_FUNCTIONS, (name, node.name)


def test_file_names_are_unique_and_shadow_nothing():
    # Each room may have its own config; a command may bear the name of what it wires.
    names = [path.stem for path in FILES if path.stem not in ("__init__", "__main__", "config")]
    inner = [p.stem for p in FILES if p.parent.name != "cli" and p.stem in names]
    assert sorted(inner) == sorted(set(inner))
    taken = set(sys.stdlib_module_names) | {"onnx", "faiss", "torch", "tokenizers", "rich", "typer"}
    assert not taken & set(names), taken & set(names)


def modules() -> list[str]:
    found = pkgutil.walk_packages([str(SOURCE)], prefix="clipworks.")
    return [module.name for module in found if not module.name.endswith("__main__")]


@pytest.mark.parametrize("name", modules())
def test_public_names_are_sorted_and_registries_resolve(name: str):
    try:
        module = importlib.import_module(name)
    except MissingExtraError as error:  # a backend's own file
        assert "pip install" in str(error)
        return
    public = getattr(module, "__all__", [])
    assert list(public) == sorted(public)
    for attribute in vars(module).values():
        if isinstance(attribute, Registry):
            assert_every_entry_loads(attribute)


def assert_every_entry_loads(registry: Registry) -> None:
    for entry in registry:
        try:
            registry.load(entry)
        except MissingExtraError as error:
            assert "pip install" in str(error)
