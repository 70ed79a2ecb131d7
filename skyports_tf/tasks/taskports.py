"""`resources.ports` of a task file, and `--ports`: texts to sets of ports, every bad one told.

Facts: sky/resources.py:Resources.__init__, sky/client/cli/command.py:_parse_override_params, SkyPilot 0.14.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from skyports_tf.diagnostics import Diagnostic
from skyports_tf.ports import (
    FIRST_PORT,
    LAST_PORT,
    PortError,
    PortRange,
    PortSet,
    parse_port_range,
    port_tokens,
)
from skyports_tf.tasks.findings import Findings
from skyports_tf.text.nodes import KeyPath

_NONE = "none"


def read_ports(value: Any, at: KeyPath, findings: Findings) -> PortSet:
    """The ports of the YAML value at `at`: a number, a text, a list of them, or None.

    Values of other types are skipped: the schema has told of them.
    """
    if not value and not isinstance(value, int | float):
        return PortSet()
    ranges: list[PortRange] = []
    texts = findings.document.texts(at)
    for index, item in enumerate(value if isinstance(value, list) else [value]):
        place = (*at, index) if isinstance(value, list) else at
        if isinstance(item, str):
            ranges += _read_text(item, place, findings)
        elif isinstance(item, int | float) and not isinstance(item, bool):
            ranges += _read_number(item, texts[index] if index < len(texts) else "", place, findings)
    return PortSet.of(ranges)


def _read_text(text: str, at: KeyPath, findings: Findings) -> Iterator[PortRange]:
    for first, token in _tokens(text):
        try:
            yield parse_port_range(token)
        except PortError as error:
            if token == text:
                findings.error("bad-port", str(error), at, help=_hint(token))
            else:
                part = (first, first + len(token))
                findings.error_in_text("bad-port", str(error), at, part, _hint(token))


def _tokens(text: str) -> Iterator[tuple[int, str]]:
    """The items of a comma list and where each begins."""
    begin = 0
    for item in text.split(","):
        token = item.strip()
        if token:
            yield begin + item.index(token), token
        begin += len(item) + 1


def _read_number(number: float, text: str, at: KeyPath, findings: Findings) -> list[PortRange]:
    if isinstance(number, int) and FIRST_PORT <= number <= LAST_PORT:
        check_spelling(number, text, at, findings)
        return [PortRange(number, number)]
    if isinstance(number, int):
        shown = str(number) if number.bit_length() < 64 else "of that size"
        message = f"port {shown} is outside {FIRST_PORT} to {LAST_PORT}"
        findings.error("bad-port", message, at, help=_spelling(number, text))
    elif number.is_integer():
        findings.error("bad-port", f"{number} is no whole number", at, help=f"write {number:.0f}")
    return []


def check_spelling(number: int, text: str, at: KeyPath, findings: Findings) -> None:
    """Warn where YAML 1.1 reads another number than a person does; `text` is what is written."""
    if text != str(number) and (written := _spelling(number, text)):
        findings.warn("yaml-number", f"YAML reads this as the port {number}", at, help=written)


def _spelling(number: int, text: str) -> str | None:
    if not text or text == "0" or (text.lstrip("-").isdecimal() and not text.startswith("0")):
        return None
    why = "base 60" if ":" in text else "YAML 1.1"
    shown = number if FIRST_PORT <= number <= LAST_PORT else "a plain decimal number"
    return f"{text[:40]!r} is a number in {why}: write {shown}, or quote what you mean"


def _hint(token: str) -> str | None:
    first, hyphen, last = (part.strip() for part in token.partition("-"))
    if hyphen and (" " in token) and first.isdecimal() and last.isdecimal():
        return f"write it without spaces: {first}-{last}"
    if ":" in token:
        return "write one port, or a range such as 8000-8010"
    if "/" in token:
        return "SkyPilot opens TCP ports only: write the number alone"
    if "$" in token:
        return "variables are not filled in within 'resources'"
    if hyphen and first.isdecimal() and last.isdecimal() and int(first[:6]) > int(last[:6]):
        return f"write {last}-{first}"
    return None


def port_option_conflict(options: Sequence[str]) -> list[Diagnostic]:
    """A finding where `--ports none` stands beside other ports, else none."""
    if len(options) < 2 or not _clears(options):
        return []
    message = "--ports none clears the ports, and cannot go with other ports"
    return [Diagnostic("bad-port", message, help="give either 'none' or ports")]


def read_port_options(options: Sequence[str]) -> tuple[PortSet | None, list[Diagnostic]]:
    """What `--ports` asks for, and what of it cannot be read.

    None keeps the task's ports; an empty set clears them. The findings have no place in a file.
    """
    if not options:
        return None, []
    if _clears(options):
        return PortSet(), []
    ranges, bad = [], []
    for token in (token for option in options for token in port_tokens(option)):
        try:
            ranges.append(parse_port_range(token))
        except PortError as error:
            bad.append(Diagnostic("bad-port", f"--ports: {error}", help=_hint(token)))
    return PortSet.of(ranges), bad


def _clears(options: Sequence[str]) -> bool:
    return any(option.lower() == _NONE for option in options)
