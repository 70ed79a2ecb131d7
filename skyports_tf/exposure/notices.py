"""What keeps an answer from being the whole truth, as diagnostics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from skyports_tf.diagnostics import Diagnostic, Span
from skyports_tf.exposure.hcl_modules import Code
from skyports_tf.exposure.lookup import Untold
from skyports_tf.exposure.terraform_json import View
from skyports_tf.exposure.views import Exposed

_MOST_NAMED: Final = 3


def view_notices(found: Exposed, view: View, path: str | None) -> Iterator[Diagnostic]:
    """What nobody can tell of a plan or a state; `path` is its file."""
    yield from (_untold(item, path) for item in found.untold)
    yield from _partial(view, path)
    yield from _unseen(view.unseen, path)
    yield from _caveats(found, path)


def code_notices(found: Exposed, code: Code) -> Iterator[Diagnostic]:
    """What nobody can tell of code, with what was noted as it was read."""
    yield from code.notes
    yield from (_not_literal(item, code) for item in found.untold)
    yield from _unseen(code.unseen, None)
    yield from _caveats(found, None)


def _untold(item: Untold, path: str | None) -> Diagnostic:
    if item.elsewhere or item.reason:
        return _unread(item, path)
    message = f"{item.address}: {item.attribute} is known after apply, and so is what that opens"
    return Diagnostic("exposure-unknown", message, path, severity="note" if item.likely_empty else "warning")


def _unread(item: Untold, path: str | None) -> Diagnostic:
    if item.elsewhere:
        message = f"{item.address}: what it opens hangs on its {item.attribute}, which is not in this code"
        return Diagnostic("exposure-elsewhere", message, path, severity="note")
    message = f"{item.address}: {item.attribute} is not understood: {item.reason}"
    return Diagnostic("exposure-unread", message, path, severity="warning")


def _not_literal(item: Untold, code: Code) -> Diagnostic:
    path, line = code.places.get(item.address, (None, 1))
    if item.elsewhere or item.reason:
        return _unread(item, path)
    message = f"{item.address}: {item.attribute} is not literal, so what that opens is not known"
    return Diagnostic("not-literal", message, path, Span(line, 1, line, 2), severity="note")


def _unseen(addresses: Iterable[str], path: str | None) -> Iterator[Diagnostic]:
    for address in sorted(set(addresses)):
        message = f"what {address} opens is not known"
        yield Diagnostic("exposure-unseen", message, path, severity="note")


def _partial(view: View, path: str | None) -> Iterator[Diagnostic]:
    put_off = f"it puts off {_named(view.put_off)}" if view.put_off else ""
    if reason := put_off or view.partial:
        message = f"the plan does not hold all of the code: {reason}"
        yield Diagnostic("exposure-partial", message, path, severity="warning")


def _caveats(found: Exposed, path: str | None) -> Iterator[Diagnostic]:
    if found.narrowing and found.after:
        message = f"{_named(found.narrowing)} may let in less than what is told here"
        yield Diagnostic("exposure-narrower", message, path, severity="note")
    by_rules: dict[str, list[str]] = {}
    for address, lets_in in found.defaults:
        by_rules.setdefault(lets_in, []).append(address)
    for lets_in, addresses in by_rules.items():
        message = f"{_named(tuple(addresses))}: {lets_in}"
        yield Diagnostic("exposure-default", message, path, severity="note")
    if found.bare:
        message = f"no firewall of this code is on {_named(found.bare)}: every port is open until one is"
        yield Diagnostic("exposure-bare", message, path, severity="note")


def _named(addresses: tuple[str, ...]) -> str:
    more = f" and {len(addresses) - _MOST_NAMED} more" if len(addresses) > _MOST_NAMED else ""
    return ", ".join(addresses[:_MOST_NAMED]) + more
