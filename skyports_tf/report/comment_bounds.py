"""Bounds of what opens, for a comment that has no room to say each opening."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from skyports_tf.model import Stack
from skyports_tf.ports import PortRange
from skyports_tf.report.port_words import port_word
from skyports_tf.report.review import AUDIENCES, Audience, StackReview, number_of_ranges
from skyports_tf.report.style import count

_Opened = tuple[Stack, str, PortRange]


def overflow_part(reviews: Sequence[StackReview]) -> str:
    """What a comment says at its top where it is not complete."""
    openings = number_of_ranges(review.opened for review in reviews)
    return (
        "> [!CAUTION]\n"
        f"> **This comment is not complete**: a comment has no room for {openings} openings. Every one of "
        "them lies within the bounds below, which hold more than what opens. `skyports-tf plan` lists them "
        "all: plan fewer stacks at once, and review those."
    )


def bound_lines(reviews: Sequence[StackReview]) -> list[str]:
    """Bounds of all that opens: a line for the internet, public addresses and the rest, by protocol."""
    found: dict[tuple[int, str], list[_Opened]] = {}
    for review in reviews:
        for (protocol, source), ports in review.opened.items():
            place = AUDIENCES.index(review.audience(source)), protocol
            found.setdefault(place, []).extend((review.stack, source, item) for item in ports)
    return [
        _bound(AUDIENCES[who], protocol, opened)
        for (who, protocol), opened in sorted(found.items(), key=lambda item: item[0])
    ]


def _bound(who: Audience, protocol: str, opened: Sequence[_Opened]) -> str:
    hull = PortRange(min(item.first for _, _, item in opened), max(item.last for _, _, item in opened))
    stacks, sources = {stack.name for stack, _, _ in opened}, {source for _, source, _ in opened}
    sign = "+" if who == "inside" else "!"
    return (
        f"{sign} {count(len(opened), 'opening')} within {port_word(protocol, hull)} "
        f"on {count(len(stacks), 'stack')} <- {_source_bounds(sources)}"
    )


def _source_bounds(sources: Iterable[str]) -> str:
    """The least block around all addresses of a family, and how many sources are no addresses."""
    blocks: dict[int, list[ipaddress.IPv4Network | ipaddress.IPv6Network]] = {}
    others = 0
    for source in sources:
        try:
            block = ipaddress.ip_network(source, strict=False)
        except ValueError:
            others += 1
        else:
            blocks.setdefault(block.version, []).append(block)
    told = [f"{count(len(found), 'source')} within {_hull(found)}" for _, found in sorted(blocks.items())]
    return ", ".join([*told, *([count(others, "group or tag", "groups or tags")] if others else [])])


def _hull(blocks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> str:
    first = min(int(block.network_address) for block in blocks)
    last = max(int(block.broadcast_address) for block in blocks)
    width = blocks[0].max_prefixlen
    length = width - (first ^ last).bit_length()
    return str(ipaddress.ip_network((blocks[0].network_address.__class__(first), length), strict=False))
