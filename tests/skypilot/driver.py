"""SkyPilot at work, in its own environment: launches and shuts clusters down as its API server does.

Started by process.py with the Python that has SkyPilot. A command is a line of JSON on stdin, an
answer a line of JSON on the first stdout; what SkyPilot itself prints goes to stderr.

Everything from the task file to the cloud's API is SkyPilot's code: the backend looks at the
cluster that is there (`_check_existing_cluster`: the union of the ports), fills in the cluster's
template, provisions with failover (`_retry_zones`: bootstrap_instances, run_instances), opens the
ports (`_update_after_cluster_provisioned`) and tears down (`teardown_no_lock`: terminate_instances,
cleanup_ports). What is left out needs a real machine: the set-up of the nodes over SSH.
"""

from __future__ import annotations

import json
import os
import pathlib
import sys
import traceback
from typing import Any

INSTANCE_TYPE = "m5.large"

_answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)

import pretend  # noqa: E402 (beside this file)
import sky  # noqa: E402 (what it prints while it loads is no answer)
from sky import exceptions, global_user_state, skypilot_config  # noqa: E402
from sky.backends import backend_utils, cloud_vm_ray_backend  # noqa: E402
from sky.utils import common_utils, resources_utils, status_lib  # noqa: E402


def launch(task: str, cluster: str, image: str, config: str | None = None) -> dict[str, Any]:
    """`sky launch -c CLUSTER [--config CONFIG] TASK` up to the set-up of the nodes."""
    skypilot_config.apply_cli_config([config] if config else None)
    read = sky.Task.from_yaml(task)
    backend = cloud_vm_ray_backend.CloudVmRayBackend()
    # what the optimizer would choose
    chosen = next(iter(read.resources)).copy(instance_type=INSTANCE_TYPE, image_id=image)
    found = backend._check_existing_cluster(read, chosen, cluster)
    provisioner = cloud_vm_ray_backend.RetryingVmProvisioner(
        log_dir=str(_folder("log")),
        dag=None,
        optimize_target=None,
        requested_features=set(),
        local_wheel_path=_folder("wheel"),
        wheel_hash="0",
        is_managed=False,
        extra_launch_context={},
    )
    made = provisioner._retry_zones(
        found.resources,
        found.num_nodes,
        set(read.resources),
        dryrun=False,
        stream_logs=False,
        cluster_name=cluster,
        cloud_user_identity=None,
        prev_cluster_status=found.prev_cluster_status,
        prev_handle=found.prev_handle,
        prev_cluster_ever_up=found.prev_cluster_ever_up,
        skip_if_config_hash_matches=None,
        volume_mounts=None,
        task=read,
    )
    handle = made["handle"]
    backend._update_after_cluster_provisioned(
        handle, found.prev_handle, read, found.prev_cluster_status, made["config_hash"]
    )
    record = made["provision_record"]
    return {
        "ports": handle.launched_resources.ports,
        "zone": record.zone,
        "created": record.created_instance_ids,
        "name_on_cloud": handle.cluster_name_on_cloud,
    }


def down(cluster: str) -> dict[str, Any]:
    """`sky down CLUSTER`."""
    return _tear_down(cluster, terminate=True)


def stop(cluster: str) -> dict[str, Any]:
    """`sky stop CLUSTER`."""
    return _tear_down(cluster, terminate=False)


def _tear_down(cluster: str, *, terminate: bool) -> dict[str, Any]:
    handle = global_user_state.get_handle_from_cluster_name(cluster)
    backend = cloud_vm_ray_backend.CloudVmRayBackend()
    backend.teardown_no_lock(handle, terminate=terminate, refresh_cluster_status=False)
    return {"known": _known(cluster)}


def refresh(cluster: str) -> dict[str, Any]:
    """What the API server does of itself: look at the nodes, and clean up where they are gone."""
    backend_utils.refresh_cluster_record(cluster, force_refresh_statuses=set(status_lib.ClusterStatus))
    return {"known": _known(cluster)}


def cloud(
    cloud: str, world: dict[str, Any], steps: list[tuple[str, list[str]]], config: str | None = None
) -> dict[str, Any]:
    """What SkyPilot's code leaves of a pretend cloud: see pretend.py."""
    skypilot_config.apply_cli_config([config] if config else None)
    return pretend.play(cloud, world, steps)


def _known(cluster: str) -> bool:
    return global_user_state.get_cluster_from_name(cluster) is not None


def names(clusters: list[str], length: int | None) -> dict[str, Any]:
    """SkyPilot's name on the cloud of each cluster; null where it has none."""
    return {"names": [_name(cluster, length) for cluster in clusters]}


def _name(cluster: str, length: int | None) -> str | None:
    try:
        common_utils.check_cluster_name_is_valid(cluster)
        return str(common_utils.make_cluster_name_on_cloud(cluster, max_length=length))
    except (exceptions.InvalidClusterNameError, AssertionError):
        return None


def ports(files: list[str]) -> dict[str, Any]:
    """What SkyPilot makes of the ports of each task file: a list, null, or that it is refused."""
    return {"ports": [_ports(file) for file in files]}


def _ports(file: str) -> list[str] | str | None:
    try:
        task = sky.Task.from_yaml(file)
    except ValueError:
        return "refused"
    found: list[str] | None = next(iter(task.resources)).ports
    return found


def version() -> dict[str, Any]:
    """SkyPilot's version."""
    assert resources_utils.port_ranges_to_set(["1-2"]) == {1, 2}
    return {"version": sky.__version__}


def _folder(name: str) -> pathlib.Path:
    folder = pathlib.Path.home() / name
    folder.mkdir(exist_ok=True)
    return folder


_ALL = (launch, down, stop, refresh, cloud, names, ports, version)
COMMANDS = {command.__name__: command for command in _ALL}


def main() -> None:
    """Answer until stdin ends."""
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = COMMANDS[command.pop("do")](**command)
        except Exception as error:  # noqa: BLE001 (the test is told, whatever it was)
            # SkyPilot sets it to 0 for its users
            sys.tracebacklimit = 1000
            answer = {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
        _answers.write(json.dumps(answer) + "\n")
        _answers.flush()


if __name__ == "__main__":
    main()
