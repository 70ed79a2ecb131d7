"""Who a rule is for: blocks of addresses, groups, prefix lists, tags, or everyone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from skyports_tf.exposure.addresses import EVERYONE, AddressError, normal_block
from skyports_tf.exposure.facts import is_group
from skyports_tf.exposure.lookup import BlockReader, UntoldError, text_of
from skyports_tf.exposure.model import SourceKind
from skyports_tf.exposure.resources import type_of
from skyports_tf.exposure.rules import RuleSource, block_source, internet_word
from skyports_tf.exposure.shapes import SourceFact
from skyports_tf.exposure.values import UNKNOWN, Chain, value_at

_LOOKS_LIKE_AN_ADDRESS = re.compile(r"[0-9a-fA-F.:]+(?:/[0-9]+)?")
_FAMILY_BLOCKS: Final = {4: EVERYONE[0], 6: EVERYONE[1]}
_FAMILY_NAMES: Final = {
    "ipv4": (4,),
    "v4": (4,),
    "4": (4,),
    "ipv6": (6,),
    "v6": (6,),
    "6": (6,),
    "dualstack": (4, 6),
}
_KINDS: Final[dict[str, SourceKind]] = {
    "cidr": "cidr",
    "group": "group",
    "prefix_list": "prefix_list",
    "tag": "tag",
}


class SourceReader(BlockReader):
    """Reads the sources of a rule."""

    def sources(self, chain: Chain) -> Iterator[RuleSource]:
        """Everyone that the rule in this block is for."""
        found: list[RuleSource] = []
        told = len(self.untold)
        for fact in self.fact.sources:
            for item in self.items(chain, fact.at):
                found += self._source(chain, fact, item)
        if not found and told == len(self.untold) and self._is_for_everyone(chain):
            found = [block_source(_FAMILY_BLOCKS[family]) for family in self._families(chain)]
        inside = any(self.all_hold(chain, together) for together in self.fact.inside)
        for source in found:
            is_public = source.addresses is not None and source.is_internet(())
            yield RuleSource(self.fact.inside_name, "tag") if inside and is_public else source

    def _is_for_everyone(self, chain: Chain) -> bool:
        """Whether a rule that names no source is for everyone."""
        fact = self.fact
        denies = fact.deny is not None and self.all_hold(chain, fact.deny)
        return fact.no_source == "everyone" or (fact.no_source == "opens" and not denies)

    def _families(self, chain: Chain) -> Sequence[int]:
        path = self.fact.families
        named = [] if path is None else self.items(chain, path)
        known = [_FAMILY_NAMES.get(text_of(item).lower()) for item in named]
        families = [family for item in known for family in item or ()]
        return families if families and None not in known else self.fact.every_family

    def _source(self, chain: Chain, fact: SourceFact, item: Any) -> Iterator[RuleSource]:
        if fact.itself:
            if item is UNKNOWN or text_of(item).lower() == "true":
                yield RuleSource(self._own_name(), "group")
        elif item is UNKNOWN:
            yield from self._unknown_source(chain, fact)
        elif fact.kind in ("cidr", "text"):
            for text in text_of(item).split(","):
                yield from self._text_source(chain, fact, _stripped(text.strip(), fact.strip))
        elif kind := _KINDS.get(fact.kind):
            yield RuleSource(text_of(item), kind)

    def _own_name(self) -> str:
        """What the group of the rule is called: its id, else its address."""
        path = self.facts.group
        value = value_at((self.resource.values,), path) if path else self.resource.values.get("id")
        if value is UNKNOWN and path:
            return self.resource.referred(path.steps) or self.resource.address
        return text_of(value) if isinstance(value, (str, int)) else self.resource.address

    def _unknown_source(self, chain: Chain, fact: SourceFact) -> Iterator[RuleSource]:
        kind, named = _KINDS.get(fact.kind), self.meant(chain, fact.at)
        if kind is None and named and all(is_group(type_of(address)) for address in named):
            # a text may be anything, but the code says what it is
            kind = "group"
        if kind is None or kind == "cidr":
            self.tell(str(fact.at))
        else:
            yield from (RuleSource(address, kind) for address in named or [UNKNOWN.value])

    def _text_source(self, chain: Chain, fact: SourceFact, text: str) -> Iterator[RuleSource]:
        word = self.facts.words.get(text.lower()) if fact.bits is None else None
        if word == "internet":
            yield internet_word(text)
        elif word == "everyone":
            yield from (block_source(_FAMILY_BLOCKS[family]) for family in self._families(chain))
        elif (block := self._block(chain, fact, text)) is not None:
            yield block_source(block)
        elif fact.kind == "text" and not _LOOKS_LIKE_AN_ADDRESS.fullmatch(text):
            kinds = [kind for prefix, kind in fact.prefixes.items() if text.startswith(prefix)]
            yield RuleSource(text, _KINDS.get(kinds[0] if kinds else fact.other) or "tag")
        else:
            self.tell(str(fact.at), f"{text!r} is no CIDR block")

    def _block(self, chain: Chain, fact: SourceFact, text: str) -> str | None:
        bits = self.value(chain, fact.bits) if fact.bits is not None else None
        if bits is UNKNOWN:
            raise UntoldError(str(fact.bits))
        try:
            return normal_block(text if bits is None else f"{text}/{bits}")
        except AddressError:
            return None


def _stripped(text: str, starts: Sequence[str]) -> str:
    return next((text.removeprefix(start) for start in starts if text.startswith(start)), text)
