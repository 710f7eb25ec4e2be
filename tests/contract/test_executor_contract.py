"""What every executor does, wherever its workers are."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from clipworks.embed import dispatch
from clipworks.embed.dispatch import run_job_on
from clipworks.embed.embed_settings import EmbedSettings
from clipworks.embed.executors.executor import EXECUTORS, ExecutorOptions
from clipworks.embed.folder_plan import FolderPlan
from clipworks.embed.job import open_job
from clipworks.embed.pipeline import run_job
from clipworks.embed.work_order import ModelOrder, WorkOrder
from clipworks.encoders.bundle import read_bundle, seal_bundle
from clipworks.encoders.loading import load
from clipworks.errors import FolderError, ModelMismatchError
from tests.support.folder_bytes import folder_bytes
from tests.support.fragile_source import FragileSource
from tests.support.pictures import BREAKAGES, fill_folder

SETTINGS = EmbedSettings(batch_size=3, partition_size=4)
NUM_PARTITIONS = 6


@pytest.fixture(scope="module", params=["local", "ray", "spark"])
def name(request):
    """An executor's name; Ray and Spark, which take a while to start, are started once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
        yield from _session(request.param)


def _session(name):
    if name == "ray":
        ray = pytest.importorskip("ray", reason="Ray runs where clipworks[ray] is installed")
        ray.init(
            address="local", num_cpus=2, object_store_memory=2**27, include_dashboard=False,
            log_to_driver=False, logging_level="ERROR",
        )  # fmt: skip
        yield name
        ray.shutdown()
    elif name == "spark":
        pytest.importorskip("pyspark", reason="Spark runs where clipworks[spark] is installed")
        if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
            pytest.skip("Spark runs where a Java of version 17 or later is installed")
        from clipworks.embed.executors import spark_executor

        session = spark_executor._open_session(sys.modules["pyspark.sql"], 2)
        yield name
        session.stop()
    else:
        yield name


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for number, path in enumerate(fill_folder(folder, 20)):
        if number % 3:
            path.with_suffix(".txt").write_text(f"a red square {number}")
        path.with_suffix(".json").write_text(f'{{"number": {number}}}')
    BREAKAGES["text"](folder / "a/broken.jpg")
    BREAKAGES["cut_png"](folder / "c/broken.png")
    return folder


@pytest.fixture(scope="module")
def whole(pictures, tmp_path_factory, tiny_bundle_folder):
    """What one process makes of the pictures."""
    out = tmp_path_factory.mktemp("whole") / "out"
    embedder = load(tiny_bundle_folder, backend="onnx", num_threads=1)
    with open_job(FragileSource(pictures, 4, {}, out), out, embedder.card, SETTINGS) as job:
        run_job(job, embedder)
    return folder_bytes(out)


@pytest.fixture
def run(name, pictures, tmp_path, tiny_bundle_folder):
    """Runs the job in `tmp_path/out` with two workers of the executor."""

    def start(faults=None, *, bundle=tiny_bundle_folder, settings=SETTINGS, begun=None):
        card = read_bundle(tiny_bundle_folder).card
        source = FragileSource(pictures, 4, faults or {}, tmp_path)
        with open_job(source, tmp_path / "out", card, settings) as job:
            model = ModelOrder(bundle, card.fingerprint, "onnx", num_threads=1)
            options = ExecutorOptions(WorkOrder(FolderPlan.of(job), model), num_tasks=2)
            executor = EXECUTORS.load(name)(options)
            try:
                if begun:
                    begun(executor)
                assert executor.num_tasks == 2
                return run_job_on(job, executor)
            finally:
                executor.close()

    return start


def test_every_registered_executor_is_in_this_suite():
    assert set(EXECUTORS) == {"local", "ray", "spark"}


def test_many_workers_make_the_bytes_that_one_makes(run, tmp_path, whole):
    report = run()
    assert (report.embedded, report.skipped) == (20, 2)
    assert (report.partitions, report.partitions_made, report.partitions_missing) == (6, 6, 0)
    assert report.failed == []
    assert report.profile["stages"]["encode"]["seconds"] > 0
    assert folder_bytes(tmp_path / "out") == whole


def test_what_goes_wrong_for_good_is_reported_and_a_rerun_completes_it(
    run, tmp_path, whole, monkeypatch
):
    """One partition kills its workers, one raises; the others are made all the same."""
    monkeypatch.setattr(dispatch, "RETRIES", 1)
    report = run({1: "kill", 4: "raise"})
    assert [one.number for one in report.failed] == [1, 4]
    assert report.failed[1].reason.startswith("RuntimeError: the source has a bad day")
    assert (report.partitions_made, report.partitions_missing) == (4, 2)
    stats = sorted(path.name for path in (tmp_path / "out/stats").iterdir())
    assert stats == ["0.json", "2.json", "3.json", "5.json"]
    report = run()
    assert (report.partitions_made, report.partitions_missing) == (2, 0)
    assert folder_bytes(tmp_path / "out") == whole


def test_a_worker_that_is_lost_once_costs_nothing(run, tmp_path, whole):
    report = run({0: "kill once", 3: "kill once"})
    assert (tmp_path / "0.mark").exists()
    assert report.failed == []
    assert folder_bytes(tmp_path / "out") == whole


def test_another_model_on_the_workers_ends_the_run(run, tmp_path, tiny_bundle_folder):
    other = shutil.copytree(tiny_bundle_folder, tmp_path / "other")
    card = read_bundle(other).card
    seal_bundle(other, replace(card, image=replace(card.image, resize="squash")))
    with pytest.raises(ModelMismatchError, match=r"other has the fingerprint .* on this worker"):
        run(bundle=other)


def test_a_place_that_cannot_be_written_ends_the_run(run, tmp_path):
    def block(_):
        (tmp_path / "out/img_emb").touch()

    with pytest.raises(FolderError, match="cannot be written"):
        run(begun=block)


@pytest.fixture
def _interruptible():
    """A shell's background job ignores interrupts; the test must not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_an_interrupt_does_not_wait_for_the_workers(run, tmp_path):
    """It comes while a partition is being made that would take ten minutes."""
    main, state = threading.main_thread().ident, SimpleNamespace()

    def interrupt():
        while not (tmp_path / "0.mark").exists():
            time.sleep(0.05)
        signal.pthread_kill(main, signal.SIGINT)

    def begin(_):
        state.thread = threading.Thread(target=interrupt)
        state.thread.start()

    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run({0: "wait"}, begun=begin)
    state.thread.join()
    assert time.monotonic() - begun < 60
    assert not (tmp_path / "out/.lock").exists()
