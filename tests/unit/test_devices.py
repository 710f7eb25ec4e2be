import os
import platform

import pytest

from clipworks.devices import Cpu, count_cores, list_gpus, memory_bytes, parse_cpuinfo


def test_pinning_counts(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 5, 7}, raising=False)
    assert count_cores() == 3


def test_where_there_is_no_pinning_all_cores_count(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert count_cores() == os.cpu_count()


@pytest.mark.parametrize(
    ("text", "model", "flags"),
    [
        (
            "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu avx2 avx512f avx512_bf16\n\n"
            "processor\t: 1\nmodel name\t: other\n",
            "AMD EPYC",
            ("avx2", "avx512", "avx512_bf16"),
        ),
        ("processor\t: 0\nFeatures\t: fp asimd bf16 i8mm\n", None, ("bf16", "i8mm", "neon")),
        ("", None, ()),
    ],
)
def test_what_linux_says_of_the_processor(text, model, flags):
    found, noted = parse_cpuinfo(text)
    assert noted == flags
    assert found == (model or platform.machine())
    assert Cpu(found, 2, noted).has_bf16 == bool(text)


def test_gpus_are_what_nvidias_program_says(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA L4, 23034 MiB, 550.54'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert list_gpus() == ["NVIDIA L4, 23034 MiB, 550.54"]
    program.write_text("#!/bin/sh\nexit 9\n")
    assert list_gpus() == []
    program.unlink()
    assert list_gpus() == []


def test_memory_is_some_or_unknown(monkeypatch):
    memory = memory_bytes()
    assert memory is None or memory > 2**26

    def unknown(_):
        raise ValueError("unrecognized configuration name")

    monkeypatch.setattr(os, "sysconf", unknown, raising=False)
    assert memory_bytes() is None
