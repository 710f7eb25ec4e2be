import pytest

from clipworks.data.partitions import count_partitions, get_partition, split_batches
from clipworks.data.samples import Sample

SAMPLES = [Sample(str(n)) for n in range(10)]


@pytest.mark.parametrize(("size", "count"), [(1, 10), (3, 4), (5, 2), (10, 1), (11, 1)])
def test_partitions_cover_all_samples_in_order(size, count):
    assert count_partitions(len(SAMPLES), size) == count
    parts = [get_partition(SAMPLES, size, n) for n in range(count)]
    assert [part.number for part in parts] == list(range(count))
    assert [sample for part in parts for sample in part.samples()] == SAMPLES


def test_batches_cover_a_partition_in_order():
    part = get_partition(SAMPLES, 7, 0)
    batches = list(split_batches(part.samples(), 3))
    assert [len(batch) for batch in batches] == [3, 3, 1]
    assert [sample for batch in batches for sample in batch] == SAMPLES[:7]
