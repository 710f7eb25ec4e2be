"""The log of a run."""

from clipworks.train.journal import Journal


def test_lines_come_back(tmp_path):
    journal = Journal(tmp_path / "run" / "journal.jsonl")
    assert journal.read() == []
    journal.write(10, {"loss": 2.5})
    journal.write(20, {"loss": 1.5, "r1": 12.0})
    assert journal.read() == [{"step": 10, "loss": 2.5}, {"step": 20, "loss": 1.5, "r1": 12.0}]


def test_forgets_what_a_resumed_run_writes_again(tmp_path):
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    for step in (10, 20, 30):
        journal.write(step, {"loss": 1.0})
    with path.open("a") as stream:
        stream.write('{"step": 40, "lo')  # a kill in the middle of a line
    journal.forget_after(20)
    assert [entry["step"] for entry in journal.read()] == [10, 20]
    journal.write(30, {"loss": 0.5})
    assert journal.read()[-1] == {"step": 30, "loss": 0.5}


def test_nothing_to_forget(tmp_path):
    Journal(tmp_path / "none.jsonl").forget_after(3)
    assert not (tmp_path / "none.jsonl").exists()
