import json

import pytest

from clipworks.errors import CheckpointError
from clipworks.export.tokenizer_settings import TokenizerSettings, read_settings


def settings_of(family: str = "", **values: object) -> TokenizerSettings:
    return TokenizerSettings(family, values)


@pytest.mark.parametrize(
    ("family", "values", "frame", "pad"),
    [
        ("Siglip", {}, (None, "</s>"), "</s>"),
        ("T5", {}, (None, "</s>"), "<pad>"),
        ("XLMRoberta", {}, ("<s>", "</s>"), "<pad>"),
        ("Gemma", {"add_bos_token": True, "add_eos_token": False}, ("<bos>", None), "<pad>"),
        ("Gemma", {"add_eos_token": True}, (None, "<eos>"), "<pad>"),
        ("T5", {"eos_token": "[E]", "pad_token": {"content": "[P]"}}, (None, "[E]"), "[P]"),
    ],
)
def test_a_class_has_its_own_frame_and_padding(family, values, frame, pad):
    settings = settings_of(family, **values)
    assert settings.frame == frame
    assert settings.pad_token == pad


@pytest.mark.parametrize(
    ("family", "stated", "expected"),
    [
        ("Siglip", None, True),
        ("Siglip", False, False),
        ("Siglip2", False, True),
        ("Gemma", True, True),
        ("Gemma", None, False),
        ("Bert", True, False),  # whose file lowers them itself
    ],
)
def test_who_lowers_capitals(family, stated, expected):
    values = {} if stated is None else {"do_lower_case": stated}
    assert settings_of(family, **values).lowercase is expected


@pytest.mark.parametrize(("stated", "expected"), [(64, 64), (10**30, None), (None, None)])
def test_no_limit_is_written_as_a_huge_number(stated, expected):
    assert settings_of(model_max_length=stated).max_length == expected


def test_the_class_is_the_files_word(tmp_path):
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps({"tokenizer_class": "GemmaTokenizerFast"}))
    assert read_settings({path.name: path}, None).family == "Gemma"


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("spiece.model", "Siglip"),
        ("sentencepiece.bpe.model", "XLMRoberta"),
        ("tokenizer.model", "Gemma"),
        ("tokenizer.json", ""),
    ],
)
def test_without_one_the_files_name_tells(tmp_path, name, family):
    assert read_settings({name: tmp_path / name}, None).family == family
    assert read_settings({}, tmp_path / name).family == family


def test_settings_beside_the_callers_file_go_first(tmp_path):
    (tmp_path / "mine").mkdir()
    for folder, name in ((tmp_path, "T5Tokenizer"), (tmp_path / "mine", "BertTokenizer")):
        path = folder / "tokenizer_config.json"
        path.write_text(json.dumps({"tokenizer_class": name}))
    files = {"tokenizer_config.json": tmp_path / "tokenizer_config.json"}
    given = tmp_path / "mine" / "tokenizer.json"
    assert read_settings(files, given).family == "Bert"


@pytest.mark.parametrize(
    "settings",
    [settings_of(eos_token=3), settings_of(pad_token=["x"]), settings_of(add_bos_token="yes")],
)
def test_what_is_no_setting_is_refused(settings):
    with pytest.raises(CheckpointError, match=r"tokenizer_config\.json"):
        assert settings.frame is settings.pad_token
