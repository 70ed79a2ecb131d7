"""The settings of one candidate: what SkyPilot checks beyond types, and where it runs.

Facts: sky/resources.py (Resources.__init__, copy, _set_accelerators), SkyPilot 0.14.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from skyports_tf.diagnostics import suggest
from skyports_tf.tasks import quantities
from skyports_tf.tasks.choices import Choice, is_memory_size
from skyports_tf.tasks.findings import Findings
from skyports_tf.tasks.infra import InfraError, Place, check_shape, known_cloud, parse_infra
from skyports_tf.tasks.mounts import check_volumes

WAIT_MODES: Final = ("jobs_and_ssh", "jobs", "none")
_GKE_TPUS: Final = frozenset(
    ["tpu-v4-podslice", "tpu-v5-lite-device", "tpu-v5-lite-podslice", "tpu-v5p-slice", "tpu-v6e-slice"]
)


def place_of(choice: Choice, findings: Findings) -> Place | None:
    """Where the candidate runs; None where findings tell why that is unclear."""
    values = choice.values
    infra, cloud = values.get("infra"), values.get("cloud")
    older = [key for key in ("cloud", "region", "zone") if values.get(key) is not None]
    if infra is not None and older:
        message = f"'infra' says it all: it cannot stand beside {', '.join(map(repr, older))}"
        findings.error("conflicting-keys", message, choice.at("infra"), key=True, help=f"remove {older[0]!r}")
        return None
    try:
        if isinstance(infra, str):
            return parse_infra(infra)
        named = known_cloud(cloud) if isinstance(cloud, str) else None
    except InfraError as error:
        findings.error(
            "bad-infra", str(error), choice.at("cloud" if infra is None else "infra"), help=error.help
        )
        return None
    if not all(isinstance(values.get(key), str | None) for key in ("infra", "cloud", "region", "zone")):
        return None
    return Place(named, values.get("region"), values.get("zone"))


def check_overlaid(base: Choice, findings: Findings) -> None:
    """Check what has to be right in `resources` even where every entry of `any_of` overrides it."""
    infra, cloud = base.values.get("infra"), base.values.get("cloud")
    for key, value, check in (("infra", infra, check_shape), ("cloud", cloud, known_cloud)):
        try:
            if isinstance(value, str):
                check(value)
        except InfraError as error:
            findings.error("bad-infra", str(error), base.at(key), help=error.help)
    _check_wait_mode(base, findings)


def check_settings(choice: Choice, place: Place, findings: Findings) -> None:
    """Check every setting of the candidate but its place, its ports and its accelerator."""
    values = choice.values
    _check_amounts(choice, place, findings)
    _check_word(choice, "disk_tier", quantities.DISK_TIERS, findings)
    _check_word(choice, "network_tier", quantities.NETWORK_TIERS, findings)
    _check_image(choice, findings)
    _check_autostop(choice, findings)
    volumes = values.get("volumes")
    if isinstance(volumes, list):
        check_volumes(volumes, choice.at("volumes"), findings)
        if volumes and choice.reuses_volumes:
            why = "'volumes' beside several entries of any_of or ordered"
            findings.crash(why, choice.at("volumes"), help="write 'volumes' in each entry")


def _check_amounts(choice: Choice, place: Place, findings: Findings) -> None:
    values = choice.values
    problems = {}
    if isinstance(values.get("cpus"), str | int | float):
        problems["cpus"] = quantities.cpus_problem(values["cpus"])
    if isinstance(values.get("memory"), str | int | float):
        problems["memory"] = quantities.memory_problem(values["memory"], place.cloud == "slurm")
    size = values.get("disk_size")
    # the schema has told of other numbers
    if isinstance(size, str | int) or (isinstance(size, float) and size.is_integer()):
        problems["disk_size"] = quantities.disk_size_problem(values["disk_size"])
    if isinstance(values.get("local_disk"), str):
        problems["local_disk"] = quantities.local_disk_problem(values["local_disk"])
    for key, problem in problems.items():
        if problem:
            findings.error("bad-value", f"{key!r} {problem}, not {values[key]!r}", choice.at(key))


def _check_word(choice: Choice, key: str, allowed: tuple[str, ...], findings: Findings) -> None:
    value = choice.values.get(key)
    if isinstance(value, str) and value.lower() not in allowed:
        help_text = suggest(value.lower(), allowed, f"one of {', '.join(allowed)}")
        findings.error("bad-value", f"no {key} {value!r}", choice.at(key), help=help_text)


def _check_autostop(choice: Choice, findings: Findings) -> None:
    autostop, at = choice.values.get("autostop"), choice.at("autostop")
    if isinstance(autostop, str) and (problem := quantities.minutes_problem(autostop)):
        findings.error("bad-value", f"'autostop' {problem}, not {autostop!r}", at)
    _check_wait_mode(choice, findings)


def _check_wait_mode(choice: Choice, findings: Findings) -> None:
    autostop, at = choice.values.get("autostop"), choice.at("autostop")
    mode = autostop.get("wait_for") if isinstance(autostop, dict) else None
    if isinstance(mode, str) and mode.lower() not in WAIT_MODES:
        help_text = suggest(mode.lower(), WAIT_MODES, f"one of {', '.join(WAIT_MODES)}")
        findings.error("bad-value", f"no wait_for {mode!r}", (*at, "wait_for"), help=help_text)


def _check_image(choice: Choice, findings: Findings) -> None:
    image, at = choice.values.get("image_id"), choice.at("image_id")
    if not isinstance(image, dict):
        return
    docker, regions = _split_image(image)
    texts = ([docker] if "docker" in image else []) + [
        part for pair in regions.items() for part in pair if part
    ]
    if not all(isinstance(text, str) for text in texts) or None in regions.values():
        findings.crash("image_id holds something that is no text", at, help="quote regions and images")
    elif docker is not None and any(str(text).startswith("docker:") for text in regions.values()):
        findings.error("conflicting-keys", "image_id names a Docker image twice", at, key=True)


def _split_image(image: Mapping[Any, Any]) -> tuple[Any, dict[Any, Any]]:
    """The Docker image, and the machine images by region; that of any region counts alone."""
    regions = {key: value for key, value in image.items() if key != "docker"}
    if None in regions:
        regions = {None: regions[None]}
    return image.get("docker"), regions


def check_image_copy(choice: Choice, place: Place, findings: Findings) -> None:
    """Refuse what SkyPilot refuses when it takes a task's resources over once more.

    On Kubernetes it has then made every machine image a Docker image, and there is another.
    """
    image = choice.values.get("image_id")
    if not isinstance(image, dict) or place.cloud not in ("kubernetes", "ssh"):
        return
    docker, regions = _split_image(image)
    if docker is not None and regions:
        message = "on Kubernetes, image_id cannot have 'docker' beside other images"
        findings.error("conflicting-keys", message, choice.at("image_id"), key=True)


def with_accelerator(choice: Choice, place: Place, findings: Findings) -> Place:
    """Check the accelerator; a TPU decides the cloud where it is open."""
    accelerator, at = choice.values.get("accelerators"), choice.at("accelerators")
    if accelerator in ([], {}):
        findings.crash("'accelerators' is empty", at, help="name one, or leave the key out")
    if not isinstance(accelerator, str) or is_memory_size(accelerator):
        return place
    if problem := quantities.accelerator_count_problem(accelerator):
        findings.error("bad-accelerator", problem, at, help="write NAME or NAME:COUNT, such as H100:8")
        return place
    name = accelerator.partition(":")[0]
    return _with_tpu(name, choice, place, findings) if "tpu" in name.lower() else place


def _with_tpu(name: str, choice: Choice, place: Place, findings: Findings) -> Place:
    on_gke = name in _GKE_TPUS
    cloud = place.cloud or ("kubernetes" if on_gke else "gcp")
    if cloud not in ("gcp", "kubernetes"):
        findings.crash(f"a TPU is on gcp or kubernetes, not on {cloud}", choice.at("accelerators"))
    arguments = choice.values.get("accelerator_args")
    as_machine = arguments.get("tpu_vm", True) if isinstance(arguments, dict) else True
    machine = choice.values.get("instance_type")
    if cloud == "gcp" and not on_gke and as_machine and machine not in (None, "TPU-VM"):
        message = f"a TPU machine has no instance_type, and this is {machine!r}"
        findings.error("conflicting-keys", message, choice.at("instance_type"), key=True)
    return Place(cloud, place.region, place.zone)
