"""How YAML spells a value, for files that other programs read: YAML 1.1 and 1.2 read the same.

A text is bare only where no reader takes it for anything else. Otherwise it is in single quotes where
that saves escapes, else in double quotes, with JSON's escapes, which YAML has too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

Value: TypeAlias = "str | bool | int | Sequence[Value] | Mapping[str, Value] | None"

_BARE = re.compile(r"(?:\.?[A-Za-z_]|\.{0,2}/)[A-Za-z0-9_./-]*(?: [A-Za-z0-9_./=-]+)*", re.ASCII)
# what YAML 1.1 or 1.2 reads as something else than a text; compared in lower case
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n", "null", ".inf", ".nan"})
# JSON lets these stand as they are; to YAML they are line ends, or no characters of a text at all
_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]")


def spell(value: Value) -> str:
    """`value` on one line, as a flow node of YAML."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{spell(name)}: {spell(item)}" for name, item in value.items()) + "}"
    return "[" + ", ".join(map(spell, value)) + "]"


def _text(text: str) -> str:
    if _BARE.fullmatch(text) and text.lower() not in _WORDS:
        return text
    if ('"' in text or "\\" in text) and text.isprintable() and not _UNSAFE.search(text):
        return "'" + text.replace("'", "''") + "'"
    quoted = json.dumps(text, ensure_ascii=False)
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)
