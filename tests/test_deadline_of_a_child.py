"""A child at its deadline: it is told when it only waits, never while it gets on or has not begun."""

from __future__ import annotations

import pytest

from skyports_tf.running import child
from skyports_tf.running.child import Signals


class Clock:
    """The monotonic clock, as it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(child, "time", clock)
    return clock


def test_what_still_gets_on_at_its_deadline_is_not_told(clock: Clock) -> None:
    signals = Signals()
    assert not signals.is_due()
    signals.deadline = 103.0
    signals.move()
    clock.now = 102.9
    assert not signals.is_due()
    signals.move()
    clock.now = 104.0
    assert not signals.is_due()
    clock.now = 105.0
    assert signals.is_due()


def test_a_signal_that_would_not_be_heard_is_not_sent(clock: Clock) -> None:
    signals = Signals()
    signals.deadline = 103.0
    clock.now = 120.0
    assert not signals.is_due()
    signals.move()
    clock.now = 122.0
    assert signals.is_due()


def test_what_never_begins_is_told_in_the_end(clock: Clock) -> None:
    signals = Signals()
    signals.deadline = 103.0
    clock.now = 103.0 + child._BEGIN_SECONDS
    assert signals.is_due()
