"""The ledger over a cluster's life: whatever is done in whatever order, what is open is what a model says."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyports_tf.compiler import Compilation
from skyports_tf.config import read_config
from skyports_tf.deadlines import expirations, expire_stack
from skyports_tf.expiry import stamp
from skyports_tf.ledger import ledger_text
from skyports_tf.model import Stack
from skyports_tf.recompile import recompile_stacks, stamp_expiry
from tests.support.project import Project, working_in

NOON = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
PLACE = "web/aws-us-east-1"
FILES = ("a.yaml", "b.yaml", "c.yaml")
HOURS = {"2h": 2, "8h": 8}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


# -- a model of the ledger -------------------------------------------------------------


@dataclass
class Port:
    """A port that a task asks for or retains: `end` is None where no time runs."""

    spec: str | None = None
    end: datetime | None = None
    closed: bool = False


@dataclass
class Cluster:
    """What the ledger should hold, port by port, as plainly as it can be said."""

    now: datetime = NOON
    tasks: dict[str, dict[int, Port]] = field(default_factory=dict)

    def compile(self, file: str, ports: set[int], retain: bool, expires: str | None) -> None:
        before = self.tasks.pop(file, {})
        after = {
            port: before.get(port, Port())
            if expires is None
            else Port(None if expires == "never" else expires)
            for port in ports
        }
        if retain:
            after = {**before, **after}
        if after:
            self.tasks[file] = after

    def begin(self) -> None:
        for port in self._ports():
            if port.spec and port.end is None:
                port.end = self.now + timedelta(hours=HOURS[port.spec])

    def expire(self) -> None:
        for port in self._ports():
            port.closed = port.closed or (port.end is not None and port.end <= self.now)

    def open(self) -> set[int]:
        return {number for ports in self.tasks.values() for number, port in ports.items() if not port.closed}

    def ends(self) -> dict[int, str]:
        """The end of each open port that has one: the latest, and none where one task has none."""
        forever = datetime.max.replace(tzinfo=timezone.utc)
        found: dict[int, list[datetime]] = {}
        for ports in self.tasks.values():
            for number, port in ports.items():
                if not port.closed:
                    found.setdefault(number, []).append(port.end or forever)
        last = {number: max(ends) for number, ends in found.items()}
        return {number: stamp(end) for number, end in last.items() if end != forever}

    def _ports(self) -> Iterator[Port]:
        return (port for ports in self.tasks.values() for port in ports.values())


Step = tuple[Any, ...]
_ASKING = (
    st.sampled_from(FILES),
    st.sets(st.integers(80, 86), max_size=5),
    st.booleans(),
    st.sampled_from((None, None, None, "2h", "8h", "never")),
)
STEPS: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.just("compile"), *_ASKING),
    st.tuples(st.just("apply"), *_ASKING),
    st.tuples(st.just("forget"), st.sampled_from(FILES)),
    st.tuples(st.just("reap")),
    st.tuples(st.just("wait"), st.integers(1, 9)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=10))
def test_what_is_open_is_the_union_of_the_ledger_after_any_sequence_of_steps(steps: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        project, cluster = Project(Path(folder)), Cluster()
        for step in steps:
            take(step, project, cluster)
            agree(project, cluster)


def take(step: Step, project: Project, cluster: Cluster) -> None:
    """Take a step for real and in the model."""
    verb, *given_ = step
    if verb == "wait":
        cluster.now += timedelta(hours=given_[0])
    elif verb == "reap":
        reap(project, cluster.now)
        cluster.expire()
    elif verb == "forget":
        if given_[0] in cluster.tasks:
            project.compile(forget=(given_[0],))
            del cluster.tasks[given_[0]]
    else:
        file, ports, retain, expires = given_
        task = project.task(str(sorted(ports)), file=file)
        cluster.compile(file, ports, retain, expires)
        now = cluster.now if verb == "apply" else None
        compilation = project.compile(task, retain=retain, expires=expires, now=now)
        if now:
            cluster.expire()
            for stack in stamped(project, compilation, now):
                assert stack.entries == project.stack(stack.directory).entries
            cluster.begin()


def stamped(project: Project, compilation: Compilation, now: datetime) -> list[Stack]:
    """What an apply does to the ledger before Terraform runs."""
    with working_in(project.folder):
        return [stamp_expiry("infra", item.stack, now) for item in compilation.stacks]


def reap(project: Project, now: datetime) -> None:
    """What `reap` does to the tree."""
    if not project.folder.joinpath("infra", PLACE, "stack.json").exists():
        return
    with working_in(project.folder):
        stacks = [project.stack()]
        recompile_stacks(
            "infra", stacks, lambda stack: expire_stack(stack, now)[0].entries, read_config(None)
        )


def agree(project: Project, cluster: Cluster) -> None:
    """The tree on disk says what the model says."""
    path = project.folder / "infra" / PLACE
    if not (path / "stack.json").exists():
        assert cluster.tasks == {}
        return
    stack = project.stack()
    assert ports_of(stack) == cluster.open()
    assert ledger_text(stack) == (path / "stack.json").read_text(encoding="utf-8")
    main = (path / "main.tf").read_text(encoding="utf-8")
    assert all(f'"{rule.key}"' in main for rule in stack.rules)
    assert main.count("from_port") == len(stack.rules)
    assert {entry.file for entry in stack.entries} == set(cluster.tasks)
    ends = {
        port: item.at
        for item in expirations(stack)
        if item.at and not item.expired
        for port in range(item.ports.first, item.ports.last + 1)
    }
    assert ends == cluster.ends()


def ports_of(stack: Stack) -> set[int]:
    return {port for rule in stack.rules for port in range(rule.ports.first, rule.ports.last + 1)}


# -- tasks that are edited, renamed, moved ---------------------------------------------


def test_a_file_that_was_moved_keeps_its_old_entry_and_says_how_to_close_it(project: Project) -> None:
    project.compile(project.task("[80, 90]", file="old.yaml"))
    project.folder.joinpath("old.yaml").rename(project.folder / "new.yaml")
    compilation = project.compile("new.yaml")
    (warning,) = compilation.diagnostics
    assert (warning.code, warning.severity) == ("task-gone", "warning")
    assert warning.message == "old.yaml is gone, and what it asked for stays open on web: tcp 80, tcp 90"
    assert "--forget old.yaml" in (warning.help or "")
    assert [entry.file for entry in project.stack().entries] == ["new.yaml", "old.yaml"]
    assert project.compile("new.yaml", forget=("old.yaml",)).diagnostics == ()
    assert [entry.file for entry in project.stack().entries] == ["new.yaml"]


def test_a_file_that_was_deleted_is_told_with_every_task_of_its_cluster(project: Project) -> None:
    project.compile(project.task("80", file="a.yaml"))
    project.compile(project.task("90", name="web", file="deep/b.yaml", infra="aws/eu-west-1"))
    project.folder.joinpath("deep/b.yaml").unlink()
    assert project.warned("a.yaml") == ["task-gone"]
    assert project.warned(project.task("80", file="a.yaml")) == ["task-gone"]
    assert project.warned(project.task("70", name="api", file="api.yaml")) == []


def test_a_file_that_is_gone_and_holds_nothing_open_is_not_worth_a_word(project: Project) -> None:
    project.compile(
        project.task("80", file="a.yaml"), project.task("90", file="b.yaml"), expires="2026-11-23"
    )
    project.compile("a.yaml", "b.yaml", now=NOON)
    project.folder.joinpath("b.yaml").unlink()
    assert project.warned("a.yaml") == ["port-expired"]


def test_a_task_with_a_new_name_replaces_its_entry_on_a_cluster_that_was_named(project: Project) -> None:
    project.compile(project.task("80", name="old"), cluster="web")
    assert project.warned(project.task("90", name="new"), cluster="web") == []
    (entry,) = project.stack().entries
    assert (entry.task, str(entry.ports)) == ("new", "90")


def test_a_task_with_a_new_name_is_a_new_cluster_and_the_old_one_is_told(project: Project) -> None:
    project.compile(project.task("80", name="old"))
    (warning,) = project.compile(project.task("80", name="new")).diagnostics
    assert warning.code == "task-renamed"
    assert warning.message == (
        "web.yaml has no task 'old' any more, and what it asked for stays open on old: tcp 80"
    )
    assert "--forget old" in (warning.help or "")
    assert project.warned("web.yaml", forget=("old",)) == []
    assert project.stack("old/aws-us-east-1").rules == ()
    assert project.warned("web.yaml") == []


def test_one_file_on_two_clusters_is_no_renamed_task(project: Project) -> None:
    task = project.task("80")
    project.compile(task, cluster="one")
    assert project.warned(task, cluster="two") == []


def test_a_damaged_ledger_of_another_cluster_does_not_stop_a_compile(project: Project) -> None:
    project.compile(project.task("80", name="other", file="other.yaml"))
    project.write("infra/other/aws-us-east-1/stack.json", "{")
    assert project.warned(project.task("80")) == []


def test_a_job_group_whose_jobs_changed_places_opens_the_same_and_keeps_its_deadlines(
    project: Project,
) -> None:
    project.write("group.yaml", group("one: 80", "two: 90"))
    compilation = project.compile("group.yaml", cluster="web", expires="8h", now=NOON)
    (stack,) = stamped(project, compilation, NOON)
    ends = [(item.ports.first, item.at) for item in expirations(stack)]
    assert ends == [(80, "2026-11-24T20:00:00Z"), (90, "2026-11-24T20:00:00Z")]
    project.write("group.yaml", group("zero: 70", "two: 90", "one: 80"))
    project.compile("group.yaml", cluster="web", now=NOON)
    assert ports_of(project.stack()) == {70, 80, 90}
    assert [(item.ports.first, item.at) for item in expirations(project.stack())] == ends


def group(*jobs: str) -> str:
    documents = ["name: group\nexecution: parallel\n"]
    for job in jobs:
        name, ports = job.split(": ")
        documents.append(f"name: {name}\nresources:\n  infra: aws/us-east-1\n  ports: {ports}\nrun: echo\n")
    return "---\n".join(documents)


def test_a_second_task_on_the_cluster_adds_its_ports_and_nothing_closes(project: Project) -> None:
    project.compile(project.task("80", file="a.yaml"))
    project.compile(project.task("90", name="job", file="exec.yaml"), cluster="web")
    assert ports_of(project.stack()) == {80, 90}
    project.compile("a.yaml")
    assert ports_of(project.stack()) == {80, 90}
