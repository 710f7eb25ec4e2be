import pytest
import torch

from clipworks.errors import SettingsError
from clipworks.models.sites import Site, match_sites, observe, replace, sites_of
from tests.unit.models.tiny_models import siglip_config as siglip
from tests.unit.models.tiny_models import some_pixels, some_tokens, tiny_model

UNFUSED = {"visual.blocks.0.attn.hook_pattern", "text.blocks.1.ln1.hook_scale"}


@pytest.fixture
def model():
    return tiny_model()


SIGLIP = tiny_model(siglip())


def run(model):
    with torch.no_grad():
        return model.encode_image(some_pixels()), model.encode_text(some_tokens())


def test_names_are_transformerlens_names(model):
    names = sites_of(model).keys()
    for tower in ("visual", "text"):
        for site in (
            "hook_embed",
            "hook_pos_embed",
            "hook_full_embed",
            "blocks.0.hook_resid_pre",
            "blocks.0.ln1.hook_scale",
            "blocks.0.ln1.hook_normalized",
            "blocks.0.attn.hook_q",
            "blocks.0.attn.hook_attn_scores",
            "blocks.0.attn.hook_pattern",
            "blocks.0.attn.hook_z",
            "blocks.0.hook_attn_out",
            "blocks.0.hook_resid_mid",
            "blocks.0.mlp.hook_pre",
            "blocks.0.mlp.hook_post",
            "blocks.1.hook_mlp_out",
            "blocks.1.hook_resid_post",
            "ln_final.hook_normalized",
        ):
            assert f"{tower}.{site}" in names
    assert "visual.hook_ln_pre" in names


def test_watching_what_is_computed_anyway_changes_no_bit(model):
    before = run(model)
    fused = [
        name for name in sites_of(model) if not name.endswith(("pattern", "scores", "hook_scale"))
    ]
    with observe(model, fused) as seen:
        during = run(model)
    assert seen.keys() == set(fused)
    for image_or_text, same in zip(before, during, strict=True):
        assert torch.equal(image_or_text, same)


def test_watching_what_is_not_changes_rounding_only(model):
    before = run(model)
    with observe(model, ["*"]) as seen:
        during = run(model)
    assert seen.keys() == sites_of(model).keys()
    for image_or_text, close in zip(before, during, strict=True):
        torch.testing.assert_close(close, image_or_text, rtol=1e-5, atol=1e-6)


def test_every_site_is_left_as_it_was_found(model):
    with pytest.raises(RuntimeError, match="stop"), observe(model, ["*"]):
        raise RuntimeError("stop")
    assert not any(site.watched for site in sites_of(model).values())


def test_patterns_are_probabilities_and_causal_where_they_should_be(model):
    with observe(model, ["*.hook_pattern"]) as seen:
        run(model)
    for name, pattern in seen.items():
        torch.testing.assert_close(pattern.sum(dim=-1), torch.ones(pattern.shape[:-1]))
        causal = bool((pattern.triu(1) == 0).all())
        assert causal == name.startswith("text.")


@pytest.mark.parametrize(
    ("model", "name"),
    [
        *(pytest.param(tiny_model(), name, id=name) for name in sorted(sites_of(tiny_model()))),
        *(
            pytest.param(SIGLIP, name, id=f"siglip-{name}")
            for name in sorted(sites_of(SIGLIP))
            if "blocks" not in name
        ),
    ],
)
def test_replacing_any_site_matters(model, name):
    """Except the class token's row of a text, each site is on the way to the output."""
    before = run(model)
    with replace(model, {name: lambda tensor: torch.zeros_like(tensor) + 0.5}):
        after = run(model)
    changed = 0 if name.startswith("visual.") else 1
    assert not torch.allclose(before[changed], after[changed])
    assert torch.equal(before[1 - changed], after[1 - changed])


def test_a_replacement_with_the_same_changes_nothing(model):
    before = run(model)
    with replace(model, {"visual.blocks.*.hook_resid_post": lambda tensor: tensor.clone()}):
        after = run(model)
    assert torch.equal(before[0], after[0])


def test_a_later_watcher_sees_what_an_earlier_one_put(model):
    site = "visual.blocks.1.hook_resid_mid"
    with replace(model, {site: torch.zeros_like}), observe(model, [site]) as seen:
        run(model)
    assert not seen[site].any()


def test_an_observed_tensor_keeps_its_graph(model):
    with observe(model, ["visual.blocks.0.hook_resid_mid"]) as seen:
        features = model.encode_image(some_pixels())
    (gradient,) = torch.autograd.grad(features.sum(), seen["visual.blocks.0.hook_resid_mid"])
    assert gradient.abs().sum() > 0


def test_the_same_watcher_may_watch_twice():
    site, calls = Site(), []
    with site.watch(calls.append), site.watch(calls.append):
        site(torch.ones(1))
    assert len(calls) == 2
    assert not site.watched


def test_a_pattern_that_matches_nothing_is_refused(model):
    with pytest.raises(SettingsError, match=r"no site matches 'visual\.hook_emb'"):
        match_sites(model, ["visual.*", "visual.hook_emb"])
