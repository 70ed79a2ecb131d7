"""Plans that are saved by one process and applied by another: as they were shown, or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyports_tf.diagnostics import FindingsError
from skyports_tf.outcomes import PortChanges, PortRule, ResourceCounts, RuleChange, StackPlan
from skyports_tf.running.planfiles import PLAN_FILE, SHOWN_FILE
from skyports_tf.running.plans import paths_of
from skyports_tf.running.saved import keep_shown, plan_fingerprint, saved_plan, unreviewed
from tests.support.command_line import call, valid
from tests.support.pretend_terraform import pretend_terraform
from tests.support.project import Project, tree_of
from tests.support.stacks import ANYWHERE, aws_stack, rule

STACK = aws_stack(rule("8888"))
RULES = st.builds(
    PortRule,
    st.sampled_from(["tcp", "udp"]),
    st.integers(1, 9),
    st.integers(10, 20),
    st.lists(st.sampled_from([ANYWHERE, "10.0.0.0/8", "::/0"]), min_size=1, unique=True).map(tuple),
    st.just(("web.yaml",)),
)
SETS = st.lists(RULES, max_size=3).map(tuple)
PLANS = st.builds(
    StackPlan,
    st.just(STACK),
    st.builds(PortChanges, SETS, st.lists(st.builds(RuleChange, RULES, RULES), max_size=2).map(tuple), SETS),
    st.builds(ResourceCounts, st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)),
    outputs_changed=st.booleans(),
    ssh=SETS,
    opening=st.lists(st.lists(st.text(min_size=1), min_size=1).map(tuple), max_size=2).map(tuple),
    shown=st.lists(st.tuples(st.text(min_size=1), st.sampled_from(["create", "delete"])), max_size=3).map(
        tuple
    ),
    files_digest=st.text("0123456789abcdef", min_size=64, max_size=64),
)


def save(out: Path, plan: StackPlan, content: bytes = b"a plan") -> StackPlan:
    """What `plan` leaves in the stack's folder: the file, and what it was shown to do."""
    folder = out / plan.stack.directory
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PLAN_FILE).write_bytes(content)
    saved = replace(plan, plan_file=str(folder / PLAN_FILE), plan_digest=hashlib.sha256(content).hexdigest())
    keep_shown(paths_of(str(out), plan.stack), saved)
    return saved


def opening(first: int, *sources: str) -> StackPlan:
    changes = PortChanges(open=(PortRule("tcp", first, first, sources or (ANYWHERE,), ("web.yaml",)),))
    return StackPlan(STACK, changes, ResourceCounts(create=1), shown=((f"rule[{first}]", "create"),))


@given(plan=PLANS)
def test_a_saved_plan_reads_as_it_was_shown(
    plan: StackPlan, tmp_path_factory: pytest.TempPathFactory
) -> None:
    out = tmp_path_factory.getbasetemp() / "infra"
    saved = save(out, plan)
    assert saved_plan(str(out), STACK) == saved


def test_what_is_kept_is_gone_with_the_plan(tmp_path: Path) -> None:
    save(tmp_path, opening(80))
    keep_shown(paths_of(str(tmp_path), STACK), StackPlan(STACK, PortChanges(), ResourceCounts()))
    assert not (tmp_path / STACK.directory / SHOWN_FILE).exists()
    assert [path.name for path in (tmp_path / STACK.directory).iterdir()] == [PLAN_FILE]


def test_no_plan_is_no_finding(tmp_path: Path) -> None:
    assert saved_plan(str(tmp_path), STACK) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / PLAN_FILE).write_bytes(b"another plan"),
        lambda folder: (folder / SHOWN_FILE).unlink(),
        lambda folder: (folder / SHOWN_FILE).write_text("{"),
        lambda folder: (folder / SHOWN_FILE).write_text("[]"),
        lambda folder: (folder / SHOWN_FILE).write_text('{"version": 2}'),
        lambda folder: (folder / SHOWN_FILE).write_text(
            (folder / SHOWN_FILE).read_text().replace('"version": 1', '"version": 9')
        ),
        lambda folder: (folder / SHOWN_FILE).write_text(
            (folder / SHOWN_FILE).read_text().replace(STACK.directory, "other/aws")
        ),
    ],
    ids=["the plan", "gone", "no JSON", "no mapping", "no version", "another version", "another stack"],
)
def test_a_plan_that_is_not_the_one_that_was_shown_is_refused(spoil, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    save(tmp_path, opening(80))
    spoil(tmp_path / STACK.directory)
    with pytest.raises(FindingsError) as refused:
        saved_plan(str(tmp_path), STACK)
    assert [item.code for item in refused.value.diagnostics] == ["plan-replaced"]


@given(PLANS, PLANS)
def test_plans_have_one_fingerprint_where_they_do_the_same(one: StackPlan, other: StackPlan) -> None:
    def does(plan: StackPlan) -> object:
        def words(found: PortRule) -> object:
            return found.protocol, found.from_port, found.to_port, sorted(found.sources)

        changes = plan.changes
        pairs = [(words(item.before), words(item.after)) for item in changes.change]
        rules = [list(map(words, found)) for found in (changes.open, changes.close, plan.ssh)]
        return rules, pairs, sorted(plan.shown), plan.outputs_changed

    assert (plan_fingerprint(one) == plan_fingerprint(other)) == (does(one) == does(other))
    elsewhere = replace(one, plan_digest="f" * 64, files_digest="0" * 64, plan_file="elsewhere")
    assert plan_fingerprint(elsewhere) == plan_fingerprint(one)


def test_what_was_reviewed_passes_and_nothing_else_does(tmp_path: Path) -> None:
    save(tmp_path / "reviewed", opening(80))
    same = save(tmp_path / "infra", opening(80), b"the same plan, made again")
    wider = save(tmp_path / "infra", opening(80, "::/0"))
    found = unreviewed([same, wider], tmp_path / "reviewed")
    assert [(item.code, item.path) for item in found] == [("plan-unreviewed", wider.plan_file)]
    assert "not the one that was reviewed" in found[0].message
    assert "nobody reviewed" in unreviewed([same], tmp_path / "nowhere")[0].message
    empty = StackPlan(STACK, PortChanges(), ResourceCounts())
    assert unreviewed([empty], tmp_path / "nowhere") == []


def test_what_is_kept_holds_no_value_of_a_resource(tmp_path: Path) -> None:
    save(tmp_path, opening(80))
    kept = json.loads((tmp_path / STACK.directory / SHOWN_FILE).read_text())
    assert set(kept) == {
        "version", "fingerprint", "stack", "plan_digest", "files_digest", "outputs_changed", "counts",
        "changes", "ssh", "opening", "shown",
    }  # fmt: skip


def test_apply_of_nothing_saved_says_so(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.compile(project.task("8888"))
    answer = call(tmp_path, "apply", "--saved")
    assert (answer.code, answer.out) == (0, "No plan is saved: nothing to apply.\n")
    assert call(tmp_path, "apply", "--saved", "--json").json["stacks"] == []
    assert call(tmp_path, "apply", "--saved", "nowhere").code == 1


def test_all_stands_for_every_task_for_its_own_cluster(tmp_path: Path) -> None:
    project = Project(tmp_path)
    both = project.task("[8000, 9000]", file="tasks/web.yaml"), project.task("22022", file="tasks/b.yaml")
    project.compile(both[0], cluster="prod")
    project.compile(*both, cluster="dev")
    before = tree_of(tmp_path)
    answer = call(tmp_path, "compile", "--all", "--check")
    assert (answer.code, answer.err) == (0, "")
    assert call(tmp_path, "compile", "--all").code == 0
    assert tree_of(tmp_path) == before
    project.task("[8000, 9001]", file="tasks/web.yaml")
    changed = call(tmp_path, "compile", "--all", "--check", "--json")
    assert changed.code == 1
    assert {stack["cluster"] for stack in changed.json["stacks"] if stack["changed"]} == {"prod", "dev"}


def test_all_takes_more_tasks_beside_it_and_compiles_none_twice(tmp_path: Path) -> None:
    project = Project(tmp_path)
    known, new = project.task("8000"), project.task("9000", name="new", file="new.yaml")
    project.compile(known, cluster="prod")
    answer = call(tmp_path, "compile", "--all", known, new, "--json")
    assert [stack["name"] for stack in answer.json["stacks"]] == ["new-aws-us-east-1", "prod-aws-us-east-1"]
    assert [stack["ports"] for stack in answer.json["stacks"]] == [["9000"], ["8000"]]


def test_all_of_an_empty_tree_is_nothing_to_do_and_does_not_pass_for_a_check(tmp_path: Path) -> None:
    answer = call(tmp_path, "compile", "--all", "--check")
    assert answer.code == 0
    assert "warning[nothing-compiled]: infra holds no stack, so --all stands for nothing" in answer.err
    assert list(tmp_path.iterdir()) == []
    Project(tmp_path).task("80")
    assert "nothing-compiled" not in call(tmp_path, "compile", "--all", "web.yaml").err
    call(tmp_path, "compile", "--forget", "web.yaml")
    assert "nothing-compiled" not in call(tmp_path, "compile", "--all").err


def test_all_tells_of_a_task_that_is_gone(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.compile(project.task("8000"))
    (tmp_path / "web.yaml").unlink()
    answer = call(tmp_path, "compile", "--all", "--check")
    assert answer.code == 1
    assert "file-missing" in answer.err


def test_all_closes_what_no_task_asks_for_any_more(tmp_path: Path) -> None:
    project = Project(tmp_path)
    tasks = [project.task("8000", name=name, file=f"{name}.yaml") for name in ("web", "gone")]
    project.compile(*tasks)
    (tmp_path / "gone.yaml").unlink()
    # in the one call that a pipeline knows, and without a word of what it has just done
    answer = call(tmp_path, "compile", "--all", "--forget", "gone.yaml")
    assert (answer.code, answer.err) == (0, "")
    # ... and from then on its stack is one of all, until its folder goes
    found = call(tmp_path, "compile", "--all", "--check", "--json")
    stacks = {stack["cluster"]: (stack["ports"], stack["changed"]) for stack in found.json["stacks"]}
    assert (found.code, stacks) == (0, {"gone": ([], False), "web": (["8000"], False)})
    (tmp_path / "infra/gone/aws-us-east-1/main.tf").write_text("# Generated by skyports-tf, and edited\n")
    assert call(tmp_path, "compile", "--all", "--check").code == 1
    # a named task is that alone
    named = call(tmp_path, "compile", "web.yaml", "--json")
    assert [stack["cluster"] for stack in named.json["stacks"]] == ["web"]


def test_all_reports_on_each_task_file_as_naming_it_does(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.compile(project.task("8000"), cluster="prod")
    named = call(tmp_path, "compile", "web.yaml", "--cluster", "prod", "--check", "--format", "junit")
    assert "web.yaml" in named.out
    assert call(tmp_path, "compile", "--all", "--check", "--format", "junit").out == named.out


@pytest.mark.parametrize("option", [("--cluster", "x"), ("--ports", "80"), ("--infra", "aws")])
def test_all_excludes_what_is_said_of_one_task(option: tuple[str, str], tmp_path: Path) -> None:
    assert call(tmp_path, "compile", "--all", *option).code == 2


def test_without_task_and_without_all_the_usage_is_wrong(tmp_path: Path) -> None:
    for verb in ("compile", "plan", "apply"):
        assert call(tmp_path, verb).code == 2


# -- one machine plans, another applies ------------------------------------------------


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two checkouts of one commit, with a pretend Terraform."""
    monkeypatch.setenv("TERRAFORM", str(pretend_terraform(tmp_path)))
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    project = Project(first)
    project.compile(project.task("8888"))
    shutil.copytree(first, second)
    return first, second


FOLDER = "infra/web/aws-us-east-1"


def carry(first: Path, second: Path) -> None:
    for name in (PLAN_FILE, SHOWN_FILE):
        shutil.copy(first / FOLDER / name, second / FOLDER / name)


def test_another_machine_applies_the_very_plan_that_was_shown(machines: tuple[Path, Path]) -> None:
    first, second = machines
    shown = call(first, "plan", "--all")
    assert (shown.code, "1 to open" in shown.out) == (0, True)
    carry(first, second)
    answer = call(second, "apply", "--saved", "--yes", FOLDER)
    assert answer.code == 0, answer.err
    assert "1 opened" in answer.out
    assert [path.name for path in (second / FOLDER).glob("*.tfplan*")] == []


def test_what_was_applied_is_told_as_apply_tells_it(machines: tuple[Path, Path]) -> None:
    first, second = machines
    call(first, "plan", "--all")
    carry(first, second)
    document = valid("apply", call(second, "apply", "--saved", "--yes", "--json").json)
    assert [stack["name"] for stack in document["stacks"]] == ["web-aws-us-east-1"]
    assert document["stacks"][0]["terraform"]["create"] == 1


def test_nobody_can_be_asked_in_a_pipeline(machines: tuple[Path, Path]) -> None:
    first, second = machines
    call(first, "plan", "--all")
    carry(first, second)
    assert call(second, "apply", "--saved").code == 1
    assert (second / FOLDER / PLAN_FILE).exists()
    assert call(second, "apply", "--saved", answer="no\n").code == 1


def test_a_plan_that_was_exchanged_on_the_way_is_not_applied(machines: tuple[Path, Path]) -> None:
    first, second = machines
    call(first, "plan", "--all")
    carry(first, second)
    (second / FOLDER / PLAN_FILE).write_bytes(b"a forged plan")
    answer = call(second, "apply", "--saved", "--yes")
    assert (answer.code, "plan-replaced" in answer.err) == (1, True)
    assert "opened" not in answer.out


def test_a_plan_is_held_against_what_was_reviewed(machines: tuple[Path, Path]) -> None:
    first, second = machines
    call(first, "plan", "--all")
    reviewed = first.parent / "reviewed"
    (reviewed / "web/aws-us-east-1").mkdir(parents=True)
    shutil.copy(first / FOLDER / SHOWN_FILE, reviewed / "web/aws-us-east-1")
    assert call(second, "plan", "--all", "--reviewed", str(reviewed)).code == 0
    nobody = call(second, "plan", "--all", "--reviewed", str(first.parent / "nowhere"), "--json")
    assert nobody.code == 1
    assert "plan-unreviewed" in {item["code"] for item in valid("plan", nobody.json)["diagnostics"]}
    # whoever has seen it may apply it by hand
    assert call(second, "apply", "--saved", "--yes").code == 0
