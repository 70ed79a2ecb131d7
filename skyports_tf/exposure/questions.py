"""What `--asks` asks: a protocol and ports, such as tcp/22."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from skyports_tf.exposure.intervals import EVERY_PORT, LAST_PORT, IntervalSet
from skyports_tf.exposure.model import Exposure

_ASKED = re.compile(r"(?:(?P<protocol>[a-z][a-z0-9]*)(?:/(?P<ports>[0-9,-]+))?|(?P<lone>[0-9]+(?:-[0-9]+)?))")
_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_ALL: Final = "all"
_ANY: Final = frozenset({_ALL, "any"})
_WITH_PORTS: Final = frozenset({"tcp", "udp", "sctp", _ALL})


class QuestionError(ValueError):
    """A text that asks about no ports."""


@dataclass(frozen=True, slots=True)
class Question:
    """A protocol, `all` for every one, and its ports; `text` is how it was asked."""

    text: str
    protocol: str
    ports: IntervalSet

    def is_opened_by(self, exposure: Exposure) -> bool:
        """Whether an exposure opens any of the ports that are asked about."""
        opened = IntervalSet(((exposure.from_port, exposure.to_port),))
        if self.protocol not in (_ALL, exposure.protocol):
            # some ports of every protocol are those of protocols that have any
            every = self.protocol in _WITH_PORTS or opened == EVERY_PORT
            if exposure.protocol != _ALL or not every:
                return False
        return bool(self.ports & opened)


def parse_question(text: str) -> Question:
    """Read `tcp/22`, `udp/53`, `tcp/8000-8100`, `tcp`, `icmp`, `all`; a lone port is one of TCP.

    Raises `QuestionError` with one sentence for anything else.
    """
    found = _ASKED.fullmatch(text.strip().lower())
    if not found:
        raise QuestionError(f"{text!r} is no protocol and port such as tcp/22, udp/53, tcp/8000-8100 or icmp")
    protocol = found["protocol"] or "tcp"
    protocol = _ALL if protocol in _ANY else protocol
    ports = found["lone"] or found["ports"]
    if ports and protocol not in _WITH_PORTS:
        raise QuestionError(f"{protocol} has no ports")
    return Question(text, protocol, _ports(text, ports) if ports else EVERY_PORT)


def _ports(text: str, ports: str) -> IntervalSet:
    found = []
    for item in ports.split(","):
        ends = _RANGE.fullmatch(item)
        first, last = (int(ends[1]), int(ends[2] or ends[1])) if ends else (1, 0)
        if first > last or last > LAST_PORT:
            raise QuestionError(f"{text!r}: {item!r} is no port and no range of ports up to {LAST_PORT}")
        found.append((first, last))
    return IntervalSet.of(found)
