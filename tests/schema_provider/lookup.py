"""How a data source finds things: one by its arguments, or a list by arguments and filters."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tests.schema_provider.facts import DataFacts
from tests.schema_provider.schema import Block
from tests.schema_provider.values import Object, conform_object, digest
from tests.schema_provider.views import selected
from tests.schema_provider.wire import with_type

_COLLECTIONS = ("list", "set", "map")
_DYNAMIC = "dynamic"
#: The arguments of a data source that lists objects of Kubernetes' API.
_LISTS_API = {"api_version", "kind", "label_selector"}


def look_up(block: Block, facts: DataFacts, config: Object, candidates: Sequence[Object]) -> Object | None:
    """The data source's answer to its arguments, or None where nothing is there.

    One that lists always answers, if need be with an empty list.
    """
    if facts.list:
        return _listing(block, facts, config, candidates)
    given = _given(config)
    found = next((item for item in candidates if _matches(item, given)), None)
    return None if found is None else _answer(block, {**found, **given}, given)


def _listing(block: Block, facts: DataFacts, config: Object, candidates: Sequence[Object]) -> Object:
    given = _given(config)
    if _LISTS_API & block.attributes.keys() == _LISTS_API:
        return _answer(
            block, {**given, facts.list: [item for item in candidates if selected(item, given)]}, given
        )
    filters = given.get("filter", [])
    plain = {name: item for name, item in given.items() if name not in ("filter", *facts.subset)}
    subsets = {facts.subset[name]: item for name, item in given.items() if name in facts.subset}
    found = [
        item
        for item in candidates
        if _matches(item, plain)
        and all(_passes(item, rule[facts.filter], rule) for rule in filters)
        and all(wanted.items() <= (item.get(name) or {}).items() for name, wanted in subsets.items())
    ]
    return _answer(block, {**given, facts.list: found}, given)


def _given(config: Object) -> Object:
    return {name: item for name, item in config.items() if item not in (None, [], {})}


def _matches(item: Object, given: Object) -> bool:
    """Whether it has the given values; of what it does not tell, it may."""
    return all(_same(item[name], wanted) for name, wanted in given.items() if name in item)


def _same(there: Any, wanted: Any) -> bool:
    """Equal as far as is asked: blocks by what is given in them."""
    if isinstance(there, list) and isinstance(wanted, list) and len(there) == len(wanted):
        return all(_same(left, right) for left, right in zip(there, wanted, strict=True))
    if isinstance(there, dict) and isinstance(wanted, dict):
        return _matches(there, _given(wanted))
    return bool(there == wanted)


def _passes(item: Object, path: str, rule: Mapping[str, Any]) -> bool:
    """Whether one of the filter's values is at the dotted path, or in the list there."""
    there: Any = item
    for part in _parts(item, path):
        there = there.get(part) if isinstance(there, dict) else None
    texts = [str(found) for found in (there if isinstance(there, list) else [there])]
    if rule.get("regex") or rule.get("match_by") == "re":
        return any(re.search(wanted, text) for wanted in rule["values"] for text in texts)
    return any(wanted in texts for wanted in rule["values"])


def _parts(item: Object, path: str) -> list[str]:
    """A tag's key may have dots of its own: only the first dot counts."""
    return [path] if path in item else path.split(".", 1)


def _answer(block: Block, found: Object, given: Object) -> Object:
    answer = conform_object(block, found)
    for name, attribute in block.attributes.items():
        kind = attribute.full_type()
        if answer[name] is None and isinstance(kind, list) and kind[0] in _COLLECTIONS and attribute.computed:
            answer[name] = {} if kind[0] == "map" else []
        if kind == _DYNAMIC and answer[name] is not None:
            answer[name] = with_type(answer[name])
    if "id" in answer and answer["id"] is None:
        answer["id"] = digest(repr(sorted(given.items(), key=str)))[:16]
    return answer
