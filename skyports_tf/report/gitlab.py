"""What GitLab shows on a merge request: how many resources the plans create, update and delete."""

from __future__ import annotations

import json
from collections.abc import Iterable

from skyports_tf.outcomes import StackPlan
from skyports_tf.report.text import total_counts


def gitlab_text(plans: Iterable[StackPlan]) -> str:
    """The file of `artifacts:reports:terraform`: exactly three counts, summed over the stacks, on a line.

    A replacement counts as created and as deleted; see
    https://docs.gitlab.com/ee/user/infrastructure/iac/mr_integration.html.
    """
    counts = total_counts(plans)
    summed = {"create": counts.create, "update": counts.update, "delete": counts.delete}
    return json.dumps(summed, separators=(",", ":")) + "\n"
