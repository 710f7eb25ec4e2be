import pytest
import torch
from torch.nn.functional import multi_head_attention_forward

from clipworks.errors import InputError, SettingsError
from clipworks.models.resnet import BatchNorm, Bottleneck, MeanQueryPool
from clipworks.models.sites import observe, replace, sites_of
from tests.unit.models.tiny_models import some_tokens, tiny_model, tiny_resnet_config


def pixels(count=2, size=64):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def model():
    return tiny_model(tiny_resnet_config())


def test_batch_norm_is_torchs_own():
    torch.manual_seed(0)
    ours = BatchNorm(5)
    theirs = torch.nn.BatchNorm2d(5)
    with torch.no_grad():
        for tensor in (ours.weight, ours.bias, ours.mean):
            tensor.normal_()
        ours.variance.uniform_(0.5, 1.5)
    theirs.load_state_dict(
        {
            "weight": ours.weight,
            "bias": ours.bias,
            "running_mean": ours.mean,
            "running_var": ours.variance,
        },
        strict=False,
    )
    x = torch.randn(3, 5, 4, 4)
    torch.testing.assert_close(ours.train()(x), theirs.train()(x))
    torch.testing.assert_close(ours.mean, theirs.running_mean)
    torch.testing.assert_close(ours.variance, theirs.running_var)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


@pytest.mark.parametrize(
    ("channels_in", "stride", "reshapes"), [(8, 1, False), (6, 1, True), (8, 2, True)]
)
def test_a_bottleneck_reshapes_its_stream_where_it_must(channels_in, stride, reshapes):
    block = Bottleneck(channels_in, 2, stride).eval()
    assert (block.shortcut is not None) == reshapes
    x = torch.randn(1, channels_in, 6, 6)
    with torch.no_grad():
        block.expand.norm.weight.zero_()  # the branch adds nothing
        got = block(x)
    assert list(got.shape) == [1, 8, 6 // stride, 6 // stride]
    if not reshapes:
        assert torch.equal(got, x.relu())


def test_the_mean_asks():
    """Against torch's own self-attention, of which the mean's row is kept."""
    config = tiny_resnet_config().vision
    pool = MeanQueryPool(config)
    features = config.feature_width
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in pool.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * features**-0.5)
    grid = torch.randn(2, features, 2, 2, generator=generator)
    tokens = torch.stack([grid[..., i, j] for i in range(2) for j in range(2)], dim=1)
    tokens = torch.cat([tokens.mean(dim=1, keepdim=True), tokens], dim=1) + pool.positions
    expected, _ = multi_head_attention_forward(
        *[tokens.transpose(0, 1)] * 3,
        features,
        config.heads,
        torch.cat([pool.attn.q.weight, pool.attn.kv.weight]),
        torch.cat([pool.attn.q.bias, pool.attn.kv.bias]),
        None,
        None,
        False,
        0.0,
        torch.eye(features),
        torch.zeros(features),
        need_weights=False,
    )
    with torch.no_grad():
        torch.testing.assert_close(pool(grid), expected[0], rtol=1e-4, atol=1e-5)


def test_grids_halve_and_channels_double(model):
    with observe(model, ["visual.hook_*"]) as seen, torch.no_grad():
        model.encode_image(pixels())
    assert {name.removeprefix("visual.hook_"): list(seen[name].shape[1:]) for name in seen} == {
        "stem": [4, 16, 16],
        "layer1": [16, 16, 16],
        "layer2": [32, 8, 8],
        "layer3": [64, 4, 4],
        "layer4": [128, 2, 2],
        "pooled": [128],
    }


def test_every_site_is_passed_and_matters(model):
    with torch.no_grad():
        before = model.encode_image(pixels())
        with observe(model, ["visual.*"]) as seen:
            during = model.encode_image(pixels())
        torch.testing.assert_close(during, before, rtol=1e-5, atol=1e-5)
        names = {name for name in sites_of(model) if name.startswith("visual.")}
        assert seen.keys() == names
        for name in names:
            with replace(model, {name: lambda tensor: torch.zeros_like(tensor) + 0.5}):
                assert not torch.allclose(model.encode_image(pixels()), before), name


def test_it_sees_the_whole_picture(model):
    changed = pixels()
    changed[:, :, 63, 63] += 5
    with torch.no_grad():
        assert not torch.allclose(model.encode_image(changed), model.encode_image(pixels()))


@pytest.mark.parametrize("shape", [(1, 3, 32, 32), (1, 3, 64, 96), (1, 1, 64, 64)])
def test_pictures_of_another_size_are_refused(model, shape):
    with pytest.raises(InputError, match=r"takes \[image, 3, 64, 64\]"):
        model.encode_image(torch.zeros(shape))


def test_it_has_no_patches_to_drop(model):
    with pytest.raises(SettingsError, match="no patches to drop"):
        model(pixels(), some_tokens(), torch.tensor([[0], [1]]))
