"""Rules on one object that a schema does not hold: what conflicts, what a name or a port may be.

Each kind of rule is a function from the rule's parameters and the object to what is wrong, in
words. What is unknown as yet is not judged.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from tests.schema_provider.facts import Rule
from tests.schema_provider.values import leaves
from tests.schema_provider.wire import is_unknown

About = Mapping[str, Any]
Check = Callable[[About, Mapping[str, Any]], Iterator[str]]

STAGES = ("validate", "plan", "apply")
_PORTS = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")


def broken_rules(rules: Iterable[Rule], value: Mapping[str, Any], stage: str) -> list[str]:
    """What is wrong with the object, as far as it shows at the stage."""
    known = STAGES[: STAGES.index(stage) + 1]
    return [
        message
        for rule in rules
        if rule.kind in CHECKS and rule.stage in known and applies(rule.about, value)
        for message in CHECKS[rule.kind](rule.about, value)
    ]


def applies(about: About, value: Mapping[str, Any]) -> bool:
    """Whether the object is of the kind that the rule is for: `when` maps attributes to values.

    What is unknown counts as not given.
    """
    given = {name: None if is_unknown(item) else item for name, item in value.items()}
    return all(given.get(name) in wanted for name, wanted in about.get("when", {}).items())


def _given(value: Mapping[str, Any], names: Sequence[str]) -> tuple[list[str], bool]:
    """Those of the names that have a value, and whether one is still unknown."""
    known = {name: value.get(name) for name in names if not is_unknown(value.get(name))}
    return [name for name, item in known.items() if item not in (None, "", [])], len(known) < len(names)


def _exactly_one_of(about: About, value: Mapping[str, Any]) -> Iterator[str]:
    given, unsure = _given(value, about["of"])
    if len(given) > 1 or (not given and not unsure):
        yield f"exactly one of {', '.join(about['of'])} must be specified, not {', '.join(given) or 'none'}"


def _at_most_one_of(about: About, value: Mapping[str, Any]) -> Iterator[str]:
    given, _ = _given(value, about["of"])
    if len(given) > 1:
        yield f"{' conflicts with '.join(given)}"


def _at_least_one_of(about: About, value: Mapping[str, Any]) -> Iterator[str]:
    given, unsure = _given(value, about["of"])
    if not given and not unsure:
        yield f"one of {', '.join(about['of'])} must be defined"


def _pattern(about: About, value: Mapping[str, Any]) -> Iterator[str]:
    for text in leaves(value, about["at"]):
        for item in text if isinstance(text, list) else [text]:
            if not is_unknown(item) and not re.fullmatch(about["regex"], item):
                yield f"{about['at']}: {item!r} does not match {about['regex']}"


def _between(about: About, value: Mapping[str, Any]) -> Iterator[str]:
    for number in leaves(value, about["at"]):
        for item in number if isinstance(number, list) else [number]:
            if not about["min"] <= item <= about["max"]:
                yield f"{about['at']}: expected {about['min']} to {about['max']}, got {item}"


def _one_of(about: About, value: Mapping[str, Any]) -> Iterator[str]:
    for item in leaves(value, about["at"]):
        if item not in about["values"]:
            yield f"{about['at']}: expected one of {about['values']}, got {item}"


def _max_items(about: About, value: Mapping[str, Any]) -> Iterator[str]:
    """In one collection, or in several together."""
    count = sum(len(items) for path in about["at"] for items in leaves(value, path))
    if count > about["max"]:
        yield f"{' and '.join(about['at'])}: at most {about['max']}, got {count}"


def _one_family(about: About, value: Mapping[str, Any]) -> Iterator[str]:
    families = {network.version for network in _networks(value, about["at"])}
    if len(families) > 1:
        yield f"{about['at']}: IPv4 and IPv6 ranges can't be in one rule"


def _disjoint(about: About, value: Mapping[str, Any]) -> Iterator[str]:
    networks = sorted(_networks(value, about["at"]), key=lambda network: (network.version, network))
    for wide, narrow in itertools.pairwise(networks):
        # sorted, a network comes right after one that holds it, or after another such
        if wide.version == narrow.version and int(wide.broadcast_address) >= int(narrow.broadcast_address):
            yield f"{about['at']}: {narrow} is inside {wide}"


def _ipv4_only(about: About, value: Mapping[str, Any]) -> Iterator[str]:
    for network in _networks(value, about["at"]):
        if network.version != 4:
            yield f"{about['at']}: {network} is not IPv4"


def _networks(value: Mapping[str, Any], path: str) -> Iterator[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    for text in _texts(value, path):
        try:
            yield ipaddress.ip_network(text, strict=False)
        except ValueError:
            continue


def _cidr(about: About, value: Mapping[str, Any]) -> Iterator[str]:
    for text in _texts(value, about["at"]):
        if about.get("or") and re.fullmatch(about["or"], text):
            continue
        try:
            ipaddress.ip_network(text, strict=about.get("strict", True))
        except ValueError as wrong:
            yield f"{about['at']}: {wrong}"


def _port_text(about: About, value: Mapping[str, Any]) -> Iterator[str]:
    for text in _texts(value, about["at"]):
        if about.get("or") and re.fullmatch(about["or"], text):
            continue
        found = _PORTS.fullmatch(text)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if not about.get("min", 0) <= first <= last <= 65535:
            yield f"{about['at']}: {text!r} is not a port or a range of ports"


def _texts(value: Mapping[str, Any], path: str) -> Iterator[str]:
    for found in leaves(value, path):
        yield from (item for item in (found if isinstance(found, list) else [found]) if isinstance(item, str))


def _ordered(about: About, value: Mapping[str, Any]) -> Iterator[str]:
    for item in (item for found in leaves(value, about["at"]) for item in found):
        first, last = item.get(about["first"]), item.get(about["last"])
        if isinstance(first, int) and isinstance(last, int) and first > last:
            yield f"{about['at']}: {about['first']} {first} is above {about['last']} {last}"


def _named_when_many(about: About, value: Mapping[str, Any]) -> Iterator[str]:
    for items in leaves(value, about["at"]):
        if len(items) > 1 and any(not item.get(about["field"]) for item in items):
            yield f"{about['at']}: {about['field']} is required where there are several"


def _distinct(about: About, value: Mapping[str, Any]) -> Iterator[str]:
    for items in leaves(value, about["at"]):
        keys = [tuple(item.get(name) for name in about["fields"]) for item in items]
        twice = {key for key in keys if keys.count(key) > 1 and not any(map(is_unknown, key))}
        for key in sorted(twice, key=str):
            yield f"{about['at']}: duplicate {', '.join(about['fields'])}: {key}"


#: The kinds of rules on one object.
CHECKS: Mapping[str, Check] = {
    "exactly_one_of": _exactly_one_of,
    "at_most_one_of": _at_most_one_of,
    "at_least_one_of": _at_least_one_of,
    "pattern": _pattern,
    "between": _between,
    "one_of": _one_of,
    "max_items": _max_items,
    "one_family": _one_family,
    "disjoint": _disjoint,
    "ipv4_only": _ipv4_only,
    "cidr": _cidr,
    "port_text": _port_text,
    "ordered": _ordered,
    "named_when_many": _named_when_many,
    "distinct": _distinct,
}
