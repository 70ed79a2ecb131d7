"""Pretend clouds under SkyPilot's own code, each as deep below it as its client library lets it be.

Google Cloud and Kubernetes: the real client libraries, with a pretend API behind HTTP. Nebius: the
messages of its real SDK, with a pretend service. Oracle Cloud: a stand-in of the parts of its SDK
that SkyPilot's code calls, for the SDK is half a gigabyte. The answers have the form that the APIs
document. A `world` is plain data, and so is what is left of it afterwards. Only driver.py imports
these modules, with the Python that has SkyPilot.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

World = dict[str, Any]
CLUSTER = "web"
NAME_ON_CLOUD = "web-a1b2c3d4"


def play(cloud: str, world: World, steps: list[tuple[str, list[str]]]) -> World:
    """What SkyPilot's code leaves of `world`, and as `calls` what it has changed.

    A step is `open` or `close` with ports, or `bootstrap`: SkyPilot's provision.open_ports,
    what it does to clean up, and on Nebius its bootstrap_instances, for the cluster web.
    """
    from sky import provision

    world = {**world, "calls": []}
    pretend = import_module(f"pretend.{cloud}")
    provider = pretend.begin(world)
    for step, ports in steps:
        if step == "bootstrap":
            provider = pretend.bootstrap(provider)
        elif step == "open":
            provision.open_ports(cloud, NAME_ON_CLOUD, ports, provider)
        else:
            # sky/backends/cloud_vm_ray_backend.py:post_teardown_cleanup
            provision.cleanup_ports(cloud, NAME_ON_CLOUD, ports, provider)
            provision.cleanup_cluster_resources(cloud, NAME_ON_CLOUD, provider)
    return world
