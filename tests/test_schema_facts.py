"""What is said of each cloud is about its schema, and says where it is from; values survive the wire."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.schema_provider import wire
from tests.schema_provider.facts import FOLDER, read_facts
from tests.schema_provider.install import PROVIDERS
from tests.schema_provider.limits import DELETE_CHECKS, WRITE_CHECKS
from tests.schema_provider.rules import CHECKS, STAGES
from tests.schema_provider.schema import Block, read_schema


def fact_paths(provider: str) -> Iterator[tuple[str, str]]:
    """Every (type, path into its objects) that the facts name."""
    for kind, known in read_facts(provider).resources.items():
        for path in [*known.defaults, *known.computed, *known.force_new]:
            yield kind, path
        for rule in known.rules:
            at = rule.about.get("at", ())
            inside = [f"{at}.{name}" for key in ("field", "first", "last") if (name := rule.about.get(key))]
            own = ["of", "within", *(["fields"] if rule.kind in ("unique", "exists") else [])]
            named = [name for key in own for name in rule.about.get(key, ())]
            paths = [*([at] if isinstance(at, str) else at), *(inside if at else ()), *named]
            for path in [*paths, *rule.about.get("when", ())]:
                yield kind, path


def leads_somewhere(block: Block, path: str) -> bool:
    name, _, rest = path.partition(".")
    while rest and (rest.split(".")[0].isdigit() or rest == "#"):
        rest = rest.partition(".")[2]
    nested = dict(block.nested()).get(name)
    if nested:
        return not rest or leads_somewhere(nested.block, rest)
    return name in block.attributes and not rest


@pytest.mark.parametrize("provider", PROVIDERS)
def test_facts_are_about_what_the_schema_has(provider: str) -> None:
    schema, facts = read_schema(FOLDER / "schemas" / f"{provider}.json"), read_facts(provider)
    assert set(facts.resources) == set(schema.resources)
    assert set(facts.data_sources) == set(schema.data_sources)
    wrong = [
        (kind, path)
        for kind, path in fact_paths(provider)
        if not leads_somewhere(schema.resources[kind].block, path)
    ]
    assert wrong == []


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_rule_is_of_a_known_kind_and_says_where_it_is_from(provider: str) -> None:
    kinds = {*CHECKS, *WRITE_CHECKS, *DELETE_CHECKS}
    for kind, known in read_facts(provider).resources.items():
        for rule in known.rules:
            assert rule.kind in kinds, kind
            assert rule.stage in STAGES, kind
            assert rule.source.endswith(("[S]", "[K]")), (kind, rule.source)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_a_value_survives_the_wire(value: Any) -> None:
    assert wire.value_of(wire.dynamic_value(value)) == value


@given(st.dictionaries(st.integers(1, 500), st.integers(1, 2**63) | st.binary()))
def test_a_message_survives_the_wire(content: dict[int, int | bytes]) -> None:
    assert wire.fields(wire.message(*content.items())) == content
