"""The closed list of ways in which a provider spells a rule: what facts about it may say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from skyports_tf.exposure.intervals import IntervalSet
from skyports_tf.exposure.values import Path

SourceWord = Literal["cidr", "group", "prefix_list", "tag", "text"]


@dataclass(frozen=True, slots=True)
class Condition:
    """Holds where the value at `at` is one of `values`; `unset` is the answer where there is none."""

    at: Path
    values: frozenset[str]
    unset: bool


@dataclass(frozen=True, slots=True)
class ProtocolFact:
    """The protocol stands at `at`, or is that of the block of `blocks` which is there; else `default`."""

    at: Path | None
    blocks: tuple[tuple[Path, str], ...]
    names: Mapping[str, str]
    default: str


@dataclass(frozen=True, slots=True)
class PortsFact:
    """Ports stand as pairs of numbers, or as texts; `unset` are those where none stands.

    `words` are texts for every port; `unknown` are the ports that one has which is not known yet.
    `of_any_protocol` says that a rule for every protocol may be for some ports alone.
    """

    pairs: tuple[tuple[Path, Path], ...]
    texts: tuple[Path, ...]
    words: frozenset[str]
    unset: IntervalSet
    unknown: IntervalSet | None
    zero_is_unset: bool
    of_any_protocol: bool


@dataclass(frozen=True, slots=True)
class SourceFact:
    """Sources stand at `at`. A `text` may be a block or a word; what else it may be is `other`.

    `bits` is where the length of the prefix stands, `itself` says that the value is yes or no, and a yes
    means the group itself; a value that begins with one of `prefixes` is of that kind, and one of `strip` is
    no part of it.
    """

    at: Path
    kind: SourceWord
    other: SourceWord
    bits: Path | None
    itself: bool
    prefixes: Mapping[str, SourceWord]
    strip: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ViaFact:
    """Another resource that decides about a rule: of `types`, named at `at`, or naming the same at `by`.

    Without one that is `needed` the rule cannot be told; it counts where the conditions of `when` hold there.
    """

    at: Path
    types: frozenset[str]
    by: Path | None
    needed: bool
    when: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class RuleFact:
    """One kind of rule in a type of resource; schemas/exposure-facts.schema.json describes each fact."""

    each: tuple[str, ...]
    echo_of: tuple[str, ...]
    when: tuple[Condition, ...]
    unless: tuple[Condition, ...]
    allow: tuple[Condition, ...]
    deny: tuple[Condition, ...] | None
    deny_whole: tuple[Condition, ...]
    priority: Path | None
    priority_unset: int
    priority_zero_is_unset: bool
    ordered: bool
    last: bool
    deny_wins_ties: bool
    scope: tuple[Path, ...]
    targets: tuple[Path, ...]
    protocol: ProtocolFact
    ports: PortsFact
    sources: tuple[SourceFact, ...]
    no_source: Literal["everyone", "opens", "nobody"]
    families: Path | None
    every_family: tuple[int, ...]
    inside: tuple[tuple[Condition, ...], ...]
    inside_name: str
    via: ViaFact | None
    unguarded: Path | None


@dataclass(frozen=True, slots=True)
class ResourceFact:
    """A type of resource that opens ports: its cloud, its rules, the group that it belongs to."""

    cloud: str
    rules: tuple[RuleFact, ...]
    group: Path | None
    guards: tuple[Path, ...]
    words: Mapping[str, str]

    @property
    def looks_around(self) -> bool:
        """Whether other resources decide about its rules."""
        return any(rule.via or rule.unguarded for rule in self.rules)


@dataclass(frozen=True, slots=True)
class DefaultFact:
    """Rules that a cloud has beside a resource before any code has: what they let in, and when that counts.

    They are no matter any more once a resource of the type `taken_over` names the first at `at`, by any of
    what stands at `names`.
    """

    lets_in: str
    when: tuple[Condition, ...]
    names: tuple[Path, ...]
    taken_over: str | None
    at: Path | None


@dataclass(frozen=True, slots=True)
class AttachingFact:
    """A type of resource that attaches groups, or bears the marks that rules are for.

    What they are attached to is the resource itself, or what stands at `to`.
    """

    groups: tuple[Path, ...]
    marks: tuple[Path, ...]
    to: tuple[Path, ...]
