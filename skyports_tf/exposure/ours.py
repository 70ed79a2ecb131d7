"""What our own stacks expose, without any Terraform: from their rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any, Final

from skyports_tf.exposure.addresses import is_internet
from skyports_tf.exposure.model import Exposure, SourceKind
from skyports_tf.hcl import quote
from skyports_tf.model import Stack
from skyports_tf.roots import module_of
from skyports_tf.source import read_yaml
from skyports_tf.sources import Source

_FACTS = Path(__file__).parent / "stacks.yaml"
_Opening = tuple[tuple[str, str], tuple[str, int, int], Source]
_TAG: Final = "tag:"
_KINDS: Final[dict[str, SourceKind]] = {
    "ipv4": "cidr",
    "ipv6": "cidr",
    "prefix_list": "prefix_list",
    "group": "group",
    "tag": "tag",
}


def stack_exposures(stacks: Iterable[Stack], ours: tuple[str, ...] = ()) -> tuple[Exposure, ...]:
    """What the stacks open, sorted: their ports, and SSH where that is theirs to open.

    `ours` are the blocks that are no strangers (`exposure.ours` of the config). A stack from a ledger
    knows its SSH only after `stacks.fill_stack`.
    """
    found = [item for stack in stacks for item in _exposures(stack, ours)]
    return tuple(sorted(found, key=lambda item: item.sort_key))


def reaches_internet(cloud: str, source: Source, ours: tuple[str, ...] = ()) -> bool:
    """Whether a source of `cloud` lets in the internet: by its addresses, or by the cloud's word for it."""
    if source.kind == "tag":
        return source.text.removeprefix(_TAG) in _facts().get(cloud, {}).get("internet", ())
    return is_internet(source.text, ours)


def _exposures(stack: Stack, ours: tuple[str, ...]) -> Iterator[Exposure]:
    facts = _facts().get(stack.cloud, {})
    ssh = list(_opened_ssh(stack))
    twins = [] if facts.get("ssh", {}).get("twins", True) else [(opened, source) for _, opened, source in ssh]
    ports = (item for item in _opened(stack) if item[1:] not in twins)
    for key, opened, source in (*ports, *ssh):
        yield _exposure(stack, facts, key, opened, source, ours)


def _opened(stack: Stack) -> Iterator[_Opening]:
    if not stack.packed:
        for lone in stack.rules:
            yield ("port", lone.key), (lone.protocol, lone.ports.first, lone.ports.last), lone.source
    for rule in stack.packed:
        ranges = [(protocol, item.first, item.last) for protocol, ports in rule.ports for item in ports]
        for opened, source in product(ranges, rule.sources):
            yield ("port", rule.key), opened, source


def _opened_ssh(stack: Stack) -> Iterator[_Opening]:
    for source, port in product(stack.ssh_sources, stack.ssh_ports):
        yield ("ssh", str(source)), ("tcp", port, port), source


def _exposure(
    stack: Stack,
    facts: Mapping[str, Any],
    rule: tuple[str, str],
    opened: tuple[str, int, int],
    source: Source,
    ours: tuple[str, ...],
) -> Exposure:
    word = source.text.removeprefix(_TAG)
    return Exposure(
        address=_address(module_of(stack), facts, *rule),
        cloud=stack.cloud,
        stack=stack.name,
        protocol=opened[0],
        from_port=opened[1],
        to_port=opened[2],
        source=word if source.kind == "tag" else source.text,
        source_kind=_KINDS[source.kind],
        internet=reaches_internet(stack.cloud, source, ours),
    )


def _address(module: str, facts: Mapping[str, Any], name: str, key: str) -> str:
    """The address of the resource; a cloud of the user's own has only the name that every module uses."""
    known = facts.get(name, {"resource": name, "key": "rule"})
    place = f"module.{module}.{known['resource']}"
    return place if known["key"] == "none" else f"{place}[{quote(key)}]"


@lru_cache(maxsize=1)
def _facts() -> Mapping[str, Mapping[str, Any]]:
    facts: Mapping[str, Mapping[str, Any]] = read_yaml(str(_FACTS)).documents[0].data
    return facts
