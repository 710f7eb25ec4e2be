import pytest

from clipworks.encoders.batch_sizes import best_batch_size


@pytest.mark.parametrize(
    ("device", "expected"), [("cpu", 8), ("cuda", 32), ("http://localhost:8000", 32)]
)
def test_a_cpu_likes_batches_that_stay_in_its_caches(device, expected):
    assert best_batch_size(device) == expected
