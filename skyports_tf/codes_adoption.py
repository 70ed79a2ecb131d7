"""The findings of `adopt` and `release`: part of the table in codes.py."""

from __future__ import annotations

from typing import Final

#: code -> (meaning, way out), as in `CODES`.
ADOPTION_CODES: Final[dict[str, tuple[str, str]]] = {
    "nothing-to-adopt": (
        "Nothing is there under the names of the cluster that could be adopted.",
        "Check the cluster's name, `--infra` and the credentials.",
    ),
    "rule-foreign": (
        "The group has a rule that no rule of ours can say; it stays as it is, in no state.",
        "Remove it in the cloud if nobody needs it.",
    ),
    "tasks-set-aside": (
        "Tasks in the ledger had never been applied, and what is open was adopted without them.",
        "Compile them again: what they ask for takes the place of what was adopted.",
    ),
    "adoption-pending": (
        "An adoption was planned and has not been applied yet.",
        "Apply it with `adopt CLUSTER --yes`, or take it back with `release CLUSTER`.",
    ),
    "adoption-changes": (
        "Adopting would not leave everything as it is, so nothing was adopted.",
        "Apply or destroy what the stack holds already, then adopt.",
    ),
    "release-unsupported": (
        "Terraform is too old for `removed` blocks, which come with Terraform 1.7.",
        "Update Terraform, or run `terraform state rm module.ports` in the stack's folder.",
    ),
}
