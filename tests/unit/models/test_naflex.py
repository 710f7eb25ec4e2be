import pytest
import torch

from clipworks.errors import InputError
from clipworks.models.naflex import PatchBatch, cut_patches
from tests.unit.models.golden_cases import GoldenCase, patches_of, relative_error
from tests.unit.models.tiny_models import (
    naflex_config,
    some_pixels,
    tiny_config,
    tiny_model,
    tiny_resnet_config,
)

FIXED = GoldenCase("06a_hf_siglip2_fixed")
FREE = GoldenCase("06b_hf_siglip2_naflex")


def pictures(*sizes):
    generator = torch.Generator().manual_seed(6)
    return [torch.randn(3, height, width, generator=generator) for height, width in sizes]


def test_pictures_are_cut_as_transformers_cuts_them():
    inputs = FREE.inputs()
    batch = cut_patches([inputs[f"image_chw_{place}"] for place in range(3)], 8)
    mask = inputs["pixel_attention_mask"].bool()
    length = batch.patches.shape[1]  # of the longest; theirs is padded further
    assert torch.equal(batch.patches[batch.mask], inputs["pixel_values"][mask])
    assert torch.equal(batch.grids, inputs["spatial_shapes"])
    assert torch.equal(batch.mask, mask[:, :length])
    assert torch.equal(patches_of(inputs).mask, mask)


def test_how_far_a_batch_is_padded_does_not_matter():
    inputs, model = FREE.inputs(), FREE.load().model
    batch = patches_of(inputs)
    noise = 9 * torch.randn(batch.patches.shape, generator=torch.Generator().manual_seed(1))
    noisy = torch.where(batch.mask[..., None], batch.patches, noise)
    longer = torch.cat([noisy, noise], dim=1)
    with torch.no_grad():
        expected = FREE.outputs()["image_features"]
        for patches in (noisy, longer):
            got = model.encode_patches(PatchBatch(patches, batch.grids))
            assert relative_error(got, expected) < 1e-5
        alone = model.encode_patches(cut_patches([inputs["image_chw_2"]], 8))
        assert relative_error(alone, expected[2:]) < 1e-5


def test_a_square_picture_needs_no_cutting():
    model, pixels = FIXED.load().model, FIXED.inputs()["image_nchw"]
    assert model.config.vision.image_size == 32
    with torch.no_grad():
        got = model.encode_image(pixels)
        cut = model.encode_patches(cut_patches(list(pixels), 8))
    assert relative_error(got, FIXED.outputs()["image_features"]) < 1e-5
    torch.testing.assert_close(got, cut)


def test_gradients_reach_the_table_through_every_grid():
    model = tiny_model(naflex_config())
    model.encode_patches(cut_patches(pictures((4, 20), (8, 8)), 4)).square().sum().backward()
    for name, parameter in model.visual.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("size", [(4, 6), (6, 4), (0, 4)])
def test_a_picture_that_leaves_a_rest_is_refused(size):
    with pytest.raises(InputError):
        cut_patches(pictures(size), 4)


def test_no_picture_is_refused():
    with pytest.raises(InputError, match="at least one picture"):
        cut_patches([], 4)


@pytest.mark.parametrize(
    ("grids", "message"),
    [
        ([[2, 2], [1, 5]], "1 to 4 patches"),
        ([[2, 2], [0, 3]], "1 to 4 patches"),
        ([[-1, -2], [1, 1]], "1 to 4 patches"),
        ([[2, 2]], r"expected \[image, patch, value\] and \[image, 2\]"),
    ],
)
def test_grids_go_with_the_patches(grids, message):
    with pytest.raises(InputError, match=message):
        PatchBatch(torch.zeros(2, 4, 48), torch.tensor(grids))


def test_patches_of_another_size_are_refused():
    with pytest.raises(InputError, match="patches of 192 numbers, but this model takes 48"):
        tiny_model(naflex_config()).encode_patches(cut_patches(pictures((8, 8)), 8))


@pytest.mark.parametrize("config", [tiny_config(), tiny_resnet_config()], ids=["vit", "resnet"])
def test_other_models_take_squares_only(config):
    batch = cut_patches(list(some_pixels(1)), 4)
    with pytest.raises(InputError, match="no NaFlex model"):
        tiny_model(config).encode_patches(batch)
