"""How HCL spells a value.

Whatever the text, the spelling reads back as that very text: Terraform's template markers
`${` and `%{` are doubled, quotes, backslashes, newlines and control characters are escaped.
Aligned the way `terraform fmt` aligns, so that generated files are already formatted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TypeAlias

Value: TypeAlias = "str | bool | int | Sequence[Value] | Mapping[str, Value] | None"

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
# The HCL specification knows no other short escapes; U+0085, U+2028 and U+2029 would look like line ends.
_SHORT_ESCAPES = {"\n": r"\n", "\r": r"\r", "\t": r"\t", '"': r"\"", "\\": r"\\"}
_ESCAPES = str.maketrans(
    {chr(code): f"\\u{code:04x}" for code in (*range(32), 0x7F, 0x85, 0x2028, 0x2029)} | _SHORT_ESCAPES
)


class Expression(str):
    """HCL that is already HCL, such as `module.ports.rules`; never made from input."""


def spell(value: Value, indent: int = 0) -> str:
    """`value` as an HCL expression; maps stand on lines of their own, `indent` spaces in.

    Raises `ValueError` for a string with NUL or a lone surrogate, which HCL cannot hold.
    """
    if isinstance(value, Expression):
        return str(value)
    if isinstance(value, str):
        return quote(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Mapping):
        return _spell_map(value, indent)
    return f"[{', '.join(spell(item, indent) for item in value)}]"


def spell_inline(value: Mapping[str, Value]) -> Expression:
    """A map on one line: `{ protocol = "tcp", from_port = 80 }`."""
    if not value:
        return Expression("{}")
    return Expression(f"{{ {', '.join(f'{key(name)} = {spell(item)}' for name, item in value.items())} }}")


@lru_cache(maxsize=4096)
def quote(text: str) -> str:
    """`text` as a quoted HCL template without interpolation."""
    if "\0" in text:
        raise ValueError("HCL strings cannot hold a NUL character")
    text.encode("utf-8")  # a lone surrogate raises UnicodeEncodeError, a ValueError
    return '"' + text.translate(_ESCAPES).replace("${", "$${").replace("%{", "%%{") + '"'


def key(name: str) -> str:
    """`name` as the key of a map: bare where it is an identifier, else quoted."""
    return name if _IDENTIFIER.fullmatch(name) else quote(name)


def comment(text: str) -> str:
    """`text` as it may stand behind `# ` on one line."""
    return "".join(char if char.isprintable() else " " for char in text)


def _spell_map(value: Mapping[str, Value], indent: int) -> str:
    if not value:
        return "{}"
    inner = " " * (indent + 2)
    names = {name: key(name) for name in value}
    # terraform fmt aligns a run of one-line attributes, and a map of several lines ends the run
    width = 0
    lines: list[str] = []
    run: list[tuple[str, str]] = []

    def flush() -> None:
        nonlocal width
        lines.extend(f"{inner}{name:<{width}} = {item}" for name, item in run)
        run.clear()
        width = 0

    for name, item in value.items():
        spelled = spell(item, indent + 2)
        if "\n" in spelled:
            flush()
            lines.append(f"{inner}{names[name]} = {spelled}")
        else:
            run.append((names[name], spelled))
            width = max(width, len(names[name]))
    flush()
    return "\n".join(["{", *lines, " " * indent + "}"])
