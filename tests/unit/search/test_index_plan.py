from dataclasses import replace

import pytest

from clipworks.errors import SettingsError
from clipworks.search.index_plan import count_codes, narrow_dim, plan_index, second_choice, size_of
from clipworks.search.index_settings import IndexSettings

GB = 10**9


@pytest.mark.parametrize(
    ("rows", "memory", "kind", "on_disk"),
    [
        (1, GB, "flat", False),
        (20_000, GB, "flat", False),
        (20_001, GB, "hnsw", False),
        (150_000, GB, "hnsw", False),
        (150_000, 200_000_000, "ivf-pq", False),
        (150_001, GB, "ivf-fast", False),
        (1_000_000, 6 * GB, "ivf-fast", False),
        (1_000_000, 500_000_000, "ivf-pq", False),
        (10_000_000, 6 * GB, "ivf-pq", False),
        (100_000_000, 2 * GB, "ivf-pq", True),
    ],
)
def test_the_kind_follows_from_rows_and_memory(rows, memory, kind, on_disk):
    plan = plan_index(rows, 512, IndexSettings(memory_bytes=memory))
    assert (plan.kind, plan.on_disk) == (kind, on_disk)
    assert plan.on_disk or plan.size_bytes <= memory


@pytest.mark.parametrize(
    ("rows", "kind"),
    [(5_000, "flat"), (5_001, "hnsw"), (300_000, "hnsw"), (300_001, "ivf-fast")],
)
def test_a_graph_is_for_queries_that_are_what_the_rows_are(rows, kind):
    images = IndexSettings(queries="image", rows="image", memory_bytes=6 * GB)
    assert plan_index(rows, 512, images).kind == kind
    for others in (replace(images, rows="text"), replace(images, queries="both"), IndexSettings()):
        assert plan_index(5_001, 512, others).kind == "flat"


def test_lists_are_what_is_left_where_a_graph_finds_too_little():
    assert second_choice(100_000, 512, IndexSettings()) == "ivf-fast"
    assert second_choice(100_000, 512, IndexSettings(kind="hnsw")) == ""
    assert second_choice(1_000_000, 512, IndexSettings()) == ""


def test_lists_stay_on_disk_where_that_kind_is_wanted():
    plan = plan_index(1_000_000, 512, IndexSettings(kind="ivf-sq8", memory_bytes=200_000_000))
    assert (plan.kind, plan.on_disk) == ("ivf-sq8", True)


@pytest.mark.parametrize("kind", ["flat", "hnsw", "ivf-fast"])
def test_what_cannot_lie_on_disk_is_refused(kind):
    with pytest.raises(SettingsError, match=f"a {kind} index of 1,000,000 rows takes"):
        plan_index(1_000_000, 512, IndexSettings(kind=kind, memory_bytes=500_000_000))


def test_lists_are_about_four_times_the_root_of_the_rows():
    settings = IndexSettings(kind="ivf-sq8", memory_bytes=GB)
    assert [plan_index(n, 512, settings).lists for n in (4, 10_000, 1_000_000)] == [4, 512, 4096]


@pytest.mark.parametrize(("dim", "codes"), [(512, 64), (768, 96), (192, 24), (8, 1), (100, 10)])
def test_codes_divide_the_width(dim, codes):
    assert count_codes(dim) == codes


@pytest.mark.parametrize(("dim", "narrow"), [(512, 192), (768, 288), (192, 128), (32, 32)])
def test_rows_are_narrowed_but_not_too_far(dim, narrow):
    assert narrow_dim(dim) == narrow


def test_a_million_rows_of_each_kind():
    """Against files that were written: 620 and 524 MB of lists, 1.5 GB of a graph."""
    assert size_of("ivf-fast", 1_000_000, 512) == pytest.approx(620e6, rel=0.2)
    assert size_of("ivf-sq8", 1_000_000, 512) == pytest.approx(524e6, rel=0.2)
    assert size_of("hnsw", 1_000_000, 512) == pytest.approx(1500e6, rel=0.2)
    assert size_of("flat", 1_000_000, 512) == 1024e6
