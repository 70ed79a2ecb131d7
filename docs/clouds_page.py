"""docs/clouds.md: what the manifests know of each cloud, and why the others cannot be had."""

from __future__ import annotations

import re
from collections.abc import Sequence

from docs.markdown import table
from skyports_tf.clouds import Cloud, load_cloud, managed_clouds, unmanaged_clouds

INTRODUCTION = """\
# Clouds

What is known of each cloud, from its manifest in templates/. A limit that nobody has verified
says so; most can be raised by the setting that is named, which [configuration.md](configuration.md)
explains. [adding-a-cloud.md](adding-a-cloud.md) shows how one more is added.

`skyports-tf clouds` shows the same, `skyports-tf names CLUSTER` what the objects of a cluster are
called.

What is "seen in the cloud" is known whatever Terraform's state says. `drift`, `adopt`, `reap` and
`destroy` ask for it: rules of others, objects that an interrupted apply left behind, nodes that are
gone. What cannot be seen is unknown, and is never taken for gone or closed.
"""

LINES = """\
## What the config must name

`skyports-tf compile examples/*.yaml --infra INFRA` works with these lines in `skyports.yaml`; what
cannot be guessed has to be named, with your own values:

| cloud | INFRA | `skyports.yaml` |
|---|---|---|
| AWS | `aws/us-east-1` | |
| Azure | `azure/eastus` | |
| DigitalOcean | `do` | |
| Google Cloud | `gcp` | `gcp: {project: my-project}` |
| IBM Cloud | `ibm/us-south` | `ibm: {security_groups: {"*": r006-0717e1a2-5b3c-4d1e-9f00-8a7b6c5d4e3f}}` |
| Kubernetes | `kubernetes` | |
| Nebius | `nebius` | `nebius: {project_id: project-e00abc, network_id: vpcnetwork-e00abc}` |
| Oracle Cloud | `oci/us-ashburn-1` | `oci: {compartment_id: ocid1.compartment.oc1..aaaa}` |

All but AWS and IBM also need SkyPilot's user hash, which its clusters' names hold: it is read from
`~/.sky/user_hash` where SkyPilot has run, or named as `user_hash` or `SKYPILOT_USER_ID`.
"""

OTHERS = """\
## SkyPilot's other clouds

Their ports cannot be managed: `compile` refuses a task for one of them, and leaves it out with a
warning where the task has candidates elsewhere.
"""

PORTS = {"range": "one port range", "ranges": "port ranges", "single": "single ports"}
SOURCES = {"one": "one source", "family": "sources of one family", "mixed": "sources"}

#: What a probe looks at, by the name of its output.
FACETS = {
    "nodes": "the nodes",
    "objects": "the objects of the module",
    "rules": "the rules that are open",
    "holders": "what keeps them from being deleted",
    "leftovers": "what is left after a destroy",
}


def clouds_page() -> str:
    """The page: the clouds at a glance, one after another, and those that cannot be had."""
    clouds = [load_cloud(name) for name in managed_clouds()]
    alike: dict[tuple[str, str], list[str]] = {}
    for other in unmanaged_clouds().values():
        alike.setdefault((other.reason, other.instead), []).append(other.name)
    others = [(", ".join(names), *facts) for facts, names in alike.items()]
    parts = [INTRODUCTION, _glance(clouds), LINES, *map(_part, clouds), OTHERS]
    return "\n".join([*parts, table(("clouds", "why", "instead"), others)])


def _glance(clouds: Sequence[Cloud]) -> str:
    rows = [
        (
            f"[{cloud.name}](#{re.sub('[^a-z0-9-]', '', cloud.title.lower().replace(' ', '-'))})",
            cloud.objects,
            _holds(cloud),
            ", ".join(_amount(cloud, name) for name in cloud.limits if not name.endswith("_per_rule")),
            ", ".join(f"`{cloud.name}.{name}`" for name in cloud.required_settings),
        )
        for cloud in clouds
    ]
    return table(("cloud", "objects", "a rule holds", "rules at most", "the config must name"), rows)


def _part(cloud: Cloud) -> str:
    names = [f"{kind.replace('_', ' ')} {_patterns(cloud, kind)}" for kind in cloud.object_names]
    facts = [
        ("provider", f"{cloud.provider.source} {cloud.provider.version}"),
        ("objects", cloud.objects),
        ("names", ", ".join(names) or "SkyPilot's, which cannot be derived"),
        ("attachment", cloud.found_by),
        ("beside SkyPilot", cloud.takeover),
        ("a rule holds", _holds(cloud)),
        ("sources", ", ".join(cloud.sources).replace("_", " ")),
        ("protocols", ", ".join(cloud.protocols)),
        ("modes", ", ".join(cloud.modes)),
        ("seen in the cloud", _seen(cloud)),
    ]
    limits = [
        (
            limit.quota,
            _amount(cloud, name),
            limit.source,
            f"`{cloud.name}.{limit.setting}`" * bool(limit.setting),
        )
        for name, limit in cloud.limits.items()
    ]
    heads = ("limit", "value", "known from", "raised by")
    return "\n".join([f"## {cloud.title}\n", table(("", f"`{cloud.name}`"), facts), table(heads, limits)])


def _seen(cloud: Cloud) -> str:
    """What a probe sees there, and what it cannot see and why."""
    seen = [words for facet, words in FACETS.items() if facet not in cloud.blind]
    reasons: dict[str, list[str]] = {}
    for facet, words in FACETS.items():
        if facet in cloud.blind:
            reasons.setdefault(cloud.blind[facet], []).append(words)
    unseen = [f"not {_listed(facets)}: {reason}" for reason, facets in reasons.items()]
    return "; ".join([_listed(seen), *unseen] if seen else unseen)


def _listed(words: Sequence[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def _patterns(cloud: Cloud, kind: str) -> str:
    patterns = dict.fromkeys(cloud.object_names[kind].values())
    return " or ".join(f"`{pattern}`" for pattern in patterns)


def _holds(cloud: Cloud) -> str:
    shape = cloud.shape
    ports, sources = (
        f"up to {most} {words}" if most else words
        for most, words in (
            (shape.ports_max, PORTS[shape.ports]),
            (shape.sources_max, SOURCES[shape.sources]),
        )
    )
    alone = f", or one {' or '.join(shape.alone)}" if shape.alone else ""
    return f"{ports}{' of TCP and of UDP' if shape.many_protocols else ''}, {sources}{alone}"


def _amount(cloud: Cloud, name: str) -> str:
    limit = cloud.limits[name]
    apart = " for each family" if limit.families_apart else ""
    return f"{limit.value}{apart}{', unverified' if limit.unverified else ''}"
