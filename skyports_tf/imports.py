"""Import blocks: what is there already, by the addresses of the resources that will hold it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from skyports_tf.hcl import quote

_NAME = r"[a-z_][a-z0-9_]*"
_ADDRESS = re.compile(rf'(?P<path>{_NAME}(?:\.{_NAME})+)(?:\[(?P<key>[0-9]+|".*")\])?', re.DOTALL)


def imports_text(objects: Mapping[str, str]) -> str:
    """An import block for each address and id, sorted; empty where there are none.

    Raises `ValueError` for an address of another form than ours.
    """
    blocks = [
        f"import {{\n  to = {_target(address)}\n  id = {quote(identifier)}\n}}\n"
        for address, identifier in sorted(objects.items())
    ]
    return "\n".join(blocks)


def key_of(address: str) -> str | None:
    """The for_each key in an address; None where it has none."""
    found = _ADDRESS.fullmatch(address)
    key = found["key"] if found else None
    return key[1:-1] if key and not key.isdecimal() else None


def _target(address: str) -> str:
    found = _ADDRESS.fullmatch(address)
    if not found:
        raise ValueError(f"no address of ours: {address!r}")
    key = found["key"]
    if key is None or key.isdecimal():
        return address
    return f"{found['path']}[{quote(key[1:-1])}]"
