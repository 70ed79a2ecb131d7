"""`skyports-tf launch`: open the ports, `sky launch`, record where they are reached."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import click

from skyports_tf.bookkeeping import ledger_names
from skyports_tf.cli.apply import apply_all
from skyports_tf.cli.configuration import time_now
from skyports_tf.cli.console import JsonDocument, Session, pass_session
from skyports_tf.cli.options import (
    AfterDashes,
    TaskOptions,
    task_options,
    words_after_dashes,
    yes_option,
)
from skyports_tf.cli.plan import answer_plan, plan_all, plans_json
from skyports_tf.cli.running import Outcome, agree, run_each, run_settings, worst_code
from skyports_tf.cli.runoptions import terraform_options
from skyports_tf.cli.tasks import compile_request, compiled_tree
from skyports_tf.compiler import Compilation, CompileRequest, compile_tasks
from skyports_tf.config import DEFAULT_OUT
from skyports_tf.diagnostics import Diagnostic, SkyportsError
from skyports_tf.holding import claim_files, refuse_to_open
from skyports_tf.ledger import read_stack
from skyports_tf.lifecycle import Progress, RunSettings, apply_plan, plan_stack
from skyports_tf.model import Stack
from skyports_tf.outcomes import StackPlan, StackStatus
from skyports_tf.recompile import stamp_expiry
from skyports_tf.report.json_output import tree_json
from skyports_tf.report.rules import stack_ports
from skyports_tf.report.status import status_text
from skyports_tf.report.steps import (
    Ran,
    Step,
    StepState,
    after_launch_text,
    command_text,
    launch_json,
    text_list,
)
from skyports_tf.running.foreground import ForegroundEnd, run_foreground
from skyports_tf.sky_config import SKY_CONFIG_NAME, merge_configs
from skyports_tf.skypilot import (
    Launch,
    SkyArguments,
    agreed,
    check_place,
    config_file,
    config_values,
    launch_targets,
    read_sky_arguments,
    require_sky,
)

DECLINED = 1


@click.command("launch", cls=AfterDashes, after="[-- SKY ARGS]")
@task_options()
@yes_option
@terraform_options
@pass_session
def launch(session: Session, options: TaskOptions, yes: bool, lock_timeout: str) -> int:
    """Open the ports of tasks, then launch them with SkyPilot.

    Compiles, plans, asks and applies as 'apply' does, then runs 'sky launch' for each TASK with
    SKY ARGS and with the config that the ports need, then records nodes and endpoints. --cluster,
    --infra and --ports may stand on either side of the dashes and count for both. With --yes,
    SkyPilot does not ask either. The exit code is SkyPilot's; when it fails, the ports stay open.
    """
    arguments = read_sky_arguments(words_after_dashes())
    session.failure = _failure_document(options.out or DEFAULT_OUT)
    check_place(arguments)
    options = _agreed(options, arguments)
    request = compile_request(session, options, time_now())
    sky = require_sky(request.config.sky_binary, os.environ)
    with _launches(request, options, arguments, yes) as launches:
        compilation = compiled_tree(session, request)
        launching = _Launching(session, request, compilation, run_settings(request.config, lock_timeout))
        if launching.open(yes):
            launching.launch(sky, launches)
            launching.record()
    return launching.finish(launches)


def _agreed(options: TaskOptions, arguments: SkyArguments) -> TaskOptions:
    """The options, with what SkyPilot alone was told."""
    theirs = ",".join(arguments.ports) if arguments.ports else None
    agreed("--ports", ",".join(options.ports) if options.ports else None, theirs)
    return replace(
        options,
        cluster=agreed("--cluster", options.cluster, arguments.cluster),
        infra=agreed("--infra", options.infra, arguments.infra),
        ports=options.ports or arguments.ports,
    )


@contextmanager
def _launches(
    request: CompileRequest, options: TaskOptions, arguments: SkyArguments, yes: bool
) -> Iterator[tuple[Launch, ...]]:
    """What to launch, each with its config; whatever is wrong with it is told before anything is written."""
    compilation = compile_tasks(request)
    ledger_name = ledger_names(compilation.out)
    with tempfile.TemporaryDirectory(prefix="skyports-") as folder:
        launches = []
        for file, cluster in launch_targets(request.tasks, request.overrides, request.cluster):
            stacks = [
                item.stack
                for item in compilation.stacks
                if item.stack.cluster == cluster
                and any(entry.file == ledger_name(file) for entry in item.stack.entries)
            ]
            found = Launch(file, cluster, arguments, infra=options.infra, ports=options.ports, yes=yes)
            path = Path(folder, f"{cluster}.yaml")
            launches.append(replace(found, config=_config(compilation.out, stacks, path, arguments)))
        yield tuple(launches)


def _config(out: str, stacks: Sequence[Stack], path: Path, arguments: SkyArguments) -> tuple[str, ...]:
    """What `--config` is to be beside what was given; where that is no stack's own file, `path` holds it."""
    needing = [stack for stack in stacks if stack.sky_config]
    needed = merge_configs([stack.sky_config for stack in needing])
    # what a launch had better say gives way to what the user says
    better = {} if arguments.config else merge_configs([stack.launch_config for stack in stacks])
    if not better.keys() <= needed.keys():
        needed = better | needed
    elif len(needing) == 1:
        return config_values(
            needed, os.path.join(out, needing[0].directory, SKY_CONFIG_NAME), arguments.config
        )
    path.write_text(config_file(needed), encoding="utf-8")
    return config_values(needed, str(path), arguments.config)


@dataclass(slots=True)
class _Launching:
    """One call of `launch`, and what came of its steps."""

    session: Session
    request: CompileRequest
    compilation: Compilation
    settings: RunSettings
    planned: Outcome[StackPlan] = field(default_factory=Outcome)
    plans: list[StackPlan] = field(default_factory=list)
    statuses: list[StackStatus] = field(default_factory=list)
    ends: list[ForegroundEnd] = field(default_factory=list)
    failures: list[SkyportsError] = field(default_factory=list)
    told: list[Diagnostic] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def open(self, yes: bool) -> bool:
        """Open the ports; gives whether to launch."""
        session, compilation = self.session, self.compilation
        catalog = self.request.config.catalog
        later = [item for item in compilation.stacks if catalog.load(item.stack.cloud).launch_first]
        first = replace(compilation, stacks=tuple(item for item in compilation.stacks if item not in later))
        self.planned = plan_all(session, first, self.settings)
        if not session.json:
            answer_plan(session, first, self.planned)
            if later:
                session.echo(after_launch_text([item.stack for item in later]))
        self.failures += self.planned.failures
        if self.failures:
            self._stop("nothing was opened, and nothing was launched", "run the same command again to go on")
            return self._step("open", "failed", "nothing was opened: a plan failed")
        wanted = any(plan.counts.any for plan in self.planned.results) or any(
            item.stack.rules for item in later
        )
        if wanted and not agree(session, yes, "Apply these changes, then launch?", "opened or launched"):
            return self._step("open", "skipped", "nothing was opened: nobody wanted it")
        claim_files(compilation.out, compilation, self.request.tasks)
        applied = apply_all(session, compilation.out, self.planned, self.settings)
        self.plans = [plan for plan, _ in applied.results]
        self.failures += applied.failures
        if self.failures:
            self._stop("not every port is open, and nothing was launched", self._way_out())
            return self._step("open", "failed", "not every port was opened")
        ports = text_list(port for plan in self.plans for port in stack_ports(plan.stack))
        waiting = "; the others open after the launch" if later else ""
        return self._step("open", "done", f"open: {ports}{waiting}")

    def launch(self, sky: str, launches: Sequence[Launch]) -> None:
        """Launch one after the other, until one fails."""
        for at, item in enumerate(launches):
            argv = item.argv(sky)
            self.session.note(f"Running {command_text(['sky', *argv[1:]])}")
            ended = run_foreground(argv, os.environ, onto_stderr=self.session.json)
            self.ends.append(ended)
            what = f"sky launch of {item.file} has {_end_text(ended)}"
            self._step("launch", "failed" if ended.code else "done", what, item.cluster)
            if not ended.code:
                continue
            left = [other.file for other in launches[at + 1 :]]
            more = f"; {', '.join(left)} was not launched" if left else ""
            help_text = f"the ports stay open as planned; {self._way_out()}"
            self.told.append(Diagnostic("skypilot-failed", f"{what}{more}", help=help_text))
            for other in launches[at + 1 :]:
                self._step("launch", "not_reached", f"{other.file} was not launched", other.cluster)
            return

    def record(self) -> None:
        """Apply once more, so that nodes and endpoints are known, and what could not open before is open."""
        files = " ".join(self.request.tasks)
        if any(end.is_interrupted for end in self.ends):
            self._stop("nodes and endpoints are not recorded", f"`skyports-tf apply {files}` records them")
            self._step("record", "skipped", "SkyPilot was stopped")
            return
        known = {item.stack.directory: item.stack for item in self.compilation.stacks}
        out = self.compilation.out

        def step(stack: Stack, _: Progress) -> StackStatus:
            # as the tree is now: somebody may have compiled meanwhile
            now = read_stack(out, stack.directory)
            current = replace(stack, entries=now.entries, rules=now.rules, packed=now.packed)
            plan = plan_stack(out, current, self.settings)
            refuse_to_open(plan, known[stack.directory])
            started = replace(plan, stack=stamp_expiry(out, plan.stack, time_now()))
            if started.stack.directory not in {item.stack.directory for item in self.plans}:
                self.plans.append(started)
            return apply_plan(out, started, self.settings)

        recorded = run_each(self.session, known.values(), step)
        self.statuses, self.failures = recorded.results, [*self.failures, *recorded.failures]
        if recorded.failures:
            self._stop("not all nodes and endpoints are recorded", f"`skyports-tf apply {files}` goes on")
            self._step("record", "failed", "the apply after the launch failed")
        else:
            self._step("record", "done", "nodes and endpoints are recorded")

    def finish(self, launches: Sequence[Launch]) -> int:
        """Answer, and give the exit code."""
        session = self.session
        for error in self.failures:
            session.explain(error)
        session.report([item for status in self.statuses for item in status.warnings])
        session.report(self.told)
        if session.json:
            found = [item for error in self.failures for item in error.diagnostics]
            tree = plans_json(self.compilation, self.plans, [*found, *self.told])
            session.echo_json(launch_json(tree, _ran(launches, self.ends), self.statuses, self.steps))
        elif self.statuses:
            session.echo(f"\n{status_text(self.statuses)}")
        failed = next((end.exit_code for end in self.ends if end.exit_code), 0)
        if failed or self.failures:
            return failed or worst_code(self.failures)
        return 0 if self.ends else DECLINED

    def _way_out(self) -> str:
        clusters = sorted({item.stack.cluster for item in self.compilation.stacks})
        down = f", or `skyports-tf down {' '.join(clusters)}` to close" if clusters else ""
        return f"run the same command again to go on{down}"

    def _stop(self, message: str, way_on: str) -> None:
        self.told.append(Diagnostic("step-stopped", message, help=way_on, severity="note"))

    def _step(self, name: str, state: StepState, detail: str, cluster: str | None = None) -> bool:
        self.steps.append(Step(name, state, detail, cluster))
        return state == "done"


def _ran(launches: Sequence[Launch], ends: Sequence[ForegroundEnd]) -> Iterator[tuple[str, str, Ran]]:
    for at, item in enumerate(launches):
        code = ends[at].exit_code if at < len(ends) else None
        yield item.cluster, item.file, Ran(tuple(item.argv("sky")), code)


def _end_text(ended: ForegroundEnd) -> str:
    if ended.code < 0:
        return f"been ended by {signal.Signals(-ended.code).name}"
    return f"ended with exit code {ended.code}"


def _failure_document(out: str) -> Callable[[Sequence[Diagnostic]], JsonDocument]:
    def document(found: Sequence[Diagnostic]) -> JsonDocument:
        return launch_json(tree_json(out, (), found), (), (), ())

    return document
