import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from clipworks.data.contents import Location
from clipworks.data.samples import Sample
from clipworks.embed import decoder_pool, side_process
from clipworks.embed.batch_reader import SampleDecoder, ThreadReader
from clipworks.embed.decoder_pool import DecoderPool, SharedPlaces
from clipworks.errors import ClipworksError, FolderError
from clipworks.inputs import ImageSpec
from tests.support.deadly_names import DeadlyName, DeadlyOnceName, EndlessName
from tests.support.pictures import BREAKAGES, save

SPEC = ImageSpec(height=8, width=8)


def sample_of(path):
    return Sample(str(path), Location(path))


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    BREAKAGES["text"](folder / "broken.jpg")
    good = [sample_of(str(save(folder / f"{n}.png", n))) for n in range(4)]
    return [*good[:2], sample_of(str(folder / "broken.jpg")), *good[2:]]


@pytest.fixture(scope="module")
def pool():
    with DecoderPool(SampleDecoder(SPEC), num_decoders=1, num_readers=2, batch_size=8) as pool:
        yield pool


def expected_of(samples):
    reader = ThreadReader(SampleDecoder(SPEC), 8)
    read = reader.read(samples)
    return read, reader.pixels[: len(samples)]


def test_pixels_and_faults_are_those_of_a_thread(pool, samples):
    expected, pixels = expected_of(samples)
    for number in (0, 1):
        reader = pool.reader(number)
        read = reader.read(samples)
        assert np.array_equal(reader.pixels[: len(samples)], pixels)
        assert (read.kept, read.metadata, read.faults) == (
            expected.kept,
            expected.metadata,
            expected.faults,
        )
        assert read.decode_s > 0


def test_a_sample_that_kills_costs_itself_alone(pool, samples):
    deadly = sample_of(DeadlyName("deadly.jpg"))
    reader = pool.reader(0)
    read = reader.read([samples[0], deadly, samples[1]])
    assert read.kept == [0, 2]
    (fault,) = read.faults
    assert (fault.image_path, fault.part) == ("deadly.jpg", "image")
    assert fault.reason == "the process that decoded it was killed (SIGKILL)"
    _, pixels = expected_of([samples[0], samples[1]])
    assert np.array_equal(reader.pixels[[0, 2]], pixels)
    assert not reader.pixels[1].any()


def test_a_decoder_that_somebody_else_kills_costs_nothing(pool, samples, tmp_path):
    once = sample_of(DeadlyOnceName(save(tmp_path / "once.png", 7)))
    read = pool.reader(0).read([samples[0], once])
    assert (tmp_path / "once.png.killed").exists()
    assert (read.kept, read.faults) == ([0, 1], [])


def test_a_sample_that_holds_up_is_given_up(pool, samples, monkeypatch):
    monkeypatch.setattr(decoder_pool, "LONGEST_SAMPLE_S", 0.5)
    monkeypatch.setattr(side_process, "_LOOK_S", 0.1)
    read = pool.reader(0).read([samples[0], sample_of(EndlessName("endless.jpg"))])
    assert read.kept == [0]
    assert read.faults[0].reason == "the process that decoded it took too long"


def test_decoders_that_never_start_end_the_run(pool, samples, monkeypatch):
    monkeypatch.setattr(decoder_pool, "_open_decoder", os.abort)  # in place of what starts them
    with (
        DecoderPool(SampleDecoder(SPEC), num_decoders=1, num_readers=1, batch_size=8) as broken,
        pytest.raises(ClipworksError, match=r"before its first picture, 3 times: --decoders 0"),
    ):
        monkeypatch.setattr(broken, "_arguments", ())
        broken._free.get().close()
        broken._free.put(None)
        broken.reader(0).read(samples)


def test_no_room_is_one_line(monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(decoder_pool.CONTEXT, "RawArray", refuse)
    with pytest.raises(FolderError, match=r"no 6 MB of shared memory .* fewer --decoders"):
        SharedPlaces.make(8, (256, 3, 16, 16))


KILLED = """
import os, signal, sys
from clipworks.embed.batch_reader import SampleDecoder
from clipworks.embed.decoder_pool import DecoderPool
from clipworks.inputs import ImageSpec
if __name__ == "__main__":
    settings = {"num_decoders": 2, "num_readers": 2, "batch_size": 8}
    with DecoderPool(SampleDecoder(ImageSpec(8, 8)), **settings) as pool:
        pool.reader(0).read([])
        decoders = [pool._free.get() for _ in range(2)]
        print(*(decoder.pid for decoder in decoders), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_nothing_outlives_a_parent_that_is_killed(tmp_path):
    before = set(Path("/dev/shm").iterdir()) if Path("/dev/shm").is_dir() else set()
    (tmp_path / "killed.py").write_text(KILLED)
    done = subprocess.run(
        [sys.executable, tmp_path / "killed.py"], stdout=subprocess.PIPE, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL
    decoders = [int(pid) for pid in done.stdout.split()]
    assert len(decoders) == 2
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}/stat").exists() and not is_zombie(pid) for pid in decoders):
        assert time.monotonic() < deadline, "a decoder outlives its parent"
        time.sleep(0.05)
    if before:
        left = {path.name for path in set(Path("/dev/shm").iterdir()) - before}
        assert not [name for name in left if name.startswith(("psm_", "pym-"))]


def is_zombie(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True
