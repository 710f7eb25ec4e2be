from __future__ import annotations

import pytest

from clipworks.encoders.served_names import ServedNames
from clipworks.errors import SettingsError


def test_a_slash_becomes_two_dashes():
    names = ServedNames.of("ViT-B-32/laion2b_s34b_b79k")
    assert names == ServedNames(
        image="ViT-B-32--laion2b_s34b_b79k-image",
        text="ViT-B-32--laion2b_s34b_b79k-text",
        preprocess="ViT-B-32--laion2b_s34b_b79k-preprocess",
        tokenize="ViT-B-32--laion2b_s34b_b79k-tokenize",
        embed_image="ViT-B-32--laion2b_s34b_b79k-embed-image",
        embed_text="ViT-B-32--laion2b_s34b_b79k-embed-text",
    )


@pytest.mark.parametrize("name", ["", "my model", "../up", "a?b", "modèle"])
def test_a_name_that_no_url_takes_is_refused(name):
    with pytest.raises(SettingsError, match="cannot name a served model"):
        ServedNames.of(name)
