import pytest
import torch
from safetensors.torch import load_file, save_file

from clipworks.errors import CheckpointError
from clipworks.models.checkpoints import load_checkpoint
from clipworks.models.facts import CheckpointHints
from tests.unit.models.golden_cases import GoldenCase, relative_error

COCA = GoldenCase("08c_oc_coca")
PARALLEL = GoldenCase("08f_oc_attnpool_parallel")
PLAIN = GoldenCase("01_oc_clip_gelu")
ROTARY = CheckpointHints(text_positions="rotary", rotary_theta=10000.0, context_length=24)


def save(folder, case, change):
    state = load_file(case.weights)
    change(state)
    save_file(state, folder / "w.safetensors")
    return folder / "w.safetensors"


class TestCaptions:
    def test_the_decoder_is_left_out_and_said_to_be(self):
        checkpoint = COCA.load()
        assert checkpoint.notes == ("the caption decoder is left out (29 of the file's tensors)",)
        assert not any("decoder" in name for name in checkpoint.model.state_dict())
        assert PLAIN.load().notes == ()

    def test_what_only_sounds_like_it_is_not(self, tmp_path):
        path = save(tmp_path, COCA, lambda state: state.update(text_decoders=torch.ones(1)))
        with pytest.raises(CheckpointError, match=r"belongs? to nothing .*: text\.text_decoders"):
            load_checkpoint(path, config=COCA.config)

    def test_of_two_parallel_pools_one_is_for_captions(self):
        checkpoint = PARALLEL.load()
        assert checkpoint.notes == (
            "the pooling for captions is left out (11 of the file's tensors)",
        )
        (pool,) = checkpoint.model.visual.attention_pool
        weights = load_file(PARALLEL.weights)
        assert torch.equal(pool.queries, weights["visual.attn_pool_contrastive.query"])

    def test_in_a_cascade_both_are_needed(self):
        config = dict(PARALLEL.config["model_cfg"])
        config["vision_cfg"] = {**config["vision_cfg"], "attentional_pool": "cascade"}
        checkpoint = load_checkpoint(PARALLEL.weights, config=config)
        assert checkpoint.notes == ()
        assert len(checkpoint.model.visual.attention_pool) == 2
        pixels = PARALLEL.inputs()["pixel_values"]
        with torch.no_grad():
            got = checkpoint.model.encode_image(pixels)
        assert relative_error(got, PARALLEL.outputs()["image_features"]) > 0.01


class TestCocasTensors:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (
                lambda state: state.pop("visual.attn_pool.ln_k.bias"),
                "1 tensor is missing: visual.attention_pool.0.norm_k.bias",
            ),
            (
                lambda state: state.pop("visual.attn_pool.attn.in_proj_weight"),
                r"attention_pool\.0\.attn: its weights do not fit",
            ),
            (lambda state: state.pop("text.cls_emb"), "missing: text.class_token|context_length"),
            (
                lambda state: state.update({"visual.attn_pool.query": torch.ones(5, 32)}),
                "vision pool_queries = 6, but the tensors say 5",
            ),
            (
                lambda state: state.pop("visual.attn_pool.query"),
                "vision pool_queries = 6, but the tensors say None",
            ),
            (
                lambda state: state.update({"visual.attn_pool.extra": torch.ones(1)}),
                "belongs? to nothing in the model: visual.attention_pool.0.extra",
            ),
        ],
    )
    def test_wrong_ones_are_refused(self, tmp_path, change, message):
        with pytest.raises(CheckpointError, match=message):
            load_checkpoint(save(tmp_path, COCA, change), config=COCA.config)

    @pytest.mark.parametrize(
        ("part", "changes", "message"),
        [
            ("vision_cfg", {"attentional_pool": False}, "belongs? to nothing .*attention_pool"),
            ("vision_cfg", {"attn_pooler_heads": 5}, "attention pooling width 32 cannot be shared"),
            ("vision_cfg", {"attentional_pool": "cascade"}, "missing: visual.attention_pool.1"),
            (
                "text_cfg",
                {"embed_cls": False},
                "belongs? to nothing .*: text.class_token",
            ),
            ("text_cfg", {"scale_fc": True}, "text block_extras = .'mlp_norm',., but the tensors"),
        ],
    )
    def test_a_configuration_of_other_weights_is_refused(self, part, changes, message):
        config = dict(COCA.config["model_cfg"])
        config[part] = {**config[part], **changes}
        with pytest.raises(CheckpointError, match=message):
            load_checkpoint(COCA.weights, config=config)


class TestRotary:
    """TULIP's files are CLIP's in their names; its second stage even keeps CLIP's old table."""

    @pytest.mark.parametrize("has_table", [False, True])
    def test_with_the_hints(self, tmp_path, has_table):
        def change(state):
            if not has_table:
                del state["positional_embedding"]

        path = save(tmp_path, PLAIN, change)
        checkpoint = load_checkpoint(path, config=PLAIN.config, hints=ROTARY)
        text = checkpoint.config.text
        assert (text.positions, text.rotary_theta, text.context_length) == ("rotary", 1e4, 24)
        assert len(checkpoint.notes) == has_table
        with torch.no_grad():
            assert (
                checkpoint.model.encode_text(torch.ones(1, 24, dtype=torch.int64)).isfinite().all()
            )

    def test_without_them_a_missing_table_is_explained(self, tmp_path):
        path = save(tmp_path, PLAIN, lambda state: state.pop("positional_embedding"))
        with pytest.raises(CheckpointError, match="--hint text_positions=rotary --hint rotary"):
            load_checkpoint(path, config=PLAIN.config)

    def test_theta_is_asked_for(self):
        hints = CheckpointHints(text_positions="rotary", context_length=24)
        with pytest.raises(CheckpointError, match="positions 'rotary' need a number above 0"):
            load_checkpoint(PLAIN.weights, config=PLAIN.config, hints=hints)

    def test_each_tower_may_have_its_activation(self):
        """TULIP distils a tower with GELU out of one with QuickGELU."""
        hints = CheckpointHints(activation="quick_gelu", text_activation="gelu")
        config = load_checkpoint(PLAIN.weights, config=PLAIN.config, hints=hints).config
        assert (config.vision.activation, config.text.activation) == ("quick_gelu", "gelu")
