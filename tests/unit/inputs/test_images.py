import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipworks.inputs import ImageSpec, ImageTransform, decode_image
from clipworks.inputs.library_settings import read_transformers_settings, transformers_defaults
from tests.unit.inputs.pictures import exif, noise

GOLDEN = Path(__file__).parents[2] / "golden" / "preprocess"
CONFIGS = json.loads((GOLDEN / "configs.json").read_text())
PROCESSORS = json.loads((GOLDEN / "transformers.json").read_text())
PLAIN = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


@pytest.fixture(scope="module")
def outputs():
    with np.load(GOLDEN / "outputs.npz") as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def jpeg_decoded():
    with np.load(GOLDEN / "jpeg_decoded.npz") as stored:
        return dict(stored)


def golden_keys():
    with np.load(GOLDEN / "outputs.npz") as stored:
        return sorted(stored)


def golden_spec(key: str) -> ImageSpec:
    _, name, *variant = key.split("|")
    is_large = name.endswith("_224")
    config = CONFIGS[name.replace("_224", "_32")]
    size = 224 if is_large else config["image_size"]
    return ImageSpec(
        size,
        size,
        config["resize_mode"],
        config["interpolation"],
        tuple(config["mean"]),
        tuple(config["std"]),
        config.get("fill_color", 0),
        orient_exif="exif_transposed_first" in variant,
        rescale_16bit=False,
    )


def golden_picture(file: str, jpeg_decoded) -> Image.Image:
    image = decode_image(GOLDEN / file)
    if file in jpeg_decoded:  # decoders of JPEG may differ by a level
        assert np.abs(np.asarray(image, np.int16) - jpeg_decoded[file]).max() <= 2
        record = image.info.get("exif")
        image = Image.frombytes(image.mode, image.size, jpeg_decoded[file].tobytes())
        image.info["exif"] = record
    return image


@pytest.mark.parametrize("key", golden_keys())
def test_pixels_are_open_clips(key, outputs, jpeg_decoded):
    image = golden_picture(key.split("|")[0], jpeg_decoded)
    pixels = ImageTransform(golden_spec(key))(image)
    if key.endswith("rows0-8_cols100-116"):
        pixels = pixels[:, 0:8, 100:116]
    np.testing.assert_allclose(pixels, outputs[key], rtol=0, atol=1e-6)


def test_the_golden_values_can_tell_a_wrong_setting(outputs, jpeg_decoded):
    key = "rgb_71x45.png|openai_shortest_bicubic_32"
    image = golden_picture("rgb_71x45.png", jpeg_decoded)
    for change in ({"interpolation": "bilinear"}, {"resize": "squash"}, {"std": (0.5, 0.5, 0.5)}):
        spec = ImageSpec.from_json(golden_spec(key).to_json() | change)
        assert np.abs(ImageTransform(spec)(image) - outputs[key]).max() > 0.05


def test_pixels_are_contiguous_float32_channels_first():
    pixels = ImageTransform(ImageSpec(height=24, width=32))(noise(50, 40))
    assert (pixels.shape, pixels.dtype) == ((3, 24, 32), np.float32)
    assert pixels.flags.c_contiguous


def test_a_batch_is_its_pictures():
    transform = ImageTransform(ImageSpec(16, 16))
    images = [noise(20, 30), noise(30, 20), noise(16, 16)]
    batch = transform.batch(images)
    assert batch.shape == (3, 3, 16, 16)
    assert all(
        np.array_equal(row, transform(image)) for row, image in zip(batch, images, strict=True)
    )
    assert transform.batch([]).shape == (0, 3, 16, 16)


def test_the_picture_is_left_as_it_was():
    image = noise(16, 16).quantize(8)
    image.info["transparency"] = b"\0\1"
    before = (image.tobytes(), dict(image.info))
    ImageTransform(ImageSpec(16, 16, transparency="white"))(image)
    ImageTransform(ImageSpec(16, 16))(image)
    assert (image.tobytes(), dict(image.info)) == before


def test_exif_is_honoured_unless_switched_off():
    image = noise(16, 16)
    turned = image.transpose(Image.Transpose.ROTATE_270)
    image.info["exif"] = exif(6).tobytes()
    upright, raw = (ImageTransform(ImageSpec(16, 16, orient_exif=on)) for on in (True, False))
    assert np.array_equal(upright(image), raw(turned))
    assert not np.array_equal(upright(image), raw(image))


def test_16bit_pictures_are_rescaled_unless_switched_off():
    levels = np.array([[0, 128, 255, 256], [257, 32896, 65534, 65535]] * 2, np.uint16)
    image = Image.fromarray(levels)
    rescaled = ImageTransform(ImageSpec(4, 4, **PLAIN))(image)[0] * 255
    assert np.allclose(rescaled[:2], [[0, 0, 1, 1], [1, 128, 255, 255]])
    clipped = ImageTransform(ImageSpec(4, 4, rescale_16bit=False, **PLAIN))(image)[0] * 255
    assert np.allclose(clipped[:2], [[0, 128, 255, 255], [255] * 4])


def test_16bit_pictures_in_wider_modes_are_rescaled_as_well():
    image = Image.fromarray(np.full((4, 4), 32896, np.int32))  # mode I: so Pillow reads 16-bit PGM
    assert np.allclose(ImageTransform(ImageSpec(4, 4, **PLAIN))(image), 128 / 255)


def clear_pictures():
    half = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    palette.info["transparency"] = b"\xff\0"
    indexed = palette.copy()
    indexed.info["transparency"] = 1
    keyed = Image.new("RGB", (8, 8), "red")
    keyed.info["transparency"] = (255, 0, 0)
    return {"RGBA": half, "P bytes": palette, "P index": indexed, "RGB key": keyed}


@pytest.mark.parametrize("name", clear_pictures())
def test_transparency_is_dropped_or_laid_on_white(name):
    image = clear_pictures()[name]
    dropped = ImageTransform(ImageSpec(8, 8, **PLAIN))(image)
    white = ImageTransform(ImageSpec(8, 8, transparency="white", **PLAIN))(image)
    assert np.array_equal(dropped[:, 0, 0], (1, 0, 0))
    assert np.array_equal(white, np.ones((3, 8, 8)))


def test_half_clear_grey_is_blended_with_white():
    image = Image.new("LA", (8, 8), (0, 128))
    white = ImageTransform(ImageSpec(8, 8, transparency="white", **PLAIN))(image)
    assert np.allclose(white, 127 / 255, atol=1 / 255)


def test_a_damaged_transparency_record_counts_as_none():
    image = noise(16, 16).quantize(8)
    expected = ImageTransform(ImageSpec(16, 16))(image)
    image.info["transparency"] = bytes(300)  # more entries than a palette can have
    assert np.array_equal(ImageTransform(ImageSpec(16, 16, transparency="white"))(image), expected)


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "CMYK"])
def test_opaque_pictures_do_not_care_about_transparency(mode):
    image = noise(20, 20).convert(mode)
    dropped, white = (
        ImageTransform(ImageSpec(16, 16, transparency=how))(image) for how in ("drop", "white")
    )
    assert np.array_equal(dropped, white)


def test_threads_share_one_transform():
    transform = ImageTransform(ImageSpec(32, 32))
    images = [noise(seed=seed) for seed in range(20)]
    with ThreadPoolExecutor(8) as pool:
        pixels = list(pool.map(transform, images))
    assert np.array_equal(np.stack(pixels), transform.batch(images))


class TestTransformers:
    """What its image processors, those that use Pillow, make of the same pictures."""

    @pytest.fixture
    def expected(self):
        with np.load(GOLDEN / "transformers.npz") as stored:
            return dict(stored)

    @staticmethod
    def transform(name: str) -> ImageTransform:
        spec = read_transformers_settings(PROCESSORS[name], transformers_defaults(20))
        return ImageTransform(replace(spec, orient_exif=False, rescale_16bit=False))

    @pytest.mark.parametrize("name", PROCESSORS)
    def test_every_picture_has_the_same_levels(self, name, expected):
        transform = self.transform(name)
        mean, std = (
            np.array(each)[:, None, None] for each in (transform.spec.mean, transform.spec.std)
        )
        files = [key.split("|")[0] for key in expected if key.endswith(f".png|{name}")]
        assert len(files) == 11
        for file in files:
            pixels = transform(decode_image(GOLDEN / file)).astype(np.float64)
            levels = np.rint((pixels * std + mean) * 255)
            assert np.array_equal(levels, expected[f"{file}|{name}"]), file

    @pytest.mark.parametrize("name", PROCESSORS)
    def test_every_level_gives_the_same_number(self, name, expected):
        transform = self.transform(name)
        side = transform.spec.width
        picture = np.zeros((side * side, 3), np.uint8)
        picture[:256] = np.arange(256)[:, None]
        image = Image.fromarray(picture.reshape(side, side, 3))
        pixels = transform(image).reshape(3, -1)[:, :256]
        assert np.array_equal(pixels, expected[f"levels|{name}"])

    @pytest.mark.parametrize(
        ("change", "files"),
        [
            ({"rgb_conversion": "after_resize"}, {"palette_61x48.png", "bilevel_43x37.png"}),
            ({"transparency": "drop"}, {"rgba_41x53.png", "gray_LA_35x40.png"}),
            ({"crop_rounding": "nearest"}, {"rgb_71x45.png", "rgb_upscale_17x20.png"}),
        ],
    )
    def test_the_pictures_tell_the_libraries_apart(self, change, files):
        """Else the tests above show less than they seem to."""
        theirs = self.transform("clip")
        ours = ImageTransform(replace(theirs.spec, **change))
        for file in files:
            image = decode_image(GOLDEN / file)
            assert not np.array_equal(ours(image.copy()), theirs(image)), file


@pytest.mark.parametrize(
    ("resize", "size", "expected"),
    [
        ("shortest", (1600, 1200), (596, 448)),
        ("shortest", (1200, 1600), (448, 596)),
        ("longest", (1600, 1200), (448, 336)),
        ("squash", (1600, 1200), (448, 448)),
    ],
)
def test_a_picture_is_decoded_at_twice_its_size_at_least(resize, size, expected):
    assert ImageTransform(ImageSpec(224, 224, resize=resize)).least_size(size) == expected


def test_the_least_size_is_enough_whichever_way_up_the_picture_is():
    transform = ImageTransform(ImageSpec(height=200, width=100, resize="squash"))
    assert transform.least_size((1600, 1200)) == (400, 400)
