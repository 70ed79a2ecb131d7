"""The addresses under which a cluster's ports are reached, in SkyPilot's shapes.

Facts: sky/client/cli/command.py:_show_endpoint, sky/provision/common.py:query_ports_passthrough
and sky/utils/resources_utils.py:port_ranges_to_set, SkyPilot 0.14.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from skyports_tf.outcomes import Node, StackStatus
from skyports_tf.ports import PortSet
from skyports_tf.report.rules import port_set


def head_of(nodes: Iterable[Node]) -> Node | None:
    """The head node, else the first; None where no node is known."""
    known = list(nodes)
    return next((node for node in known if node.is_head), known[0] if known else None)


def head_address(status: StackStatus) -> str | None:
    """The head's public address, else its private one; None where no node is known."""
    head = head_of(status.nodes)
    return (head.public_ip or head.private_ip) if head else None


def listed_ports(ports: PortSet) -> list[int]:
    """Single ports in the order in which `sky status --endpoints` lists them.

    That is the order of a CPython set that was filled range by range, which depends on the
    ports alone; it is not always ascending.
    """
    filled: set[int] = set()
    for item in ports:
        filled.update(range(item.first, item.last + 1))
    return list(filled)


def endpoint(address: str, port: int | str) -> str:
    """`ADDRESS:PORT`, with brackets around an IPv6 address; `port` may be a range's text."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def is_reachable(status: StackStatus) -> bool:
    """Whether it is known where the cluster's ports are reached."""
    return bool(status.endpoints) or head_address(status) is not None


def endpoints(status: StackStatus) -> Iterator[tuple[int, str]]:
    """Each open port with its endpoint, in SkyPilot's order; nothing where no address is known."""
    address = head_address(status)
    for port in listed_ports(port_set(status.rules)) if is_reachable(status) else ():
        text = _text(status, address, port)
        if text is not None:
            yield port, text


def endpoint_lines(status: StackStatus) -> Iterator[str]:
    """The lines of `--endpoints`."""
    return (f"{port}: {text}" for port, text in endpoints(status))


def one_endpoint(status: StackStatus, port: int) -> str | None:
    """What `--endpoint PORT` prints; None where the port is not open, or no address is known."""
    return _text(status, head_address(status), port) if port in port_set(status.rules) else None


def _text(status: StackStatus, address: str | None, port: int) -> str | None:
    return status.endpoints.get(str(port)) or (endpoint(address, port) if address else None)
