import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from clipworks.errors import CheckpointError
from clipworks.models.checkpoints import load_checkpoint, save_checkpoint
from tests.unit.models.golden_cases import CASES, GOLDEN, GoldenCase, relative_error
from tests.unit.models.tiny_models import (
    some_pixels,
    some_tokens,
    tiny_config,
    tiny_model,
    tiny_resnet_config,
)

OPEN_CLIP = GoldenCase("01_oc_clip_gelu")
HUGGING_FACE = GoldenCase("04a_hf_clip_quickgelu")


def open_clip_folder(folder):
    content = {**OPEN_CLIP.config, "preprocess_cfg": {"mean": [0.5, 0.5, 0.5]}}
    (folder / "open_clip_config.json").write_text(json.dumps(content))
    shutil.copy(OPEN_CLIP.weights, folder / "open_clip_model.safetensors")
    return folder


def hugging_face_folder(folder):
    (folder / "config.json").write_text(json.dumps(HUGGING_FACE.config))
    (folder / "preprocessor_config.json").write_text('{"do_resize": true}')
    shutil.copy(HUGGING_FACE.weights, folder / "model.safetensors")
    return folder


class TestFolders:
    def test_open_clip(self, tmp_path):
        checkpoint = load_checkpoint(open_clip_folder(tmp_path))
        assert checkpoint.dialect == "open_clip"
        assert checkpoint.config == OPEN_CLIP.load().config
        assert checkpoint.preprocessing == {"mean": [0.5, 0.5, 0.5]}
        assert checkpoint.weights == tmp_path / "open_clip_model.safetensors"

    def test_a_file_finds_what_lies_beside_it(self, tmp_path):
        folder = open_clip_folder(tmp_path)
        checkpoint = load_checkpoint(str(folder / "open_clip_model.safetensors"))
        assert checkpoint.config == OPEN_CLIP.load().config

    def test_hugging_face(self, tmp_path):
        checkpoint = load_checkpoint(hugging_face_folder(tmp_path))
        assert checkpoint.dialect == "huggingface"
        assert checkpoint.config == HUGGING_FACE.load().config
        assert checkpoint.preprocessing == {"do_resize": True}

    def test_both_in_one(self, tmp_path):
        """Many repositories hold a model twice; each half is read by its own configuration."""
        folder = hugging_face_folder(open_clip_folder(tmp_path))
        assert load_checkpoint(folder).dialect == "open_clip"
        assert load_checkpoint(folder / "model.safetensors").dialect == "huggingface"

    def test_shards(self, tmp_path):
        whole = load_file(HUGGING_FACE.weights)
        names = sorted(whole)
        weight_map = {name: f"model-{place % 3}.safetensors" for place, name in enumerate(names)}
        for shard in set(weight_map.values()):
            part = {name: whole[name] for name in names if weight_map[name] == shard}
            save_file(part, tmp_path / shard)
        index = tmp_path / "model.safetensors.index.json"
        index.write_text(json.dumps({"weight_map": weight_map}))
        model = load_checkpoint(tmp_path, config=HUGGING_FACE.config).model
        expected = HUGGING_FACE.load().model.state_dict()
        assert all(
            torch.equal(expected[name], tensor) for name, tensor in model.state_dict().items()
        )

    @pytest.mark.parametrize(
        ("readme", "licence"),
        [
            ("---\ntags:\n- clip\nlicense: mit\n---\n# Hi", "mit"),
            ("---\nlicense: 'apache-2.0'\n---\n", "apache-2.0"),
            ("# license: mit", None),
            ("---\ntags: x\n---\nlicense: mit", None),
        ],
    )
    def test_the_licence_is_found(self, tmp_path, readme, licence):
        (open_clip_folder(tmp_path) / "README.md").write_text(readme)
        assert load_checkpoint(tmp_path).licence == licence


class TestWrongTensors:
    def save(self, folder, change):
        state = load_file(OPEN_CLIP.weights)
        change(state)
        save_file(
            {name: tensor.contiguous() for name, tensor in state.items()}, folder / "w.safetensors"
        )
        return folder / "w.safetensors"

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda state: state.pop("ln_final.bias"), "1 tensor is missing: text.ln_final.bias"),
            (
                lambda state: state.pop("visual.proj"),
                "projection = linear, but the tensors say none",
            ),
            (lambda state: state.pop("visual.positional_embedding"), "no visual.positions"),
            (lambda state: state.update(extra=torch.ones(1)), "belongs? to nothing.*text.extra"),
            (
                lambda state: state.update({"visual.ln_post.bias": torch.ones(39)}),
                r"visual.ln_final.bias has the shape \[39\].*of the shape \[40\]",
            ),
            (
                lambda state: state.update({"visual.proj": torch.ones(40)}),
                r"visual.projection.weight has the shape \[40\]: expected 2 axes",
            ),
            (
                lambda state: state.update({"visual.positional_embedding": torch.ones(18, 40)}),
                "visual.positions has 18 rows",
            ),
            (
                lambda state: state.update({"ln_final.bias": torch.ones(32, dtype=torch.int8)}),
                "type torch.int8: expected floating-point numbers",
            ),
            (
                lambda state: state.update({"text.ln_final.bias": torch.ones(32)}),
                "both mean 'text.ln_final.bias'",
            ),
        ],
    )
    def test_is_refused(self, tmp_path, change, message):
        path = self.save(tmp_path, change)
        with pytest.raises(CheckpointError, match=message):
            load_checkpoint(path, config=OPEN_CLIP.config)

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("visual.trunk.attn_pool.kv.bias", "missing: visual.map_pool.attn.kv.bias"),
            ("visual.trunk.pos_embed", "the weights have no visual.positions"),
            ("visual.trunk.attn_pool.latent", "not one of SigLIP's"),
            ("text.text_projection.weight", "projection = linear_bias, but the tensors say none"),
            ("logit_bias", "no logit_bias, which the configuration's init_logit_bias asks for"),
        ],
    )
    def test_of_siglip_in_open_clip_one_is_missing(self, tmp_path, name, message):
        case = GoldenCase("03a_oc_siglip")
        state = load_file(case.weights)
        del state[name]
        save_file(state, tmp_path / "w.safetensors")
        with pytest.raises(CheckpointError, match=message):
            load_checkpoint(tmp_path / "w.safetensors", config=case.config, hints=case.hints)

    def test_a_siglip_trained_with_softmax_has_no_bias_and_says_so(self, tmp_path):
        case = GoldenCase("03a_oc_siglip")
        state = load_file(case.weights)
        del state["logit_bias"]
        save_file(state, tmp_path / "w.safetensors")
        config = {"model_cfg": dict(case.config["model_cfg"])}
        del config["model_cfg"]["init_logit_bias"]
        loaded = load_checkpoint(tmp_path / "w.safetensors", config=config, hints=case.hints)
        assert loaded.config.scores == "softmax"

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"vision_model.head.probe": None}, "missing: visual.map_pool.probe"),
            (
                {"vision_model.head.probe": torch.ones(1, 2, 40)},
                r"probe has the shape \[1, 2, 40\]",
            ),
            ({"vision_model.head.extra": torch.ones(1)}, "belongs? to nothing.*map_pool.extra"),
            (
                {"vision_model.head.attention.in_proj_weight": torch.ones(119, 40)},
                r"map_pool.attn.q.weight has the shape \[39, 40\]",
            ),
            (
                {"vision_model.embeddings.position_embedding.weight": torch.ones(17, 40)},
                "visual.positions has 17 rows: expected one for each patch",
            ),
            (
                {"vision_model.embeddings.class_embedding": torch.ones(40)},
                "visual.positions has 16 rows: expected one, and one for each patch",
            ),
            ({"text_model.head.bias": None}, "linear_bias, but the tensors say linear"),
            (
                {"visual_projection.weight": torch.ones(40, 40)},
                "vision projection = none, but the tensors say linear",
            ),
            (
                {"vision_model.embeddings.patch_embedding.weight": torch.ones(40, 192)},
                r"\[40, 192\]: the config.json is of another kind of model",
            ),
        ],
        ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
    )
    def test_of_siglip_in_transformers_is_refused(self, tmp_path, change, message):
        case = GoldenCase("05_hf_siglip")
        state = {**load_file(case.weights), **change}
        kept = {name: tensor for name, tensor in state.items() if tensor is not None}
        save_file(kept, tmp_path / "w.safetensors")
        with pytest.raises(CheckpointError, match=message):
            load_checkpoint(tmp_path / "w.safetensors", config=case.config)

    def test_no_clip_at_all(self, tmp_path):
        save_file({"conv.weight": torch.ones(1)}, tmp_path / "w.safetensors")
        with pytest.raises(CheckpointError, match=r"not named as .*: conv\.weight"):
            load_checkpoint(tmp_path / "w.safetensors")

    def test_no_tensors(self, tmp_path):
        save_file({}, tmp_path / "w.safetensors")
        with pytest.raises(CheckpointError, match="no tensors"):
            load_checkpoint(tmp_path / "w.safetensors")

    def test_a_scale_may_come_as_a_vector(self, tmp_path):
        path = self.save(tmp_path, lambda state: state.update(logit_scale=torch.tensor([4.0])))
        model = load_checkpoint(path, config=OPEN_CLIP.config).model
        assert model.logit_scale.item() == 4.0
        assert model.logit_scale.shape == ()


class TestOurOwn:
    @pytest.mark.parametrize("name", CASES)
    def test_round_trip(self, tmp_path, name):
        before = GoldenCase(name).load()
        save_checkpoint(before.model, tmp_path / "weights.safetensors")
        after = load_checkpoint(tmp_path)
        assert after.dialect == "clipworks"
        assert after.config == before.config
        expected = before.model.state_dict()
        for parameter, tensor in after.model.state_dict().items():
            assert torch.equal(tensor, expected[parameter])

    @pytest.mark.parametrize("scores", ["softmax", "sigmoid"])
    def test_every_option(self, tmp_path, scores):
        config = tiny_config(
            scores=scores,
            vision={"pooling": "patch_mean", "norm_pooled": True, "layer_scale": True},
            text={"pooling": "end_token", "end_id": 3, "projection": "linear_bias", "pad_id": 1},
        )
        model = tiny_model(config)
        save_checkpoint(model, tmp_path / "weights.safetensors")
        checkpoint = load_checkpoint(tmp_path)
        assert checkpoint.config == config
        assert checkpoint.tokenizer.pad_id == 1
        expected = model(some_pixels(), some_tokens())
        for got, features in zip(
            checkpoint.model(some_pixels(), some_tokens()), expected, strict=True
        ):
            assert torch.equal(got, features)

    @pytest.mark.parametrize(
        "config",
        [
            tiny_resnet_config(),
            tiny_config(
                vision={"pooling": "attention_cascade", "pool_queries": 3, "pool_heads": 2},
                text={"pooling": "class_token", "pad_id": 0},
            ),
            tiny_config(
                embed_dim=16,
                vision={
                    "width": 24,
                    "pooling": "attention",
                    "pool_queries": 3,
                    "pool_heads": 2,
                    "projection": "none",
                },
                text={"projection": "none"},
            ),
            tiny_config(
                vision={"block_extras": ("attn_norm", "inner_norm", "mlp_norm")},
                text={
                    "positions": "rotary",
                    "rotary_theta": 99.0,
                    "block_extras": ("head_scale", "qk_norm"),
                },
            ),
        ],
        ids=["resnet", "coca", "unprojected", "rotary"],
    )
    def test_every_tower(self, tmp_path, config):
        model = tiny_model(config)
        save_checkpoint(model, tmp_path / "weights.safetensors")
        checkpoint = load_checkpoint(tmp_path)
        assert checkpoint.config == config
        stored = checkpoint.model.state_dict()
        assert all(torch.equal(value, stored[name]) for name, value in model.state_dict().items())
        pixels = some_pixels(2, config.vision.image_size)
        for got, features in zip(
            checkpoint.model(pixels, some_tokens()), model(pixels, some_tokens()), strict=True
        ):
            torch.testing.assert_close(got, features, rtol=1e-5, atol=1e-6)

    def test_half_precision_halves_the_file(self, tmp_path):
        model = tiny_model()
        save_checkpoint(model, tmp_path / "full.safetensors")
        save_checkpoint(model, tmp_path / "half.safetensors", dtype=torch.float16)
        numbers = 2 * sum(parameter.numel() for parameter in model.parameters())
        sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("full", "half")]
        assert sizes[0] - sizes[1] == pytest.approx(numbers, abs=99)  # the header's padding
        loaded = load_checkpoint(tmp_path / "half.safetensors").model
        assert loaded.logit_scale.dtype == torch.float32
        got, expected = (each.encode_image(some_pixels()).detach() for each in (loaded, model))
        assert 0 < relative_error(got, expected) < 5e-3

    def test_a_file_is_whole_or_absent(self, tmp_path, monkeypatch):
        def fail(*_arguments, **_options):
            raise OSError("disk full")

        monkeypatch.setattr("clipworks.models.checkpoints.save_file", fail)
        with pytest.raises(OSError, match="disk full"):
            save_checkpoint(tiny_model(), tmp_path / "weights.safetensors")
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_the_type_is_the_callers(dtype):
    case = GoldenCase("07b_openai_layout_fp16_w64heads")
    model = load_checkpoint(case.weights, dtype=dtype).model
    assert {parameter.dtype for parameter in model.parameters()} == {dtype}


def test_a_loaded_model_can_be_trained():
    model = OPEN_CLIP.load().model
    assert not model.training
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in model.parameters())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.encode_image(OPEN_CLIP.inputs()["pixel_values"]).sum().backward()
    optimizer.step()
    weights = load_file(OPEN_CLIP.weights)
    assert not torch.equal(model.visual.positions, weights["visual.positional_embedding"])
    assert torch.equal(weights["ln_final.bias"], load_file(OPEN_CLIP.weights)["ln_final.bias"])


def test_loading_draws_no_random_numbers():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    OPEN_CLIP.load()
    assert torch.equal(before, torch.get_rng_state())


def test_the_golden_files_are_small():
    assert sum(path.stat().st_size for path in GOLDEN.rglob("*")) < 12_000_000


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("05_hf_siglip", "logit_bias", "no logit_bias, which the configuration's model_type"),
        ("06a_hf_siglip2_fixed", "logit_bias", "no logit_bias, which the config.* 'siglip2'"),
        ("03a_oc_siglip", "visual.trunk.patch_embed.proj.bias", "vision patch_bias = True"),
        ("05_hf_siglip", "vision_model.embeddings.patch_embedding.bias", "patch_bias = True"),
    ],
)
def test_a_tensor_without_which_a_siglip_would_be_another_model(tmp_path, name, tensor, message):
    case = GoldenCase(name)
    state = load_file(case.weights)
    del state[tensor]
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(CheckpointError, match=message) as caught:
        load_checkpoint(tmp_path / "w.safetensors", config=case.config, hints=case.hints)
    assert "w.safetensors" in str(caught.value) and "\n" not in str(caught.value)
