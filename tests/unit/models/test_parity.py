"""Our towers against the libraries whose weights they load."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from clipworks.models.checkpoints import load_checkpoint
from clipworks.models.clip import Clip
from clipworks.models.config import ClipConfig, VisionConfig
from clipworks.models.facts import CheckpointHints
from clipworks.models.sites import observe
from tests.unit.models.golden_cases import CASES, GoldenCase, features, relative_error, site_of

SMALL_EPS = ("03", "05", "06")
FEATURES = ("image_features", "text_features")
# The libraries' kernels sum in another order than ours; the worst seen is 1.8e-6.
TOLERANCE = 1e-5


@pytest.fixture(params=CASES)
def case(request):
    return GoldenCase(request.param)


def test_features_and_logits(case):
    model, expected = case.load().model, case.outputs()
    got = features(model, case.inputs())
    for name in FEATURES:
        assert relative_error(got[name], expected[name]) < TOLERANCE, name
    with torch.no_grad():
        logits = model.logits(got["image_features"], got["text_features"])
    assert relative_error(logits, expected["logits_per_image"]) < TOLERANCE
    assert model.logit_scale.item() == pytest.approx(expected["logit_scale"].item())
    bias = expected.get("logit_bias")
    assert (model.logit_bias is None) == (bias is None)
    assert bias is None or model.logit_bias == bias


def test_every_place_inside(case):
    model, expected = case.load().model, case.outputs()
    places = {
        name: site_of(name) for name in expected if ".blocks." in name or "hook_" in site_of(name)
    }
    if case.name == "08a_oc_clipa":  # this one normalises the pooled vector only
        del places["visual.tokens_final"]
    with observe(model, places.values() or ["*"]) as seen:
        features(model, case.inputs())
    for name, site in places.items():
        assert relative_error(seen[site], expected[name]) < TOLERANCE, name


def test_places_inside_are_compared_at_all():
    compared = {site_of(name) for name in GoldenCase("01_oc_clip_gelu").outputs()}
    for site in (
        "visual.hook_full_embed",
        "visual.hook_ln_pre",
        "visual.blocks.2.attn.hook_pattern",
        "text.blocks.1.mlp.hook_post",
        "text.ln_final.hook_normalized",
    ):
        assert site in compared


def changed(case: GoldenCase, *, vision: dict | None = None, text: dict | None = None) -> Clip:
    """The same weights in a model of another configuration."""
    model = case.load().model
    config = ClipConfig(
        embed_dim=model.config.embed_dim,
        vision=replace(model.config.vision, **(vision or {})),
        text=replace(model.config.text, **(text or {})),
    )
    other = Clip(config).eval()
    other.load_state_dict(model.state_dict())
    return other


@pytest.mark.parametrize(
    ("changes", "moved"),
    [
        ({"vision": {"activation": "quick_gelu"}}, "image_features"),
        ({"text": {"activation": "quick_gelu"}}, "text_features"),
        ({"vision": {"activation": "gelu_tanh"}}, "image_features"),
        ({"text": {"activation": "gelu_tanh"}}, "text_features"),
        ({"vision": {"heads": 2}}, "image_features"),
        ({"text": {"heads": 4}}, "text_features"),
        ({"vision": {"pooling": "patch_mean"}}, "image_features"),
        ({"text": {"causal": False}}, "text_features"),
        ({"text": {"pooling": "last"}}, "text_features"),
        ({"text": {"pooling": "first"}}, "text_features"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_seen(changes, moved):
    case = GoldenCase("01_oc_clip_gelu")
    got, expected = features(changed(case, **changes), case.inputs()), case.outputs()
    assert relative_error(got[moved], expected[moved]) > 3 * TOLERANCE


def test_rounding_not_a_fault_is_what_remains():
    """In float64 the two orders of summing agree far more closely."""
    case = GoldenCase("02_oc_clip_quickgelu")
    inputs = {
        name: value.double() if value.is_floating_point() else value
        for name, value in case.inputs().items()
    }
    model = load_checkpoint(case.weights, config=case.config, dtype=torch.float64).model
    with observe(model, ["*.hook_pattern"]):  # the plain formula instead of the fused kernel
        plain = features(model, inputs)
    fused = features(model, inputs)
    for name in FEATURES:
        assert relative_error(plain[name], fused[name]) < 1e-13


def test_norm_eps_is_read(case):
    config = case.load().config
    assert config.text.norm_eps == (1e-6 if case.name.startswith(SMALL_EPS) else 1e-5)
    if isinstance(config.vision, VisionConfig):
        assert config.vision.norm_eps == (1e-6 if "siglip" in case.name else 1e-5)


class TestLongClip:
    """Its published files keep two tables of positions."""

    case = GoldenCase("09_oc_longclip_248")

    def published(self, folder):
        state = load_file(self.case.weights)
        whole = state.pop("positional_embedding")
        kept, trained = whole.clone(), whole.clone()
        kept[20:] = torch.nan
        trained[:20] = torch.nan
        state |= {"positional_embedding": kept, "positional_embedding_res": trained}
        save_file(state, folder / "longclip.safetensors")
        return folder / "longclip.safetensors"

    def test_two_tables_become_one(self, tmp_path):
        hints = CheckpointHints(vision_heads=2, text_heads=2)
        checkpoint = load_checkpoint(self.published(tmp_path), hints=hints)
        assert checkpoint.dialect == "openai"
        assert checkpoint.config.text.context_length == 248
        got, expected = features(checkpoint.model, self.case.inputs()), self.case.outputs()
        for name in FEATURES:
            assert relative_error(got[name], expected[name]) < TOLERANCE

    def test_rows_in_the_middle(self):
        model, inputs, expected = self.case.load().model, self.case.inputs(), self.case.outputs()
        sites = ["text.blocks.0.attn.hook_pattern", "text.ln_final.hook_normalized"]
        with observe(model, sites) as seen:
            features(model, inputs)
        pattern, tokens = (seen[site].detach() for site in sites)
        rows = expected["text.block0_attn_rows_100_104_of_text0"]
        assert relative_error(pattern[0, :, 100:104], rows) < TOLERANCE
        ends = inputs["input_ids"].argmax(dim=1)
        assert relative_error(tokens[range(4), ends], expected["text.eot_rows_final"]) < TOLERANCE

    def test_a_shorter_context_gives_a_short_text_the_same_vector(self):
        model, tokens = self.case.load().model, self.case.inputs()["input_ids"]
        with torch.no_grad():
            got = model.encode_text(tokens[2:3, :77])
        expected = self.case.outputs()["text_features_77_first_row_short"]
        assert relative_error(got, expected) < TOLERANCE

    def test_the_table_before_it_was_stretched(self):
        model, expected = self.case.load().model, self.case.outputs()["ctx77_text_features"]
        model.text.positions.data = self.case.stretch()["positional_embedding_77"]
        with torch.no_grad():
            got = model.encode_text(self.case.inputs()["ctx77_input_ids"])
        assert relative_error(got, expected) < TOLERANCE


def test_the_cases_cover_each_dialect():
    dialects = {GoldenCase(name).load().dialect for name in CASES}
    assert dialects == {"openai", "open_clip", "huggingface"}
