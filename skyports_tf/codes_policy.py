"""Findings of the config's policy; see `codes`."""

from __future__ import annotations

from typing import Final

#: code -> (meaning, way out), one sentence each.
POLICY_CODES: Final[dict[str, tuple[str, str]]] = {
    # policy
    "policy-denied-port": (
        "A port is open that a rule of the policy denies.",
        "Take the port out of the task, or write a reviewed exception.",
    ),
    "policy-source": (
        "A port is open to somebody whom a rule of the policy does not allow.",
        "Name other sources (`sources`, `ssh_sources`, `--source`), or write a reviewed exception.",
    ),
    "policy-internet": (
        "A port is open to the internet, and is none of those that may be.",
        "Narrow its sources, list the port in the rule, or write a reviewed exception.",
    ),
    "policy-expiry": (
        "A port never closes, or stays open for longer than a rule of the policy allows.",
        "Set `expires` in the config, or say `--expires`; or write a reviewed exception.",
    ),
    "policy-tag": (
        "A tag is missing, or has a value that a rule of the policy does not allow.",
        "Set it under `tags` in the config, or write a reviewed exception.",
    ),
    "policy-too-many-ports": (
        "A stack opens more ports than a rule of the policy allows.",
        "Ask for fewer ports, forget a task, or write a reviewed exception.",
    ),
    "policy-excepted": (
        "Something breaks a rule of the policy, and a reviewed exception covers it.",
        "Nothing, until the exception ends.",
    ),
    "policy-exception-over": (
        "The time of an exception is over, so it has no effect any more.",
        "Remove it, or have it reviewed anew with a later date.",
    ),
    "policy-exception-unused": (
        "An exception covers nothing of the clusters that its glob matches.",
        "Remove it, or correct its cluster, ports or sources.",
    ),
}
