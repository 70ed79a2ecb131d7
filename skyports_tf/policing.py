"""The verdict of the policy as findings, each at the line that made the breach."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from typing import Final

from skyports_tf.breachspots import Cut, Spot, Spots
from skyports_tf.clouds import Cloud
from skyports_tf.compilation import CompileRequest, stop_on_errors, told
from skyports_tf.config import Config
from skyports_tf.diagnostics import Diagnostic, PolicyMark
from skyports_tf.expiry import spell_stamp
from skyports_tf.exposure.ours import reaches_internet
from skyports_tf.judging import Breach, Circumstances, judge
from skyports_tf.model import Stack
from skyports_tf.policy import PolicyException, RuleKind
from skyports_tf.ports import FIRST_PORT, LAST_PORT, PortSet, parse_port_range
from skyports_tf.resolve import Demand, Findings
from skyports_tf.sources import Source
from skyports_tf.tree import folders_of

#: Where nobody says what time it is, every exception is over: what is not known does not excuse.
_NO_CLOCK: Final = datetime(9000, 1, 1, tzinfo=timezone.utc)
_MOST_TOLD: Final = 5
_EXCEPT: Final = "or except it under `policy.exceptions`, with a reason and an end"
_WAYS_OUT: Final[dict[RuleKind, str]] = {
    "denied_ports": "ask for another port",
    "allowed_sources": "name other sources, by --source or in the config",
    "internet_ports": "narrow the sources, by --source or in the config",
    "required_expiry": "set `expires` in the config, or say --expires",
    "required_tags": "set it under `tags` in the config",
    "maximum_ports": "ask for fewer ports, or --forget a task",
}
_SSH_WAY_OUT: Final = "set `ssh_sources` in the config, or say --ssh-source"


def add_breaches(
    stacks: Sequence[Stack], request: CompileRequest, out: str, demands: Sequence[Demand], findings: Findings
) -> None:
    """Add to `findings` what the config's policy says of `stacks`, the ledgers' other entries included."""
    now = request.judged_at or request.now or _NO_CLOCK
    paths = {(item.place, item.entry.file): item.path for item in demands}
    _add_verdict(stacks, Spots(request.config, out, paths), now, findings)


def refuse_breaches(
    stacks: Sequence[Stack], config: Config, out: str, now: datetime
) -> tuple[Diagnostic, ...]:
    """What the policy says of stacks as their ledgers in `out` have them.

    Raises `FindingsError` with all of it where something breaks a rule of severity error.
    """
    findings = Findings()
    _add_verdict(stacks, Spots(config, out, {}), now, findings)
    stop_on_errors(findings)
    return told(findings)


def _add_verdict(stacks: Sequence[Stack], spots: Spots, now: datetime, findings: Findings) -> None:
    config, policy = spots.config, spots.config.policy
    if not (policy.rules or policy.exceptions):
        return
    given = Circumstances(now, config.ours, config.tags)
    breaches = [breach for stack in stacks for breach in judge(stack, policy, given)]
    police = _Police(config, spots)
    for breach in breaches:
        if breach.rule.kind != "required_tags":
            findings.add(*police.findings(breach))
    findings.add(*police.tag_findings([item for item in breaches if item.rule.kind == "required_tags"]))
    judged = {stack.cluster for stack in stacks}
    used = {item.exception.position for item in breaches if item.exception}
    for exception in policy.exceptions:
        if exception.is_over(now):
            findings.add(police.over(exception))
        elif exception.position not in used:
            findings.add(*police.unused(exception, judged, folders_of(spots.out)))


@dataclass(frozen=True, slots=True)
class _Police:
    """Makes breaches and exceptions into findings."""

    config: Config
    spots: Spots

    def findings(self, breach: Breach) -> Iterator[Diagnostic]:
        """A finding for every spot at which something of the breach is written."""
        file = breach.entry.file if breach.entry else ""
        for cut in self.spots.cuts(breach):
            subject = f"{breach.stack.name} {file} {_ports_text(breach, cut.ports)}"
            found = self.finding(breach, cut.spot, _sentence(breach, cut), subject)
            yield replace(found, checks=_checks(self.config, breach, cut))

    def tag_findings(self, breaches: Sequence[Breach]) -> Iterator[Diagnostic]:
        """A finding for each tag and exception, which names the clusters: the tags are the same for all."""
        alike: dict[tuple[int, str, int | None], list[Breach]] = {}
        for breach in breaches:
            exception = breach.exception.position if breach.exception else None
            alike.setdefault((breach.rule.position, breach.reason, exception), []).append(breach)
        for (_, reason, _), same in alike.items():
            names = _shortened(sorted({breach.stack.cluster for breach in same}))
            spot = self.spots.spot(("tags",)) or self.spots.rule_spot(same[0].rule)
            yield self.finding(same[0], spot, f"{reason} (on {names})", reason)

    def finding(self, breach: Breach, spot: Spot, what: str, subject: str) -> Diagnostic:
        """One breach, or what an exception covers of it, at one spot."""
        rule, exception = breach.rule, breach.exception
        place = self.spots.rule_spot(rule)
        reason = exception.reason if exception else None
        mark = PolicyMark(rule.name, rule.code, rule.severity, subject, reason, *place)
        message = f"policy {rule.name!r}: {what}"
        if exception is None:
            is_ssh = breach.protocol is not None and breach.entry is None
            way_out = _SSH_WAY_OUT if is_ssh else _WAYS_OUT[rule.kind]
            help_text = f"the rule stands at {place}; {way_out}, {_EXCEPT}"
            return Diagnostic(rule.code, message, *spot, help_text, rule.severity, mark=mark)
        message += f"; excepted until {spell_stamp(exception.until)}: {reason}"
        help_text = f"the exception stands at {self.spots.exception_spot(exception)}"
        return Diagnostic("policy-excepted", message, *spot, help_text, "note", mark=mark)

    def over(self, exception: PolicyException) -> Diagnostic:
        """A warning for an exception whose time has ended."""
        ended = spell_stamp(exception.until)
        message = f"the exception to policy {exception.rule!r} ended at {ended} and has no effect any more"
        help_text = "remove it, or have it reviewed anew with a later `until`"
        spot = self.spots.exception_spot(exception, "until")
        return Diagnostic("policy-exception-over", message, *spot, help_text, "warning")

    def unused(
        self, exception: PolicyException, judged: set[str], known: Iterable[str]
    ) -> Iterator[Diagnostic]:
        """A note for an exception that covers nothing, once every cluster that it may be for was judged."""
        matching = {name for name in (*judged, *known) if fnmatchcase(name, exception.cluster)}
        if matching - judged:
            return
        message = f"no cluster is called {exception.cluster!r}, so the exception covers nothing"
        if matching:
            names = _shortened(sorted(matching))
            message = f"the exception to policy {exception.rule!r} covers nothing of {names}"
        help_text = "remove it, or correct its cluster, ports or sources"
        spot = self.spots.exception_spot(exception)
        yield Diagnostic("policy-exception-unused", message, *spot, help_text, "note")


# -- words -----------------------------------------------------------------------------


def _sentence(breach: Breach, cut: Cut) -> str:
    """What is wrong, after the name of the rule."""
    kind, stack = breach.rule.kind, breach.stack
    if kind == "maximum_ports":
        return f"{stack.name} {breach.reason}"
    ports = _ports_text(breach, cut.ports)
    if kind == "required_expiry":
        return f"{ports} of {stack.name} {breach.reason}"
    sources = _shortened(map(str, cut.sources))
    if kind == "internet_ports":
        return f"{stack.name} opens {ports} to the internet ({sources})"
    ending = "who may not be let in" if kind == "allowed_sources" else "which is denied"
    return f"{stack.name} opens {ports} to {sources}, {ending}"


def _ports_text(breach: Breach, ports: PortSet) -> str:
    """`tcp 80, 8000-8010`, or `tcp 22 (SSH)`; empty for a breach of the whole stack."""
    if breach.protocol is None:
        return ""
    text = f"{breach.protocol} {_shortened(map(str, ports))}"
    return text if breach.entry else f"{text} (SSH)"


def _shortened(items: Iterable[str]) -> str:
    """A list in words, of which the first few are told."""
    names = list(items)
    more = f" and {len(names) - _MOST_TOLD} more" if len(names) > _MOST_TOLD else ""
    return ", ".join(names[:_MOST_TOLD]) + more


def _checks(config: Config, breach: Breach, cut: Cut) -> tuple[tuple[str, str], ...]:
    everyone = [item for item in cut.sources if _is_everyone(breach.stack.cloud, item)]
    if not everyone or breach.protocol is None or breach.rule.kind == "required_expiry":
        return ()
    return tuple(same_checks(config.catalog.load(breach.stack.cloud), breach.protocol, cut.ports))


def same_checks(cloud: Cloud, protocol: str, ports: PortSet) -> Iterator[tuple[str, str]]:
    """The checks of other tools that mean the same as ports that are open to everyone: tool and id."""
    for check in cloud.checks:
        asked = PortSet((parse_port_range(str(check.get("ports", f"{FIRST_PORT}-{LAST_PORT}"))),))
        met = ports.covers(asked) if check.get("all") else bool(ports & asked)
        if met and check.get("protocol", protocol) == protocol:
            yield check["tool"], check["id"]


def _is_everyone(cloud: str, source: Source) -> bool:
    return source.is_internet or (source.kind == "tag" and reaches_internet(cloud, source))
