from clipworks.embed.embed_settings import EmbedSettings
from clipworks.embed.stages import StageSeconds, Tally, find_slowest, profile, stage_lanes


def test_tallies_add_up():
    first = Tally(3, 1, 2, StageSeconds(1, 2, 3, 4))
    second = Tally(2, 0, 1, StageSeconds(1, 1, 1, 1))
    assert first + second == Tally(5, 1, 3, StageSeconds(2, 3, 4, 5))


def test_the_slowest_stage_is_the_one_with_the_busiest_lanes():
    """Sixteen decoders with 40 s of work wait for one model with 5 s."""
    settings = EmbedSettings(num_decoders=16, num_encoding=1)
    lanes = stage_lanes(settings)
    assert (lanes["decode"], lanes["encode"]) == (16, 1)
    seconds = StageSeconds(read=1, decode=40, encode=5, write=0.1)
    assert find_slowest(seconds, lanes) == "encode"
    assert find_slowest(seconds, stage_lanes(EmbedSettings(num_workers=2))) == "decode"


def test_a_profile_has_shares_and_one_sentence():
    lanes = stage_lanes(EmbedSettings(num_workers=2))
    found = profile(StageSeconds(1, 1, 5, 1), lanes)
    assert found["stages"]["encode"] == {"seconds": 5, "share": 0.625}
    assert sum(stage["share"] for stage in found["stages"].values()) == 1
    assert found["bound"] == "encode"
    assert found["advice"].startswith("encode bounds the run: on a CPU an int8 bundle")
    assert profile(StageSeconds(), lanes)["stages"]["read"]["share"] == 0
