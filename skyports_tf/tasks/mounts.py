"""`file_mounts`, `volumes` and `volume_mounts`: what SkyPilot checks beyond types.

Facts: sky/task.py (Task.from_yaml_config, set_storage_mounts), sky/data/storage.py (Storage),
sky/resources.py (_set_volumes), sky/models.py (VolumeConfig), SkyPilot 0.14.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from skyports_tf.diagnostics import suggest
from skyports_tf.tasks.findings import Findings
from skyports_tf.text.nodes import KeyPath

STORES: Final = ("s3", "gcs", "azure", "r2", "ibm", "oci", "nebius", "coreweave", "vastdata", "hf", "volume")
MODES: Final = ("mount", "copy", "mount_cached")
PURPOSES: Final = ("model_checkpoint_ro", "model_checkpoint_rw", "dataset_ro", "dataset_rw")

_WORKDIR = "~/sky_workdir"
_VOLUME_TEXTS = ("name", "type", "cloud", "name_on_cloud")
_VOLUME_NULLABLE_TEXTS = ("region", "zone", "size")

Settings = Mapping[str, Any]


def check_file_mounts(data: Settings, findings: Findings) -> list[dict[str, Any]]:
    """Check the mounts of a task; gives the disks among them (`store: volume`) as volumes."""
    mounts = data.get("file_mounts")
    volumes = []
    for target, source in mounts.items() if isinstance(mounts, dict) else ():
        at = ("file_mounts", target)
        if is_disk(source):
            volumes.append(_volume_of(target, source, at, findings))
        elif isinstance(source, dict):
            _check_storage(source, at, findings)
            _check_target(target, data.get("workdir"), at, findings)
    return volumes


def is_disk(source: object) -> bool:
    """Whether a mount is a disk of the machine rather than a bucket or a path."""
    return isinstance(source, dict) and source.get("store") == "volume"


def _volume_of(target: str, source: Settings, at: KeyPath, findings: Findings) -> dict[str, Any]:
    volume = {"path": target, "auto_delete": not source.get("persistent", False)}
    if source.get("name"):
        volume["name"] = source["name"]
    details = source.get("config", {})
    if isinstance(details, dict):
        volume.update(details)
    else:
        findings.crash("the config of a volume is no mapping", (*at, "config"))
    return volume


def _check_storage(storage: Settings, at: KeyPath, findings: Findings) -> None:
    for key, allowed in (("store", STORES), ("mode", MODES), ("type", PURPOSES)):
        value = storage.get(key)
        if isinstance(value, str) and value.lower() not in allowed:
            help_text = suggest(value.lower(), allowed, f"one of {', '.join(allowed)}")
            findings.error("bad-value", f"no {key} {value!r}", (*at, key), help=help_text)
    mode = storage["mode"].lower() if isinstance(storage.get("mode"), str) else "mount"
    config = storage["config"] if isinstance(storage.get("config"), dict) else {}
    if storage.get("type") is not None and mode != "mount_cached":
        findings.error(
            "conflicting-keys", "'type' goes with mode: MOUNT_CACHED only", (*at, "type"), key=True
        )
    for key in ("mount_cached", "mount"):
        if config.get(key) is not None and mode != key:
            message = f"config.{key} goes with mode: {key.upper()} only"
            findings.error("conflicting-keys", message, (*at, "config", key), key=True)


def _check_target(target: str, workdir: object, at: KeyPath, findings: Findings) -> None:
    if not target:
        findings.crash("the path of a mount is empty", at)
    if target == _WORKDIR and workdir is not None:
        findings.error("conflicting-keys", f"{_WORKDIR} is where the workdir goes", at, key=True)
    try:
        remote = urlsplit(target).netloc
    except ValueError:
        remote = target
    if remote:
        findings.error("bad-value", "a mount's path cannot be an address in the cloud", at, key=True)


def check_volumes(volumes: list[Any], at: KeyPath, findings: Findings) -> None:
    """Check the extra disks of `resources.volumes`, or of mounts with `store: volume`."""
    for index, volume in enumerate(volumes):
        place = (*at, index)
        if not isinstance(volume, dict):
            continue
        if "path" not in volume:
            findings.error("missing-key", "a volume needs a 'path'", place)
        kind = volume.get("storage_type", "network")
        if isinstance(kind, str) and kind.lower() != "instance":
            _check_network_volume(volume, place, findings)


def _check_network_volume(volume: Settings, at: KeyPath, findings: Findings) -> None:
    if "name" not in volume:
        findings.error("missing-key", "a network volume needs a 'name'", at)
    if "disk_size" not in volume:
        return
    size = volume["disk_size"]
    if not isinstance(size, int | float):
        findings.crash(
            "the disk_size of a volume is no number",
            (*at, "disk_size"),
            help="write gigabytes, without a unit",
        )
    elif size != size or size in (float("inf"), -float("inf")) or round(size) != size:
        findings.error("bad-value", "the disk_size of a volume must be whole gigabytes", (*at, "disk_size"))


def check_volume_mounts(data: Settings, findings: Findings) -> None:
    """Check `volume_mounts`, which SkyPilot writes for itself."""
    mounts = data.get("volume_mounts")
    for index, mount in enumerate(mounts if isinstance(mounts, list) else ()):
        config = mount.get("volume_config") if isinstance(mount, dict) else None
        texts = config if isinstance(config, dict) else {}
        bad = [key for key in _VOLUME_TEXTS if not isinstance(texts.get(key), str)]
        bad += [key for key in _VOLUME_NULLABLE_TEXTS if not isinstance(texts.get(key, 0), str | None)]
        if bad:
            at = ("volume_mounts", index, "volume_config")
            findings.error("missing-key", f"volume_config needs texts for {', '.join(bad)}", at)
