import pytest
import torch

from clipworks.errors import InputError
from clipworks.models.vision import keep_patches
from tests.unit.models.tiny_models import siglip_config, some_pixels, tiny_config, tiny_model


def test_all_patches_kept_is_the_whole_picture():
    model = tiny_model()
    everything = torch.arange(16).expand(3, 16)
    with torch.no_grad():
        whole = model.encode_image(some_pixels())
        kept = model.encode_image(some_pixels(), everything)
    assert torch.equal(whole, kept)


@pytest.mark.parametrize(
    "config",
    [
        tiny_config(),
        tiny_config(vision={"pooling": "patch_mean"}),
        tiny_config(vision={"pooling": "patch_mean", "class_token": False}),
        siglip_config(),
    ],
    ids=["class token", "mean", "mean without class token", "siglip"],
)
def test_patches_that_are_dropped_are_not_seen(config):
    model = tiny_model(config)
    pixels = some_pixels()
    kept = torch.tensor([[0, 5], [3, 12], [15, 1]])
    masked = torch.zeros_like(pixels)  # the same picture with other content where it is dropped
    for image, patches in enumerate(kept.tolist()):
        for patch in patches:
            rows = slice(patch // 4 * 4, patch // 4 * 4 + 4)
            columns = slice(patch % 4 * 4, patch % 4 * 4 + 4)
            masked[image, :, rows, columns] = pixels[image, :, rows, columns]
    with torch.no_grad():
        got = model.encode_image(pixels, kept)
        torch.testing.assert_close(got, model.encode_image(masked, kept))
        assert not torch.allclose(got, model.encode_image(pixels), atol=1e-3)


def test_kept_patches_do_not_depend_on_their_order():
    model = tiny_model()
    with torch.no_grad():
        one = model.encode_image(some_pixels(1), torch.tensor([[2, 9, 4]]))
        other = model.encode_image(some_pixels(1), torch.tensor([[9, 4, 2]]))
    torch.testing.assert_close(one, other)


def test_keep_patches_keeps_the_class_token():
    tokens = torch.arange(10.0).reshape(2, 5, 1)  # [image token width]
    kept = keep_patches(tokens, torch.tensor([[3, 0], [1, 1]]), prefix=1)
    assert kept[..., 0].tolist() == [[0, 4, 1], [5, 7, 7]]
    kept = keep_patches(tokens, torch.tensor([[3, 0], [1, 1]]), prefix=0)
    assert kept[..., 0].tolist() == [[3, 0], [6, 6]]


def test_pooling_and_the_last_norm():
    for norm_pooled in (False, True):
        vision = {"pooling": "patch_mean", "norm_pooled": norm_pooled}
        tower = tiny_model(tiny_config(vision=vision)).visual
        with torch.no_grad():
            stream = tower.blocks(tower.embed(some_pixels()))
            mean_after = tower.ln_final(stream)[:, 1:].mean(dim=1)
            mean_before = tower.ln_final(stream[:, 1:].mean(dim=1))
            expected = tower.projection(mean_before if norm_pooled else mean_after)
            torch.testing.assert_close(tower(some_pixels()), expected)
            assert not torch.allclose(mean_before, mean_after, atol=1e-3)


def test_encode_tokens_starts_with_what_is_pooled():
    tower = tiny_model().visual
    with torch.no_grad():
        tokens = tower.encode_tokens(some_pixels())
        torch.testing.assert_close(tower.projection(tokens[:, 0]), tower(some_pixels()))
    assert list(tokens.shape) == [3, 17, 16]


def test_without_class_token_every_token_is_a_patch():
    tower = tiny_model(siglip_config()).visual
    with torch.no_grad():
        tokens = tower.encode_tokens(some_pixels())
        torch.testing.assert_close(tower.pool(tokens), tower(some_pixels()))
    assert list(tokens.shape) == [3, 16, 16]
    assert not {"class_token", "projection.weight"} & tower.state_dict().keys()


def test_the_first_norm_is_left_out():
    tower = tiny_model(tiny_config(vision={"pre_norm": False})).visual
    assert "ln_pre.weight" not in tower.state_dict()
    assert tower(some_pixels()).shape == (3, 12)


@pytest.mark.parametrize("shape", [(1, 3, 16, 17), (1, 1, 16, 16), (1, 3, 8, 8)])
def test_pictures_of_another_size_are_refused(shape):
    with pytest.raises(InputError, match=r"takes \[image, 3, 16, 16\]"):
        tiny_model().encode_image(torch.zeros(shape))
