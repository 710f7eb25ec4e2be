import pickle

import pytest

from clipworks.errors import InvalidImageError


def test_an_image_error_names_path_and_reason_and_crosses_processes():
    error = pickle.loads(pickle.dumps(InvalidImageError("a/b.jpg", "0 bytes")))
    assert isinstance(error, InvalidImageError)
    assert (error.source, error.reason, str(error)) == ("a/b.jpg", "0 bytes", "a/b.jpg: 0 bytes")


def test_user_errors_are_value_errors():
    with pytest.raises(ValueError, match="x"):
        raise InvalidImageError("x", "y")
