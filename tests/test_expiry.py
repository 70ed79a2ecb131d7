"""What `expires` may say, and what it means in absolute time."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyports_tf.expiry import (
    ExpiryError,
    deadline_of,
    parse_expiry,
    read_stamp,
    spell_stamp,
    stamp,
)

NOW = datetime(2026, 11, 24, 20, 30, 15, 999_999, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("value", "normal", "deadline"),
    [
        ("90m", "1h30m", "2026-11-24T22:00:15Z"),
        ("8h", "8h", "2026-11-25T04:30:15Z"),
        ("3d", "3d", "2026-11-27T20:30:15Z"),
        ("2w", "14d", "2026-12-08T20:30:15Z"),
        ("1w1d1h1m", "8d1h1m", "2026-12-02T21:31:15Z"),
        ("24H", "1d", "2026-11-25T20:30:15Z"),
        ("3650d", "3650d", "2036-11-21T20:30:15Z"),
        ("2026-12-01", "2026-12-01", "2026-12-02T00:00:00Z"),
        ("2028-02-29", "2028-02-29", "2028-03-01T00:00:00Z"),
        (date(2026, 12, 31), "2026-12-31", "2027-01-01T00:00:00Z"),
        ("2026-12-01T18:00Z", "2026-12-01T18:00:00Z", "2026-12-01T18:00:00Z"),
        ("2026-12-01 18:00:05.7z", "2026-12-01T18:00:05Z", "2026-12-01T18:00:05Z"),
        ("2026-12-01T18:00+01:30", "2026-12-01T16:30:00Z", "2026-12-01T16:30:00Z"),
        ("2026-12-01T23:00:00-02", "2026-12-02T01:00:00Z", "2026-12-02T01:00:00Z"),
        (datetime(2026, 12, 1, 18, tzinfo=timezone.utc), "2026-12-01T18:00:00Z", "2026-12-01T18:00:00Z"),
        (
            datetime(2026, 12, 1, 18, tzinfo=timezone(timedelta(hours=5))),
            "2026-12-01T13:00:00Z",
            "2026-12-01T13:00:00Z",
        ),
        (" never ", "never", None),
    ],
)
def test_a_spec_has_a_normal_form_and_a_deadline(value: object, normal: str, deadline: str | None) -> None:
    assert parse_expiry(value) == normal
    assert parse_expiry(normal) == normal
    assert deadline_of(normal, NOW) == deadline


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "is no duration and no date"),
        ("soon", "is no duration and no date"),
        ("8", "is no duration and no date"),
        ("30m8h", "is no duration and no date"),
        ("-8h", "is no duration and no date"),
        ("1.5h", "is no duration and no date"),
        ("\N{ARABIC-INDIC DIGIT EIGHT}h", "is no duration and no date"),
        (8, "is no duration and no date"),
        (True, "is no duration and no date"),
        (["8h"], "is no duration and no date"),
        ("0h", "is no time at all"),
        ("3651d", "longer than ten years"),
        ("99999999m", "longer than ten years"),
        ("2026-02-30", "no date of the calendar"),
        ("2026-12-01T24:01Z", "no time of the calendar"),
        ("2026-12-01T18:00+99", "no time of the calendar"),
        ("2026-12-01T18:00", "says no time zone"),
        (datetime(2026, 12, 1), "says no time zone"),
        ("9999-12-31", "too far away"),
        ("0999-01-01", "too far away"),
        ("0001-01-01T00:00+10:00", "too far away"),
    ],
)
def test_what_says_no_time_is_refused_with_the_reason(value: object, problem: str) -> None:
    with pytest.raises(ExpiryError, match=problem):
        parse_expiry(value)


def test_a_duration_has_no_deadline_before_its_time_begins() -> None:
    assert deadline_of("8h") is None
    assert deadline_of("2026-12-01") == "2026-12-02T00:00:00Z"


def test_an_absolute_time_is_told_to_the_minute_where_that_says_all() -> None:
    assert spell_stamp("2026-12-01T18:00:00Z") == "2026-12-01 18:00 UTC"
    assert spell_stamp("2026-12-01T18:00:05Z") == "2026-12-01 18:00:05 UTC"


@pytest.mark.parametrize("text", ["", "2026-12-01", "2026-12-01T18:00Z", "2026-13-01T00:00:00Z", 5, None])
def test_a_text_that_is_no_absolute_time_is_refused(text: object) -> None:
    with pytest.raises(ExpiryError):
        read_stamp(text)  # type: ignore[arg-type]


TIMES = st.datetimes(datetime(1000, 1, 2), datetime(9998, 12, 30), timezones=st.just(timezone.utc))


@given(TIMES, TIMES)
def test_absolute_times_compare_as_the_times_do(one: datetime, other: datetime) -> None:
    first, second = one.replace(microsecond=0), other.replace(microsecond=0)
    assert (stamp(one) < stamp(other)) == (first < second)
    assert read_stamp(stamp(one)) == stamp(one) == parse_expiry(stamp(one))


@given(st.integers(1, 3650 * 24 * 60))
def test_durations_of_one_length_have_one_normal_form(minutes: int) -> None:
    normal = parse_expiry(f"{minutes}m")
    hours, rest = divmod(minutes, 60)
    assert parse_expiry(f"{hours}h{rest}m") == normal
    assert deadline_of(normal, NOW) == stamp(NOW + timedelta(minutes=minutes))


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        normal = parse_expiry(text)
    except ExpiryError as error:
        assert "\n" not in str(error)
    else:
        assert parse_expiry(normal) == normal
