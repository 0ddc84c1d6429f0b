"""Work past its limit is stopped, work within it is left alone."""

from __future__ import annotations

import threading
import time

import pytest

from bench.errors import TimedOut
from bench.worker.deadline import deadline


def spin() -> None:
    while True:
        pass


def test_an_endless_loop_is_ended_in_the_thread_it_was_set_in_and_no_other():
    caught: list[str] = []

    def work() -> None:
        try:
            with deadline(0.2):
                spin()
        except TimedOut as error:
            caught.append(str(error))

    worker = threading.Thread(target=work)
    worker.start()
    worker.join(timeout=10)

    assert caught == ["ran past its limit of 0.2 s"]


def test_work_within_the_limit_is_not_disturbed_later():
    with deadline(0.1):
        pass

    time.sleep(0.2)
    sum(range(1000))


def test_no_limit_sets_no_timer_and_another_exception_passes():
    before = threading.active_count()

    with deadline(None):
        assert threading.active_count() == before
    with pytest.raises(KeyError), deadline(5):
        raise KeyError("mist")
