import json

import pytest

from clipworks.cli.index import index
from clipworks.errors import FolderError
from tests.support.colours import DIM, colour_folder
from tests.support.commands import run


@pytest.fixture
def folder(tmp_path):
    return colour_folder(tmp_path / "out", tmp_path / "pictures")


def test_a_folder_is_indexed_and_says_what_came_of_it(folder):
    result = run(index, folder)
    assert result.stdout == (
        f"{folder}: 6 rows of {DIM} numbers (images: flat fp16, texts: flat fp16)\n"
    )
    assert (folder / "image.index").is_file()


def test_json_is_the_card(folder):
    result = run(index, folder, "--json")
    assert json.loads(result.stdout) == json.loads((folder / "index.json").read_text())


def test_a_folder_that_is_none_is_our_error(tmp_path):
    with pytest.raises(FolderError, match="is not a folder"):
        run(index, tmp_path / "none")
