"""A sample repository end to end: what its people do with git, and what the emitted pipelines make of it.

The workflow is the one that `ci github` wrote, run job after job by `tests/support/github.py`; Terraform, the
AWS provider, git and the states in S3 are real, and the cloud is moto.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.github import GitHub, Run
from tests.support.gitlab import GitLab, Pipeline
from tests.support.local_aws import MotoServer, ec2, launch_nodes
from tests.support.pipelines import read
from tests.support.sample import USER_HASH, Sample, key_of, sample_repository

WEST = "us-west-2"
JUPYTER, LLM = key_of("jupyter", "aws-us-east-1"), key_of("llm", "aws-us-east-1")
TENSORBOARD = key_of("tensorboard", f"aws-{WEST}")
ANYWHERE, INSIDE = "0.0.0.0/0", "10.0.0.0/8"
PLAN, SHOWN = "skyports.tfplan", "skyports.tfplan.json"


def test_a_pull_request_and_its_pipeline(aws: MotoServer, tmp_path: Path) -> None:
    github = GitHub(tmp_path / "github")
    sample = sample_repository(tmp_path / "clone", github.origin, aws)
    the_first_apply_is_started_by_hand(github, sample)
    reviewed = a_pull_request_is_checked_and_planned(github, sample)
    one_that_breaks_the_policy_fails_at_its_line(github, sample)
    what_was_merged_is_what_was_reviewed_and_that_is_applied(github, sample, reviewed)
    what_moved_since_its_review_is_not_applied(github, sample)
    gitlab_does_the_same(GitLab(tmp_path / "gitlab", github.origin, github.programs), sample)
    what_nobody_needs_any_more_is_closed(github, sample)


def the_first_apply_is_started_by_hand(github: GitHub, sample: Sample) -> None:
    run = github.on_main("workflow_dispatch")
    assert run.results == {"prepare": "success", "apply": "success"}
    assert sample.open_ports("jupyter") == {(8888, ANYWHERE), (22, INSIDE)}
    assert sample.open_ports("tensorboard", WEST) == {(6006, INSIDE), (22, INSIDE)}
    # no lock was left behind
    assert sample.states().keys() == {JUPYTER, TENSORBOARD}
    for cluster, region in (("jupyter", "us-east-1"), ("tensorboard", WEST)):
        launch_nodes(sample.aws.url, f"{cluster}-{USER_HASH}", 1, region)


# -- a pull request --------------------------------------------------------------------


def a_pull_request_is_checked_and_planned(github: GitHub, sample: Sample) -> Run:
    before = sample.states()
    sample.branch("llm")
    sample.task("jupyter", "us-east-1", "[8888, 8889]")
    sample.task("llm", "us-east-1", "[443, 8000-8010]", "tasks/serving/llm.yaml")
    sample.push("An endpoint for the LLM, and a second JupyterLab")
    run = github.pull_request("llm", "check")
    assert run.results == {"check": "failure"}
    assert {item["ruleId"] for item in findings(run)} == {"tree-outdated"}
    told = {place(item)[0] for item in findings(run)}
    # of the task that nobody has compiled, too
    assert told >= {f"infra/{cluster}/aws-us-east-1/main.tf" for cluster in ("jupyter", "llm")}

    sample.compile()
    sample.push("Compiled")
    run = github.pull_request("llm")
    assert run.results == {"check": "success", "plan": "success", "comment": "success"}
    assert findings(run) == []
    (comment,) = github.comments("llm")
    shown = github.artifact(run, "skyports-reviewed")
    # the plans themselves, which hold what the state holds, stay where they were made
    assert files(shown) == [
        "comment.md",
        f"plans/jupyter/aws-us-east-1/{SHOWN}",
        f"plans/llm/aws-us-east-1/{SHOWN}",
    ]
    assert run.job("plan").summary == (shown / "comment.md").read_text()
    assert comment == f"<!-- skyports -->\n{run.job('plan').summary}"
    headline = "Opens tcp/443 and tcp/8000-8010 to `10.0.0.0/8` on llm, tcp/8889 to `10.0.0.0/8` on jupyter"
    assert f"\n### {headline}" in comment
    # it was planned against the state: what is open already stays
    assert "8888" not in comment.split("#### Exposure")[0]
    assert "tensorboard" not in comment
    assert sample.states() == before and sample.group("llm") is None
    return run


def one_that_breaks_the_policy_fails_at_its_line(github: GitHub, sample: Sample) -> None:
    sample.branch("database")
    sample.task("tensorboard", WEST, "[6006, 5432]")
    sample.push("A database beside the TensorBoard")
    run = github.pull_request("database")
    assert run.results == {"check": "failure", "plan": "failure", "comment": "success"}
    told = "tasks/tensorboard.yaml:4:17: error[policy-denied-port]: policy 'no-databases'"
    assert told in run.job("check").log
    (result,) = (item for item in findings(run) if item["level"] == "error")
    assert result["ruleId"] == "policy-denied-port/no-databases"
    assert place(result) == ("tasks/tensorboard.yaml", 4, 17)
    (comment,) = github.comments("database")
    assert "tasks/tensorboard.yaml:4" in comment and "no-databases" in comment


# -- after the merge -------------------------------------------------------------------


def what_was_merged_is_what_was_reviewed_and_that_is_applied(
    github: GitHub, sample: Sample, reviewed: Run
) -> None:
    before = sample.states()
    github.run_of_a_fork("llm")
    run = github.merge("llm")
    assert run.results == {"prepare": "success", "apply": "success"}
    told = [job.summary for job in run.jobs["apply"]]
    assert [text.startswith("```\n") and text.endswith("\n```\n") for text in told] == [True, True]
    assert "Applied:    1 opened" in told[0] and "Applied:    2 opened" in told[1]
    plans = github.artifact(run, "skyports-plans")
    for stack in ("jupyter/aws-us-east-1", "llm/aws-us-east-1"):
        assert (plans / stack / PLAN).is_file()
        assert fingerprint(plans / stack) == fingerprint(
            github.artifact(reviewed, "skyports-reviewed") / "plans" / stack
        )
    assert sample.open_ports("jupyter") == {(8888, ANYWHERE), (8889, INSIDE), (22, INSIDE)}
    assert sample.open_ports("llm") == {(443, INSIDE), (8000, INSIDE), (22, INSIDE)}
    after = sample.states()
    assert after.keys() == {JUPYTER, LLM, TENSORBOARD}
    assert after[TENSORBOARD] == before[TENSORBOARD]
    # the plans are there still, and the states have moved on
    again = github.run_again(run, "apply")
    assert [job.result for job in again] == ["failure", "failure"]
    assert all("Saved plan is stale" in job.log for job in again)
    assert sample.states() == after


def what_moved_since_its_review_is_not_applied(github: GitHub, sample: Sample) -> None:
    sample.branch("profiler")
    sample.task("tensorboard", WEST, "[6006, 6009]")
    sample.compile()
    sample.push("A profiler")
    assert github.pull_request("profiler").conclusion == "success"
    # somebody helps himself
    client, group = ec2(sample.aws.url, WEST), sample.group("tensorboard", WEST)["GroupId"]
    client.authorize_security_group_ingress(
        GroupId=group, IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp=ANYWHERE
    )
    client.revoke_security_group_ingress(
        GroupId=group, IpProtocol="tcp", FromPort=6006, ToPort=6006, CidrIp=INSIDE
    )

    run = github.on_main("schedule", cron=upkeep(sample, 1))
    assert run.results == {"drift": "failure"}
    job = run.job("drift")
    assert "- closed   tcp 6006" in job.summary and "! foreign  tcp 22" in job.summary
    assert "error[drifted]: tensorboard-aws-us-west-2" in job.log
    assert "jupyter-aws-us-east-1  in sync" in job.summary

    run = github.merge("profiler")
    assert run.results == {"prepare": "failure"}
    assert (
        "error[plan-unreviewed]: tensorboard-aws-us-west-2: the plan is not the one" in run.job("prepare").log
    )
    assert sample.open_ports("tensorboard", WEST) == {(22, ANYWHERE), (22, INSIDE)}


def gitlab_does_the_same(gitlab: GitLab, sample: Sample) -> None:
    """Merge requests: one breaks the policy, one closes a cluster; and what was merged, started by hand."""
    request = gitlab.merge_request("database")
    assert request.codes == {"skyports:check": 1, "skyports:plan": 1}
    report = (request.done["skyports:check"].kept / "artifacts/skyports-junit.xml").read_text()
    assert "tasks/tensorboard.yaml:4" in report and "no-databases" in report

    sample.branch("retire")
    sample.retire("tasks/serving/llm.yaml")
    sample.push("The LLM is not needed any more")
    request = gitlab.merge_request("retire")
    assert request.codes == {"skyports:check": 0, "skyports:plan": 0}
    everything = len(sample.states()[LLM]["resources"])
    assert counts(request, "skyports:plan")["delete"] >= everything - 1 > 0
    sample.merge("retire")

    started = gitlab.on_main("web")
    assert started.codes == {"skyports:prepare": 0}
    assert counts(started, "skyports:prepare") == {**counts(request, "skyports:plan"), "create": 2}
    kept = started.done["skyports:prepare"].kept / "artifacts"
    stacks = ("llm/aws-us-east-1", f"tensorboard/aws-{WEST}")
    assert files(kept / "infra") == [f"{stack}/{name}" for stack in stacks for name in (PLAN, SHOWN)]
    assert len(started.manual) == 3
    for stack in stacks:
        assert gitlab.play(started, f"skyports:apply {stack}").code == 0
    assert sample.group("llm") is None and sample.states()[LLM]["resources"] == []
    assert sample.open_ports("tensorboard", WEST) == {
        (6006, INSIDE),
        (6009, INSIDE),
        (22, INSIDE),
        (22, ANYWHERE),
    }
    stale = gitlab.play(started, f"skyports:apply tensorboard/aws-{WEST}")
    assert stale.code == 3 and "Saved plan is stale" in stale.log


def what_nobody_needs_any_more_is_closed(github: GitHub, sample: Sample) -> None:
    client = ec2(sample.aws.url, WEST)
    nodes = [
        item["InstanceId"]
        for found in client.describe_instances()["Reservations"]
        for item in found["Instances"]
    ]
    client.terminate_instances(InstanceIds=nodes)
    cron = upkeep(sample, 0)
    assert github.on_main("schedule", cron=cron).results == {"reap": "success"}
    assert sample.open_ports("tensorboard", WEST)
    twenty_minutes_later(github)
    run = github.on_main("schedule", cron=cron)
    assert run.results == {"reap": "success"}
    assert "nothing is left" in run.job("reap").summary
    assert sample.group("tensorboard", WEST) is None
    states = sample.states()
    assert states[TENSORBOARD]["resources"] == []
    assert states.keys() == {JUPYTER, LLM, TENSORBOARD}
    # a node of this one lives
    assert sample.open_ports("jupyter") == {(8888, ANYWHERE), (8889, INSIDE), (22, INSIDE)}


# -- what the steps left behind --------------------------------------------------------


def findings(run: Run) -> list[dict[str, Any]]:
    """The results in the SARIF that the check has shown."""
    report = json.loads((run.job("check").kept / "temp/skyports.sarif").read_text())
    (found,) = report["runs"]
    results: list[dict[str, Any]] = found["results"]
    return results


def counts(pipeline: Pipeline, job: str) -> dict[str, int]:
    """GitLab's report of a job."""
    found: dict[str, int] = json.loads((pipeline.done[job].kept / "artifacts/skyports-plan.json").read_text())
    return found


def place(result: dict[str, Any]) -> tuple[Any, ...]:
    found = result["locations"][0]["physicalLocation"]
    region = found.get("region", {})
    return (found["artifactLocation"]["uri"], *filter(None, map(region.get, ("startLine", "startColumn"))))


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def fingerprint(stack: Path) -> str:
    return str(json.loads((stack / SHOWN).read_text())["fingerprint"])


def upkeep(sample: Sample, number: int) -> str:
    """A line of the schedule: reap's, and drift's."""
    workflow = read(sample.folder / ".github/workflows/skyports-upkeep.yml")
    return str(workflow["on"]["schedule"][number]["cron"])


def twenty_minutes_later(github: GitHub) -> None:
    """What the pipeline has noted of clusters without nodes becomes that much older."""
    newest = max((github.home / "caches").iterdir(), key=lambda path: int(path.name.split("@")[0]))
    for path in newest.iterdir():
        mark = json.loads(path.read_text())
        if mark["empty_since"]:
            since = datetime.strptime(mark["empty_since"], "%Y-%m-%dT%H:%M:%SZ") - timedelta(minutes=20)
            path.write_text(json.dumps({**mark, "empty_since": f"{since:%Y-%m-%dT%H:%M:%SZ}"}))
