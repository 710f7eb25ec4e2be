import pytest

from clipworks.errors import SettingsError
from clipworks.zeroshot.prompts import (
    TEMPLATE_SETS,
    check_templates,
    fill_templates,
    load_templates,
)


@pytest.mark.parametrize(("name", "count"), [("imagenet7", 7), ("imagenet80", 80), ("simple", 4)])
def test_the_packaged_sets_are_whole(name, count):
    templates = load_templates(name)
    assert len(templates) == len(set(templates)) == count
    assert check_templates(templates) == templates


def test_the_seven_best_are_among_the_eighty():
    assert set(load_templates("imagenet7")) < set(load_templates("imagenet80"))


def test_an_unknown_set_names_the_known_ones():
    with pytest.raises(SettingsError, match="imagenet7, imagenet80, simple"):
        load_templates("imagenet")
    assert list(TEMPLATE_SETS) == sorted(TEMPLATE_SETS)


def test_labels_are_put_in_as_they_are():
    assert fill_templates(["a {} or a {}.", "{}"], "{x} 100% {}") == [
        "a {x} 100% {} or a {x} 100% {}.",
        "{x} 100% {}",
    ]


@pytest.mark.parametrize(
    ("templates", "message"),
    [([], "at least one"), (["a photo"], "has no {}"), ("a {}", "expected a list")],
)
def test_templates_that_cannot_be_used_are_refused(templates, message):
    with pytest.raises(SettingsError, match=message):
        check_templates(templates)
