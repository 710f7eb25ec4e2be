import pytest

from clipworks.errors import MissingExtraError, SettingsError
from clipworks.extras import require
from clipworks.registry import Registry

REGISTRY = Registry("thing", {"path": "pathlib:Path", "json": "json:dumps"})


def test_a_name_gives_its_object():
    assert REGISTRY.load("json")([1]) == "[1]"
    assert list(REGISTRY) == ["json", "path"]
    assert "path" in REGISTRY


def test_an_unknown_name_is_told_the_names_that_there_are():
    with pytest.raises(SettingsError, match="unknown thing 'jsn': expected one of json, path"):
        REGISTRY.load("jsn")


def test_a_missing_extra_names_its_pip_line(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'clipworks\[torch\]'"):
        require("onnxscript", "converting a checkpoint")


def test_what_is_installed_is_given():
    assert require("torch", "training").__name__ == "torch"
