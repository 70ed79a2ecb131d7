"""What `exposure` tells: who reaches what, the internet first, and what a plan changes of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from skyports_tf.clouds import Catalog
from skyports_tf.diagnostics import Diagnostic
from skyports_tf.exposure.addresses import EVERYONE
from skyports_tf.exposure.answers import Answer
from skyports_tf.exposure.model import Exposure
from skyports_tf.exposure.questions import Question
from skyports_tf.policing import same_checks
from skyports_tf.ports import FIRST_PORT, PortRange, PortSet
from skyports_tf.report.diagnostics import diagnostic_json
from skyports_tf.report.style import Look, columns, count, style

VERSION: Final = 1
_MOST_SOURCES: Final = 4
_MOST_PLACES: Final = 2
_LAST_PORT: Final = 65535
_LOOKS: Final[dict[str, Look]] = {"+": "green", "-": "red"}
_KINDS: Final = {"group": "group", "prefix_list": "prefix list", "tag": "tag"}

_Row = tuple[str, ...]


def exposure_json(answer: Answer, diagnostics: Iterable[Diagnostic] = ()) -> dict[str, Any]:
    """The document of `exposure`; `before` is null where nothing tells of it."""
    found = sorted((*answer.diagnostics, *diagnostics), key=lambda item: item.sort_key)
    return {
        "version": VERSION,
        "exposures": [_item_json(item) for item in answer.after],
        "before": None if answer.before is None else [_item_json(item) for item in answer.before],
        "attached": {address: list(answer.attached[address]) for address in _known_places(answer)},
        "diagnostics": [diagnostic_json(item) for item in found],
    }


def _known_places(answer: Answer) -> list[str]:
    """The addresses of exposures that guard something that is known."""
    addresses = {item.address for item in (*answer.after, *(answer.before or ()))}
    return sorted(addresses & set(answer.attached))


def _item_json(item: Exposure) -> dict[str, Any]:
    return {
        "address": item.address,
        "cloud": item.cloud,
        "stack": item.stack,
        "protocol": item.protocol,
        "from_port": item.from_port,
        "to_port": item.to_port,
        "source": item.source,
        "source_kind": item.source_kind,
        "internet": item.internet,
    }


def exposure_text(answer: Answer) -> str:
    """A table: a mark for what a plan opens (+) and closes (-), who, what, through what, on what."""
    before = set(answer.before) if answer.before is not None else set(answer.after)
    after = set(answer.after)
    marked = [("+" if item not in before else " ", item) for item in answer.after]
    marked += [("-", item) for item in answer.before or () if item not in after]
    if not marked:
        return "nothing is exposed"
    rows = [(*_row(mark, items), _guarded(answer, items[0])) for mark, items in _grouped(marked)]
    head = ("", "who", "what", "through", "on" if any(row[-1] for row in rows) else "")
    lines = columns([head, *rows], indent=0)
    shown = [style(lines[0], "dim")]
    for row, line in zip(rows, lines[1:], strict=True):
        look = _LOOKS.get(row[0])
        shown.append(style(line, look) if look else _tinted(line))
    return "\n".join([*shown, "", _total(answer, marked)])


def asked_finding(question: Question, found: Sequence[Exposure]) -> Diagnostic | None:
    """The finding that the internet reaches what was asked about; None where it does not."""
    reached = [item for item in found if item.internet and question.is_opened_by(item)]
    if not reached:
        return None
    places = list(dict.fromkeys(_place(item) for item in reached))
    more = f" and {len(places) - 3} more" if len(places) > 3 else ""
    message = f"the internet reaches {question.text}, through {', '.join(places[:3])}{more}"
    return Diagnostic("internet-reaches", message)


def internet_findings(answer: Answer, places: Mapping[str, str], catalog: Catalog) -> Iterator[Diagnostic]:
    """A warning for each thing that the internet will reach through one resource, for SARIF and JUnit.

    It stands at the file of the stack that `places` knows by its name, and names the checks of other
    tools that mean the same.
    """
    for _, items in _grouped((" ", item) for item in answer.after if item.internet):
        first = items[0]
        guarded = _guarded(answer, first)
        on = f", on {guarded}" if guarded else ""
        who = ", ".join(item.source for item in items)
        message = f"the internet ({who}) reaches {_what(first)}, through {_place(first)}{on}"
        yield Diagnostic(
            "exposed-to-internet",
            message,
            path=places.get(first.stack or ""),
            severity="warning",
            checks=_checks(items, catalog),
        )


def _checks(items: Sequence[Exposure], catalog: Catalog) -> tuple[tuple[str, str], ...]:
    """Other tools know everyone as a source, and nothing less."""
    first = items[0]
    is_everyones = not {item.source for item in items}.isdisjoint(EVERYONE)
    if first.cloud not in catalog.managed() or not is_everyones or first.to_port < FIRST_PORT:
        return ()
    protocols = ("tcp", "udp") if first.protocol == "all" else (first.protocol,)
    ports = PortSet((PortRange(max(first.from_port, FIRST_PORT), min(first.to_port, _LAST_PORT)),))
    cloud = catalog.load(first.cloud)
    found = (check for protocol in protocols for check in same_checks(cloud, protocol, ports))
    return tuple(dict.fromkeys(found))


def _grouped(marked: Iterable[tuple[str, Exposure]]) -> Iterator[tuple[str, list[Exposure]]]:
    """Exposures that differ in their source alone, together; what the internet reaches comes first."""
    groups: dict[tuple[Any, ...], list[Exposure]] = {}
    for mark, item in marked:
        ports = (item.protocol, item.from_port, item.to_port)
        key = (not item.internet, item.stack or "", item.address, ports, item.source_kind, mark)
        groups.setdefault(key, []).append(item)
    for key in sorted(groups):
        yield key[-1], groups[key]


def _row(mark: str, items: Sequence[Exposure]) -> _Row:
    first = items[0]
    sources = [item.source for item in items]
    more = f" and {len(sources) - _MOST_SOURCES} more" if len(sources) > _MOST_SOURCES else ""
    who = ", ".join(sources[:_MOST_SOURCES]) + more
    kind = _KINDS.get(first.source_kind, "")
    who = f"{kind} {who}" if kind and not first.internet else who
    return (mark, f"INTERNET  {who}" if first.internet else who, _what(first), _place(first))


def _guarded(answer: Answer, item: Exposure) -> str:
    """What the resource's rules guard, in a few words."""
    names = answer.attached.get(item.address, ())
    more = f" and {len(names) - _MOST_PLACES} more" if len(names) > _MOST_PLACES else ""
    return ", ".join(names[:_MOST_PLACES]) + more


def _what(item: Exposure) -> str:
    if (item.from_port, item.to_port) == (0, _LAST_PORT):
        every = {"all": "everything", "tcp": "tcp every port", "udp": "udp every port"}
        return every.get(item.protocol, item.protocol)
    last = f"-{item.to_port}" if item.to_port != item.from_port else ""
    protocol = "tcp, udp" if item.protocol == "all" else item.protocol
    return f"{protocol} {item.from_port}{last}"


def _place(item: Exposure) -> str:
    return f"{item.stack}: {item.address}" if item.stack else item.address


def _tinted(line: str) -> str:
    return line.replace("INTERNET", style("INTERNET", "bold", "red"), 1)


def _total(answer: Answer, marked: Sequence[tuple[str, Exposure]]) -> str:
    reached = sum(item.internet for item in answer.after)
    told = f"{count(len(answer.after), 'exposure')}, {reached} to the internet"
    if answer.before is None:
        return told
    opened = sum(mark == "+" for mark, _ in marked)
    closed = sum(mark == "-" for mark, _ in marked)
    return f"{told}; {opened} new, {closed} closing"
