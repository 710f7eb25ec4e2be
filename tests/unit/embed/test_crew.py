import threading

import pytest

from clipworks.embed.crew import run_crew


def test_all_steps_of_all_threads_are_heard_in_this_thread():
    heard, here = [], threading.get_ident()

    def hear(step):
        assert threading.get_ident() == here
        heard.append(step)

    def work(number, tell):
        for step in range(50):
            tell((number, step))

    run_crew(4, work, hear, pytest.fail)
    assert sorted(heard) == [(number, step) for number in range(4) for step in range(50)]
    assert [step for number, step in heard if number == 2] == list(range(50))


@pytest.mark.parametrize("who", ["work", "hear"])
def test_an_error_on_either_side_stops_the_others_and_is_raised(who):
    stopped = threading.Event()

    def work(number, tell):
        if who == "work" and number == 1:
            raise KeyError("of a thread")
        tell(number)
        assert stopped.wait(10)  # nobody else would end it

    def hear(step):
        if who == "hear":
            raise KeyError("of this thread")

    with pytest.raises(KeyError, match="thread"):
        run_crew(3, work, hear, stopped.set)
    assert stopped.is_set()
