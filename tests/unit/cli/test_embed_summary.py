import json
from dataclasses import replace

import pytest
import typer

from clipworks.cli import embed as embed_command
from clipworks.cli.embed_summary import print_report
from clipworks.embed.embed_settings import EmbedSettings
from clipworks.embed.outcome import EmbedReport, FailedPartition
from clipworks.embed.stages import StageSeconds, profile, stage_lanes

STAGES = profile(StageSeconds(1, 6, 2, 1), stage_lanes(EmbedSettings(num_workers=2)))
REPORT = EmbedReport(
    folder="out", source="in", model="m", fingerprint="f", samples=100, embedded=90, skipped=0,
    incomplete=0, partitions=40, partitions_made=38, partitions_missing=0, failed=[],
    seconds=10.0, images_per_s=9.0, profile=STAGES,
)  # fmt: skip


def test_a_profile_has_a_line_a_stage_and_what_bounds(capsys):
    print_report(REPORT, json=False, profile=True)
    assert capsys.readouterr().out.splitlines()[:5] == [
        "out: 90 embedded; 10.0 s, 9.0 images/s",
        "  read           1.0 s   10.0%",
        "  decode         6.0 s   60.0%",
        "  encode         2.0 s   20.0%",
        "  write          1.0 s   10.0%",
    ]


@pytest.mark.parametrize("as_json", [False, True])
def test_what_failed_is_named_on_stderr_and_ends_in_1(capsys, as_json):
    failed = [FailedPartition(3, "x"), FailedPartition(17, "its process was killed (SIGKILL)")]
    with pytest.raises(typer.Exit) as ended:
        report = replace(REPORT, failed=failed, partitions_missing=2)
        print_report(report, json=as_json, profile=False)
    assert ended.value.exit_code == 1
    out, err = capsys.readouterr()
    assert err == (
        "clipworks: 2 of 40 partitions could not be made (3, 17), the last one because its process "
        "was killed (SIGKILL); the same command tries them again\n"
    )
    if as_json:
        assert json.loads(out)["failed"][0] == {"number": 3, "reason": "x"}
    else:
        assert out == "out: 90 embedded; 10.0 s, 9.0 images/s\n"


def test_decoders_are_for_models_that_are_quicker_than_python(monkeypatch):
    assert embed_command._default_decoders("cpu") == 0
    assert 1 <= embed_command._default_decoders("cuda") <= 16
    assert embed_command._default_decoders("http://host:8000") >= 1
