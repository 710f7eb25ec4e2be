import json

from typer import Typer
from typer.testing import CliRunner

from clipworks.cli.verify import verify
from clipworks.models.checkpoints import save_checkpoint
from tests.support.damaged_bundle import damage
from tests.support.pictures import fill_folder
from tests.support.tiny import tiny_clip

app = Typer()
app.command()(verify)


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_a_bundle_and_itself_in_a_table(tiny_bundle_folder, tmp_path):
    fill_folder(tmp_path, 4)
    options = ("--against", tiny_bundle_folder, "--pictures", tmp_path)
    result = run(tiny_bundle_folder, *options, "--labels", "a, b, c")
    assert result.exit_code == 0
    assert "same ten neighbours" in result.stdout
    assert "Within the limits of fp32, on 4 pictures" in result.stdout


def test_another_model_exits_with_1_and_says_why(tiny_bundle_folder, tmp_path):
    fill_folder(tmp_path / "pictures", 4)
    other = damage(tiny_bundle_folder, tmp_path / "other").folder
    result = run(
        other, "--against", tiny_bundle_folder, "--pictures", tmp_path / "pictures", "--json"
    )
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["passed"] is False
    assert report["num_pictures"] == 4
    assert "pictures: lowest cosine" in report["failures"][0]


def test_a_checkpoint_is_a_reference_too(tiny_bundle_folder, tmp_path):
    fill_folder(tmp_path / "pictures", 3)
    save_checkpoint(tiny_clip(), tmp_path / "weights.safetensors")
    options = ("--against", tmp_path / "weights.safetensors", "--pictures", tmp_path / "pictures")
    result = run(tiny_bundle_folder, *options, "--json")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert report["against"] == "weights.safetensors"
    assert report["images"]["lowest"] > 0.999999
