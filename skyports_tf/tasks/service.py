"""`service` and `pool` of a task: what SkyPilot checks beyond types, and the port served.

Facts: sky/serve/service_spec.py (SkyServiceSpec.from_yaml_config, __init__), SkyPilot 0.14.1.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from skyports_tf.ports import FIRST_PORT, LAST_PORT
from skyports_tf.tasks.findings import Findings

_INSTANCE_AWARE = "instance_aware_least_load"
#: Keys of `service` that a pool cannot have.
_NOT_IN_POOL = ("load_balancing_policy", "ports", "tls")

Settings = Mapping[str, Any]


def check_service(data: Settings, findings: Findings) -> int | None:
    """Check the service or the pool of a task; the service's own port, where it names one."""
    service, pool = data.get("service"), data.get("pool")
    if service is not None and pool is not None:
        findings.error("conflicting-keys", "a task has either 'service' or 'pool'", ("pool",), key=True)
    if isinstance(service, dict):
        return _check_service(service, findings)
    if isinstance(pool, dict):
        _check_pool(pool, ("pool",), findings)
    return None


def _check_service(service: Settings, findings: Findings) -> int | None:
    _check_probe(service, findings)
    _check_replicas(service, findings)
    # SkyPilot does not look at the policy of a service with 'workers'
    if isinstance(service.get("replica_policy"), dict) and service.get("workers") is None:
        _check_policy(service["replica_policy"], service.get("load_balancing_policy"), findings)
    elif service.get("load_balancing_policy") == _INSTANCE_AWARE:
        at = ("service", "load_balancing_policy")
        findings.error("missing-key", f"{_INSTANCE_AWARE} needs replica_policy.target_qps_per_replica", at)
    if isinstance(service.get("pool"), dict):
        _check_pool_within(service, findings)
    return _served_port(service, findings)


def _check_probe(service: Settings, findings: Findings) -> None:
    if "readiness_probe" not in service:
        return
    probe, at = service["readiness_probe"], ("service", "readiness_probe")
    if probe is None:
        findings.crash(
            "readiness_probe is empty", at, help="write a path such as /health, or leave the key out"
        )
    path = probe.get("path") if isinstance(probe, dict) else probe
    if isinstance(path, str) and not path.startswith("/"):
        findings.error("bad-value", f"the readiness path {path!r} must begin with '/'", at)
    data = probe.get("post_data") if isinstance(probe, dict) else None
    if isinstance(data, str):
        try:
            json.loads(data)
        except ValueError:
            findings.error("bad-value", "post_data is a text, and no JSON", (*at, "post_data"))


def _check_replicas(service: Settings, findings: Findings) -> None:
    if "replicas" in service and "replica_policy" in service:
        message = "a service has either 'replicas' or 'replica_policy'"
        findings.error("conflicting-keys", message, ("service", "replicas"), key=True)
    if service.get("replicas") is not None and service.get("workers") is not None:
        message = "a service has either 'replicas' or 'workers'"
        findings.error("conflicting-keys", message, ("service", "workers"), key=True)


def _check_policy(policy: Settings, balancing: object, findings: Findings) -> None:
    at = ("service", "replica_policy")
    least: Any = policy.get("min_replicas")
    most: Any = policy.get("max_replicas")
    rate = policy.get("target_qps_per_replica")
    if _is_less(most, least):
        findings.error(
            "bad-value", f"max_replicas {most} is less than min_replicas {least}", (*at, "max_replicas")
        )
    if rate is not None and most is None:
        findings.error(
            "missing-key", "target_qps_per_replica needs max_replicas", (*at, "target_qps_per_replica")
        )
    if rate is None and most is not None and most != least and not _is_less(most, least):
        help_text = "add target_qps_per_replica, which scaling needs"
        findings.error(
            "missing-key", "min_replicas and max_replicas differ", (*at, "max_replicas"), help=help_text
        )
    if isinstance(rate, dict) != (balancing == _INSTANCE_AWARE):
        message = (
            f"a rate per accelerator goes with load_balancing_policy: {_INSTANCE_AWARE}, and only with it"
        )
        findings.error("conflicting-keys", message, at, key=True)


def _check_pool_within(service: Settings, findings: Findings) -> None:
    pool, at = service["pool"], ("service", "pool")
    if not pool:
        findings.error("missing-key", "a pool needs 'workers', or 'min_workers' and 'max_workers'", at)
        return
    probe = service.get("readiness_probe")
    within = probe if isinstance(probe, dict) else {}
    unwanted = [key for key in (*_NOT_IN_POOL, "replicas", "replica_policy") if service.get(key) is not None]
    unwanted += [f"readiness_probe.{key}" for key in ("post_data", "headers") if within.get(key) is not None]
    if unwanted:
        findings.error("conflicting-keys", f"a pool cannot have {', '.join(unwanted)}", at, key=True)
    _check_pool(pool, at, findings, service.get("workers"))


def _check_pool(pool: Settings, at: tuple[str, ...], findings: Findings, workers: object = None) -> None:
    least: Any = pool.get("min_workers")
    most: Any = pool.get("max_workers")
    workers = pool.get("workers", workers)
    if least is None and most is None and workers is None:
        findings.error(
            "missing-key", "a pool needs 'workers', or 'min_workers' and 'max_workers'", at, key=True
        )
    if most is None:
        for key in (
            "queue_length_threshold",
            "min_workers",
            "upscale_delay_seconds",
            "downscale_delay_seconds",
        ):
            if pool.get(key) is not None:
                findings.error("missing-key", f"{key} needs max_workers", (*at, key), key=True)
        return
    lowest: Any = next((item for item in (least, workers) if _is_number(item)), 1)
    if _is_less(most, lowest):
        findings.error("bad-value", f"max_workers {most} is less than {lowest}", (*at, "max_workers"))


def _served_port(service: Settings, findings: Findings) -> int | None:
    port, at = service.get("ports"), ("service", "ports")
    if isinstance(port, float) and port.is_integer():
        findings.crash(f"the port {port} is no whole number", at, help=f"write {int(port)}")
    if not isinstance(port, int) or isinstance(port, bool):
        return None
    if not FIRST_PORT <= port <= LAST_PORT:
        findings.error("bad-port", f"a port is a number from {FIRST_PORT} to {LAST_PORT}", at)
    return port


def _is_less(most: Any, least: Any) -> bool:
    return _is_number(most) and _is_number(least) and bool(most < least)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
