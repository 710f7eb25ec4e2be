import json

import pytest
import typer
from typer.testing import CliRunner

from clipworks.cli.index import index
from clipworks.errors import FolderError, InputError, SettingsError
from tests.support.colours import DIM, colour_folder
from tests.support.commands import run


@pytest.fixture
def folder(tmp_path):
    return colour_folder(tmp_path / "out", tmp_path / "pictures")


def test_a_folder_is_indexed_and_says_what_it_finds(folder):
    lines = run(index, folder).stdout.splitlines()
    assert lines[0].endswith("6 rows of 8 numbers") or "6 rows" in "".join(lines[:3])
    shown = [line.split() for line in lines if "\u2192" in line]
    assert [line[:3] for line in shown] == [
        ["image", "\u2192", "image"],
        ["text", "\u2192", "image"],
        ["text", "\u2192", "text"],
        ["image", "\u2192", "text"],
    ]
    assert all(line[3:6] == ["flat", "fp16", "1.000"] for line in shown)
    assert (folder / "image.index").is_file()


def test_json_is_the_card(folder):
    result = run(index, folder, "--json")
    assert json.loads(result.stdout) == json.loads((folder / "index.json").read_text())


def test_the_kind_and_the_recall_are_the_users(folder):
    run(index, folder, "--kind", "hnsw", "--recall", "0.9", "--memory", "1GB")
    card = json.loads((folder / "index.json").read_text())
    assert card["kinds"] == {"image": "PCA, HNSW32 SQ8 + fp16", "text": "PCA, HNSW32 SQ8 + fp16"}
    assert card["measures"]["image"]["target"] == 0.9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--kind", "tree"], "expected auto, flat, hnsw, ivf-fast, ivf-sq8 or ivf-pq"),
        (["--queries", "sounds"], "expected both, image or text"),
        (["--recall", "95"], "expected a share above 0 and at most 1"),
        (["--memory", "plenty"], "expected a size such as 6GB"),
        (["--backend", "none"], "unknown index backend"),
    ],
)
def test_settings_that_are_none_are_refused(folder, options, message):
    with pytest.raises(SettingsError, match=message):
        run(index, folder, *options)
    assert not (folder / "image.index").exists()


def test_lists_on_disk_leave_stdout_to_the_result(folder):
    result = run(index, folder, "--kind", "ivf-sq8", "--memory", "1MB", "--json")
    assert json.loads(result.stdout)["kinds"]["image"].endswith("lists on disk")


def test_without_texts_or_their_model_it_says_so(tmp_path):
    folder = colour_folder(tmp_path / "out", tmp_path / "pictures")
    for path in (folder / "text_emb").iterdir():
        path.unlink()
    (folder / "text_emb").rmdir()
    result = run(index, folder)
    assert "texts were not measured: colours is not on this machine" in " ".join(
        result.stdout.split()
    )
    assert f"{DIM} numbers" in " ".join(result.stdout.split())


def test_a_folder_that_is_none_is_our_error(tmp_path):
    with pytest.raises(FolderError, match="is not a folder"):
        run(index, tmp_path / "none")


def test_a_folder_grows_and_shrinks_by_command(folder, tmp_path):
    other = colour_folder(tmp_path / "other", tmp_path / "more")
    assert "12 rows" in run(index, folder, "--add", other).stdout
    names = tmp_path / "names.txt"
    names.write_text(f"0\n{tmp_path}/more/1.png\n")
    result = run(index, folder, "--delete", names)
    assert "deleted 2 samples; of 12 rows 2 can no longer be found" in result.stdout
    again = run(index, folder, "--delete", names, "--json")
    assert json.loads(again.stdout) == {"deleted": 0, "deleted_in_all": 2, "rows": 12}
    assert json.loads(run(index, folder, "--compact", "--json").stdout) == {"removed": 2}
    assert "nothing was deleted" in run(index, folder, "--compact").stdout
    assert json.loads((folder / "index.json").read_text())["rows"] == 10


def test_names_come_from_stdin_too(folder):
    app = typer.Typer()
    app.command()(index)
    result = CliRunner().invoke(app, [str(folder), "--delete", "-"], input="3\n")
    assert "deleted 1 sample;" in result.stdout


def test_steps_are_taken_one_at_a_time(folder, tmp_path):
    with pytest.raises(SettingsError, match="three steps"):
        run(index, folder, "--compact", "--add", tmp_path)
    with pytest.raises(InputError, match="cannot be read as a list"):
        run(index, folder, "--delete", tmp_path / "none.txt")


def test_what_is_not_said_stays_as_it_was(folder):
    run(index, folder, "--kind", "hnsw", "--recall", "0.9", "--queries", "image")
    run(index, folder)
    card = json.loads((folder / "index.json").read_text())
    assert card["measures"]["text"]["asked_kind"] == "hnsw"
    assert card["measures"]["text"]["target"] == 0.9
    assert card["measures"]["text"]["asked_by"] == "image"
