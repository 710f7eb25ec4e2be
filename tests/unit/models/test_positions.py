from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from clipworks.errors import SettingsError
from clipworks.models.checkpoints import load_checkpoint, save_checkpoint
from clipworks.models.config import VisionConfig
from clipworks.models.positions import resize_grid, resize_positions
from tests.unit.models.golden_cases import GOLDEN, GoldenCase, relative_error

RULES = {"open_clip": "bicubic_antialias", "timm": "bicubic_antialias", "transformers": "bicubic"}
CONFIG = VisionConfig(
    image_size=16, patch_size=4, width=6, layers=1, heads=1, mlp_width=6, activation="gelu"
)


@pytest.fixture(scope="module")
def golden():
    """One table of 17 rows, and what each library makes of it."""
    return load_file(GOLDEN / "resized_positions.safetensors")


@pytest.mark.parametrize("side", [6, 3], ids=["larger", "smaller"])
@pytest.mark.parametrize("library", RULES)
def test_every_library_has_its_own_filter(golden, library, side):
    config = replace(CONFIG, position_resize=RULES[library])
    table = golden["table"]
    if library == "timm":  # of a tower without class token
        table, config = table[1:], replace(config, class_token=False, pooling="map")
    got, resized = resize_positions(table, config, side * 4)
    assert relative_error(got, golden[f"{library}.{side}"]) < 1e-6
    assert (resized.image_size, resized.num_patches) == (side * 4, side**2)
    others = {*RULES.values(), "bilinear_antialias"} - {config.position_resize}
    for other in others if side == 3 else ["bilinear_antialias"]:  # growing needs no antialiasing
        wrong, _ = resize_positions(table, replace(config, position_resize=other), side * 4)
        assert relative_error(wrong, golden[f"{library}.{side}"]) > 0.01


def test_a_grid_need_not_be_square(golden):
    for place, (rows, columns) in enumerate(golden["naflex_grids"].tolist()):
        got = resize_grid(golden["table"][1:], (rows, columns), "bilinear_antialias")
        assert relative_error(got, golden["naflex"][place, : rows * columns]) < 1e-6


def test_a_size_with_the_same_patches_keeps_every_bit(golden):
    got, config = resize_positions(golden["table"], CONFIG, 19)
    assert torch.equal(got, golden["table"])
    assert config == replace(CONFIG, image_size=19)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_type_is_kept(golden, dtype):
    got = resize_grid(golden["table"][1:].to(dtype), (5, 5), "bicubic_antialias")
    wide = resize_grid(golden["table"][1:].double(), (5, 5), "bicubic_antialias")
    assert got.dtype == dtype
    torch.testing.assert_close(got.double(), wide, atol=4 * torch.finfo(dtype).eps, rtol=0.02)


class TestLoading:
    case = GoldenCase("05_hf_siglip")

    def load(self, **options):
        return load_checkpoint(self.case.weights, config=self.case.config, **options)

    def test_pictures_of_another_size(self):
        checkpoint = self.load(image_size=48)
        assert checkpoint.config.vision.image_size == 48
        with torch.no_grad():
            got = checkpoint.model.encode_image(self.case.inputs()["pixel_values_48"])
        assert relative_error(got, self.case.outputs()["interp48.image_features"]) < 1e-5

    def test_our_own_files_remember_the_filter(self, tmp_path):
        save_checkpoint(self.load().model, tmp_path / "weights.safetensors")
        got = load_checkpoint(tmp_path, image_size=48).model.visual.positions
        assert torch.equal(got, self.load(image_size=48).model.visual.positions)

    def test_a_size_without_patches_is_refused(self):
        with pytest.raises(SettingsError, match="a picture of 7 pixels has no patch of 8 pixels"):
            self.load(image_size=7)

    def test_a_resnet_takes_pictures_of_its_own_size_only(self):
        case = GoldenCase("10_oc_modified_resnet")
        same = load_checkpoint(case.weights, config=case.config, image_size=64)
        assert same.config == case.load().config
        with pytest.raises(SettingsError, match=r"image_size=96: .* made for, 64 pixels, only"):
            load_checkpoint(case.weights, config=case.config, image_size=96)
