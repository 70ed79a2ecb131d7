"""Findings of `exposure`, which reads any Terraform code; see `codes`."""

from __future__ import annotations

from typing import Final

#: code -> (meaning, way out), one sentence each.
EXPOSURE_CODES: Final[dict[str, tuple[str, str]]] = {
    # who can reach what
    "internet-reaches": (
        "`exposure --asks` was asked about a port that the internet reaches.",
        "Close it, name who may reach it, or say in `exposure.ours` which public addresses are yours.",
    ),
    "exposed-to-internet": (
        "The internet reaches ports through a resource, as `exposure --format sarif` and `junit` tell.",
        "Close them, name who may reach them, or say in `exposure.ours` which public addresses are yours.",
    ),
    "exposure-input": (
        "What `exposure` was given is no task, stack, plan, state or Terraform code.",
        "Give it one of these; a saved plan is read as `terraform show -json PLAN`.",
    ),
    "exposure-unknown": (
        "A value is not known before the apply, so what a rule opens cannot be told in full.",
        "Look again after the apply, at the state.",
    ),
    "exposure-unread": (
        "A value of a rule is of a form that is not understood, so what it opens cannot be told in full.",
        "Look at the rule yourself, and tell us of it.",
    ),
    "exposure-unseen": (
        "A resource looks like a firewall, and what it opens is not known to `exposure`.",
        "Look at it yourself; docs/exposure.md lists what is known.",
    ),
    "exposure-elsewhere": (
        "What a resource opens hangs on another one, such as its load balancer, that is not in this code.",
        "Look at the other one, or give `exposure` the code of both.",
    ),
    "exposure-narrower": (
        "Network ACLs, network policies and the like may let in less than what groups open.",
        "Nothing needs to be done; docs/exposure.md says what is not weighed.",
    ),
    "exposure-bare": (
        "A machine has no firewall in this code, on a cloud where it is then open on every port.",
        "Put a firewall on it, here or where its network is made.",
    ),
    "exposure-default": (
        "A cloud has rules of its own beside a resource, in no code until somebody takes them over.",
        "Take them over, or name groups of your own.",
    ),
    "exposure-partial": (
        "A plan does not hold all of the code: it was made with `-target`, failed, or puts changes off.",
        "Make a whole plan, and look again.",
    ),
    "code-invalid": ("A .tf file is no HCL.", "Run `terraform validate`, and correct it."),
    "not-literal": (
        "A value in a .tf file is not literal, so what it opens can only be told from a plan.",
        "Give `exposure` the JSON of a plan: `terraform show -json PLAN`.",
    ),
}
