"""How long a port stays open: the grammar of `expires`, and what it means in absolute time.

Pure: the clock is never read here; `now` comes in, aware of its zone. An absolute time is text
in UTC, `2026-12-01T18:00:00Z`, so that comparing two texts compares the times.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone
from typing import Final

#: The spec that lifts an expiry which would otherwise hold.
NEVER: Final = "never"
WAY_OUT: Final = (
    "write a duration such as 90m, 8h, 3d or 1h30m, a date such as 2026-12-01 (open until that day has "
    "ended in UTC), a time such as 2026-12-01T18:00Z, or never"
)

_LONGEST_DAYS: Final = 3650
_MINUTES: Final = {"w": 7 * 24 * 60, "d": 24 * 60, "h": 60, "m": 1}
_DURATION = re.compile(r"(?:(\d{1,6})w)?(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,8})m)?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
# seconds and the colon of the zone may be left out, as ISO 8601 allows; Python 3.10 reads neither form
_TIME = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2})(?::(\d{2})(?:\.\d+)?)? ?(?:([Zz])|([+-]\d{2}):?(\d{2})?)?",
    re.ASCII,
)
_STAMP = "%Y-%m-%dT%H:%M:%SZ"


class ExpiryError(ValueError):
    """A value that says no time; the text is one sentence."""


def parse_expiry(value: object) -> str:
    """The normal form of a spec: `1h30m`, `2026-12-01`, `2026-12-01T18:00:00Z` or `never`.

    `value` is a text, or a date or time as YAML reads it. Two specs that mean the same have the
    same normal form. Raises `ExpiryError` for anything else.
    """
    if isinstance(value, datetime):
        return _normal_time(value)
    if isinstance(value, date):
        return _normal_date(value)
    if not isinstance(value, str):
        raise ExpiryError(f"{value!r} is no duration and no date")
    text = value.strip()
    if text.lower() == NEVER:
        return NEVER
    if _DATE.fullmatch(text):
        return _normal_date(_calendar_date(value))
    if found := _TIME.fullmatch(text):
        return _normal_time(_calendar_time(found, value))
    found = _DURATION.fullmatch(text.lower()) if text else None
    if not found:
        raise ExpiryError(f"{value!r} is no duration and no date")
    return _normal_duration(_minutes(found), value)


def deadline_of(spec: str, now: datetime | None = None) -> str | None:
    """The absolute time of a normal `spec`, a duration counted from `now`.

    None for `never`, and for a duration where `now` is not given.
    """
    if spec == NEVER:
        return None
    if _DATE.fullmatch(spec):
        # the day counts whole: its end is the next day's beginning
        following = date.fromisoformat(spec) + timedelta(days=1)
        return f"{following.isoformat()}T00:00:00Z"
    found = _DURATION.fullmatch(spec)
    if not found:
        return spec
    if now is None:
        return None
    return stamp(now + timedelta(minutes=_minutes(found)))


def stamp(time: datetime) -> str:
    """A time in the one form of absolute times, to the second."""
    return time.astimezone(timezone.utc).strftime(_STAMP)


def read_stamp(text: str) -> str:
    """`text`, where it is an absolute time as `stamp` writes it; else raises `ExpiryError`."""
    try:
        known = datetime.strptime(text, _STAMP).strftime(_STAMP) == text
    except (ValueError, TypeError):
        known = False
    if not known:
        raise ExpiryError(f"{text!r} is no time in UTC such as 2026-12-01T18:00:00Z")
    return text


def read_time(text: str) -> datetime:
    """The time of an absolute time as `stamp` writes it."""
    return datetime.strptime(text, _STAMP).replace(tzinfo=timezone.utc)


def spell_stamp(text: str) -> str:
    """An absolute time for people: `2026-12-01 18:00 UTC`."""
    day, _, clock = text.removesuffix("Z").partition("T")
    return f"{day} {clock.removesuffix(':00')} UTC"


def _calendar_time(found: re.Match[str], value: str) -> datetime:
    day, clock, seconds, utc, hours, minutes = found.groups()
    zone = "+00:00" if utc else f"{hours}:{minutes or '00'}" if hours else ""
    try:
        return datetime.fromisoformat(f"{day}T{clock}:{seconds or '00'}{zone}")
    except ValueError:
        raise ExpiryError(f"{value!r} is no time of the calendar") from None


def _calendar_date(value: str) -> date:
    try:
        return date.fromisoformat(value.strip())
    except ValueError:
        raise ExpiryError(f"{value!r} is no date of the calendar") from None


def _normal_time(time: datetime) -> str:
    if time.tzinfo is None:
        raise ExpiryError(f"{str(time)!r} says no time zone")
    try:
        moment = time.astimezone(timezone.utc)
    except OverflowError:
        raise ExpiryError(f"{str(time)!r} is too far away") from None
    return _in_range(stamp(moment), moment)


def _normal_date(day: date) -> str:
    return _in_range(day.isoformat(), day)


def _in_range(text: str, day: date) -> str:
    # the end of the last day of year 9999 cannot be said, and texts compare from year 1000 on
    if not 1000 <= day.year <= 9998:
        raise ExpiryError(f"{text!r} is too far away")
    return text


def _minutes(found: re.Match[str]) -> int:
    numbers = zip(found.groups(default="0"), _MINUTES.values(), strict=True)
    return sum(int(number) * minutes for number, minutes in numbers)


def _normal_duration(minutes: int, value: str) -> str:
    if minutes == 0:
        raise ExpiryError(f"{value!r} is no time at all")
    if minutes > _LONGEST_DAYS * _MINUTES["d"]:
        raise ExpiryError(f"{value!r} is longer than ten years")
    hours, rest = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (rest, "m"))
    return "".join(f"{number}{unit}" for number, unit in parts if number)
