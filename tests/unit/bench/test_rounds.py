import json
import sys

import numpy as np
import pytest

from clipworks.bench.contenders import Contender
from clipworks.bench.rounds import Heat, run_rounds

ANSWERS = """
import json, sys
order = json.loads(sys.argv[1])
import numpy as np
np.save(order["outputs"], np.ones((2, 2)) * order["batch_size"])
print("some library's chatter")
print(json.dumps({"runtime": "r", "load_s": 1.0, "latencies_ms": [order["batch_size"]],
                  "peak_memory_bytes": 5}))
"""


@pytest.fixture
def make_heat(tmp_path):
    def make(name, code, batch_size=1):
        contender = Contender(name, "peer", "fp32", command=(sys.executable, "-c", code))
        outputs = tmp_path / f"{name}_{batch_size}.npy"
        return Heat(contender, "image", batch_size, tmp_path / "in.npy", outputs)

    return make


def test_contenders_take_turns_and_every_other_round_backwards(make_heat):
    heats = [make_heat("a", ANSWERS), make_heat("b", ANSWERS, 2)]
    order = []
    results = run_rounds(heats, num_rounds=3, seconds=0, tell=lambda h: order.append(h.batch_size))
    assert order == [1, 2, 2, 1, 1, 2]
    assert [[run.latencies_ms for run in one.runs] for one in results] == [[[1]] * 3, [[2]] * 3]
    np.testing.assert_array_equal(results[1].embeddings, np.full((2, 2), 2))


def test_the_order_says_what_is_wanted(make_heat, tmp_path):
    code = f"import sys; open({str(tmp_path / 'order')!r}, 'w').write(sys.argv[1])" + ANSWERS
    run_rounds([make_heat("a", code, 4)], num_rounds=1, seconds=1.5, num_threads=2)
    order = json.loads((tmp_path / "order").read_text())
    assert (order["batch_size"], order["seconds"], order["num_threads"]) == (4, 1.5, 2)


def test_one_that_fails_is_named_and_the_others_go_on(make_heat):
    code = "import sys; print('half', flush=True); sys.exit('a long story\\nno such backend')"
    failed, fine = run_rounds(
        [make_heat("bad", code), make_heat("good", ANSWERS)], num_rounds=2, seconds=0
    )
    assert failed.error == "no such backend" and failed.runs == [] and failed.embeddings is None
    assert len(fine.runs) == 2 and fine.error == ""


def test_a_killed_run_says_so(make_heat):
    code = "import os; os.kill(os.getpid(), 9)"
    (killed,) = run_rounds([make_heat("bad", code)], num_rounds=1, seconds=0)
    assert "-9" in killed.error
