import pytest
import torch

from clipworks.errors import InputError
from clipworks.models.sites import match_sites, observe, replace, sites_of
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


ATTENTION = {"pooling": "attention", "pool_queries": 3, "pool_heads": 2}


class TestAttentionPooling:
    """CoCa's image tower; queries of 12 channels draw from tokens of 16."""

    @pytest.mark.parametrize("norm_pooled", [False, True])
    def test_the_first_query_makes_the_vector(self, norm_pooled):
        vision = {**ATTENTION, "norm_pooled": norm_pooled}
        tower = tiny_model(tiny_config(vision=vision)).visual
        with torch.no_grad():
            stream = tower.blocks(tower.embed(some_pixels()))
            if norm_pooled:
                pooled = tower.ln_final(tower.attention_pool[0](stream))[:, 0]
            else:
                pooled = tower.attention_pool[0](tower.ln_final(stream))[:, 0]
            expected = tower.projection(pooled)
            before = tower(some_pixels())
            torch.testing.assert_close(before, expected)
            tower.attention_pool[0].queries[1:] = 9  # those are for captions
            torch.testing.assert_close(tower(some_pixels()), before)

    def test_a_cascade_draws_from_what_was_drawn(self):
        vision = {**ATTENTION, "pooling": "attention_cascade"}
        tower = tiny_model(tiny_config(vision=vision)).visual
        first, second = tower.attention_pool
        with torch.no_grad():
            stream = tower.ln_final(tower.blocks(tower.embed(some_pixels())))
            expected = tower.projection(second(first(stream))[:, 0])
            torch.testing.assert_close(tower(some_pixels()), expected)
        assert list(second.queries.shape) == [1, 12]

    def test_tokens_keep_their_width(self):
        for norm_pooled in (False, True):
            vision = {**ATTENTION, "norm_pooled": norm_pooled}
            tower = tiny_model(tiny_config(vision=vision)).visual
            assert list(tower.encode_tokens(some_pixels()).shape) == [3, 17, 16]

    def test_every_site_is_passed_and_matters(self):
        model = tiny_model(tiny_config(vision={**ATTENTION, "norm_pooled": True}))
        with torch.no_grad():
            before = model.encode_image(some_pixels())
            with observe(model, ["visual.*"]) as seen:
                model.encode_image(some_pixels())
            assert seen.keys() == {name for name in sites_of(model) if name.startswith("visual.")}
            for name in match_sites(model, ["visual.attention_pool.*"]):
                with replace(model, {name: lambda tensor: torch.zeros_like(tensor) + 0.5}):
                    assert not torch.allclose(model.encode_image(some_pixels()), before), name
