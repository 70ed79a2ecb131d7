"""Findings of the verbs that watch over clusters: `drift` and `reap`; see `codes`."""

from __future__ import annotations

from typing import Final

#: code -> (meaning, way out), one sentence each.
LIFE_CODES: Final[dict[str, tuple[str, str]]] = {
    # watching over clusters
    "drifted": (
        "The cloud differs from what the state of a stack says.",
        "`apply` takes back what was closed or changed; remove a foreign rule in the cloud, or `adopt` it.",
    ),
    "foreign-unseen": (
        "Nobody can list the cloud's rules through Terraform, so foreign ones would not be seen.",
        "Look at the group in the cloud's own console.",
    ),
    "to-reap": (
        "`reap --check` has found ports that nobody needs any more.",
        "Run `reap` without `--check`: it closes them.",
    ),
    "life-unknown": (
        "Nobody can tell whether a cluster still lives, so `reap` leaves it open.",
        "Run `reap` where SkyPilot knows the cluster, or `destroy` it.",
    ),
    "sky-silent": (
        "SkyPilot is there, but `sky status` says nothing that `reap` can use.",
        "Run `sky status --refresh` yourself, or say `--no-sky`.",
    ),
    "expiry-pending": (
        "Expired ports cannot be closed alone: the files ask for more than the state has.",
        "Look at `plan`, then `apply`: that closes the expired ports as well.",
    ),
}
