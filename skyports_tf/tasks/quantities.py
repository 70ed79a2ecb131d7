"""Numbers with units, and words from short lists, as SkyPilot reads them.

Each function gives None for a value that SkyPilot takes, else what is wrong with it.
Facts: sky/utils/resources_utils.py (parse_memory_resource, normalize_local_disk,
_parse_time_with_units), sky/resources.py (_set_cpus, _set_memory), SkyPilot 0.14.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

DISK_TIERS: Final = ("low", "medium", "high", "ultra", "best")
NETWORK_TIERS: Final = ("standard", "best")

# suffix -> bytes; the order is the order of the attempts
_UNITS: Final = {
    f"{letter}{end}": 2 ** (10 * power) for power, letter in enumerate("kmgtp", 1) for end in "bi"
}
_GIGABYTE: Final = 2**30


def cpus_problem(value: object) -> str | None:
    """`cpus`: a positive number, or one followed by `+`."""
    number = _number(str(value).removesuffix("+"), float)
    if number is None:
        return "must be a number, or a number and '+'"
    return "must be more than 0" if number <= 0 else None


def memory_problem(value: object, zero_allowed: bool) -> str | None:
    """`memory`: gigabytes, or a number and a unit; `+` may follow; some clouds take 0."""
    text = str(value)
    # SkyPilot takes either ending, x being for its own use, and stumbles over both
    size = _in_gigabytes(text[:-1] if text.endswith(("+", "x")) else text, float)
    if size is None:
        return "must be a number of gigabytes, or a number and a unit such as 16GB; '+' may follow"
    if size < 0 or (size == 0 and not zero_allowed):
        return "must be more than 0"
    return None


def disk_size_problem(value: object) -> str | None:
    """`disk_size`: whole gigabytes, or a number and a unit that make whole gigabytes."""
    size = _in_gigabytes(str(value), int)
    if size is None:
        return "must be a whole number of gigabytes, or a number and a unit such as 512GB"
    return "must be more than 0" if size <= 0 else None


def local_disk_problem(value: str) -> str | None:
    """`local_disk`: `nvme`, `ssd`, a size, or both as in `nvme:1000+`."""
    mode, colon, size = value.lower().strip().partition(":")
    if not colon and mode in ("nvme", "ssd"):
        return None
    if colon and mode not in ("nvme", "ssd"):
        return "must begin with 'nvme' or 'ssd'"
    number = _number((size if colon else mode).rstrip("+"), float)
    if number is None or number <= 0:
        return "must be 'nvme', 'ssd', a size in gigabytes, or both as in nvme:1000+"
    return None


def minutes_problem(value: str) -> str | None:
    """A time in minutes: digits, or a number followed by m, h, d or w."""
    text = value.lower()
    if text.isdecimal():
        return None
    if text[-1:] in ("m", "h", "d", "w") and _number(text[:-1], float) is not None:
        return None
    return "must be a number of minutes, or a time such as 30m, 2h, 1d"


def accelerator_count_problem(text: str) -> str | None:
    """`NAME` or `NAME:COUNT` with a positive count."""
    parts = text.split(":")
    if len(parts) == 1:
        return None
    count = _number(parts[1], float)
    if len(parts) > 2 or count is None:
        return f"{text!r} is no accelerator: write NAME or NAME:COUNT"
    return f"{text!r} asks for a count that is not more than 0" if count <= 0 else None


def _in_gigabytes(text: str, read: Callable[[str], float]) -> float | None:
    plain = _number(text, read)
    if plain is not None:
        return plain
    for unit, size in _UNITS.items():
        amount: float | None = (
            _number(text.lower().removesuffix(unit), read) if text.lower().endswith(unit) else None
        )
        if amount is None:
            continue
        try:
            converted: float = amount * size / _GIGABYTE
        except OverflowError:
            return None
        if read is not int or converted.is_integer():
            return converted
    return None


def _number(text: str, read: Callable[[str], float]) -> float | None:
    try:
        return read(text)
    except ValueError:
        return None
