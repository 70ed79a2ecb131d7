"""The options that several verbs share, and what they were set to."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import click

from skyports_tf.cli.console import Session
from skyports_tf.cli.runoptions import parallel_option, terraform_options

_DURATION = re.compile(r"(?:(\d{1,5})h)?(?:(\d{1,6})m)?(?:(\d{1,8})s)?", re.ASCII)

Verb = TypeVar("Verb", bound=Callable[..., Any])

_AFTER_DASHES = "skyports_tf.after_dashes"


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """What the options of a verb on tasks were set to; None means that the config decides.

    `files` are task files as the user wrote them; `ports` are SkyPilot's `--ports`, each as
    given; `source`, `ssh_source` and `expires` are texts that the compiler has yet to read. `forget`
    names tasks that leave the ledger, and `all` stands for every task of the tree, of verbs that need
    no file beside them.
    """

    files: tuple[str, ...]
    cluster: str | None
    ports: tuple[str, ...]
    infra: str | None
    source: tuple[str, ...]
    ssh_source: tuple[str, ...]
    retain: bool | None
    attach: bool | None
    expires: str | None
    out: str | None
    forget: tuple[str, ...] = ()
    all: bool = False


def _answer_json(context: click.Context, _option: click.Parameter, asked: bool) -> bool:
    if asked:
        _answer_as(context, "json")
    return asked


def _answer_format(context: click.Context, _option: click.Parameter, chosen: str | None) -> str | None:
    if chosen:
        _answer_as(context, chosen)
    return chosen


def _answer_as(context: click.Context, chosen: str) -> None:
    session = context.ensure_object(Session)
    if session.format not in ("", chosen):
        other = chosen if session.format == "json" else session.format
        raise click.UsageError(f"--json and --format {other} exclude each other.", context)
    session.format = chosen


json_option = click.option(
    "--json",
    is_flag=True,
    expose_value=False,
    callback=_answer_json,
    help="Answer with one JSON document on stdout.",
)


def format_option(*names: str) -> Callable[[Verb], Verb]:
    """The option --format of a verb that answers in the formats `names`; `--json` is one of them."""
    return click.option(
        "--format",
        type=click.Choice(names),
        expose_value=False,
        callback=_answer_format,
        help="How to answer: one document on stdout, but for text.  [default: text]",
    )


ports_option = click.option(
    "--ports",
    multiple=True,
    metavar="SPEC",
    help="Ports instead of the task's own, as 'sky launch --ports' takes them; 'none' clears.",
)

infra_option = click.option(
    "--infra", metavar="CLOUD[/REGION[/ZONE]]", help="Where the task runs, instead of what it says."
)

out_option = click.option(
    "-o", "--out", metavar="DIR", type=click.Path(), help="The folder of the tree.  [default: infra]"
)

yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask.")


def read_duration(_context: click.Context, _option: click.Parameter, value: str) -> float:
    """The seconds of a length of time such as 90s, 15m or 1h30m, as the callback of an option."""
    found = _DURATION.fullmatch(value) if value else None
    if not found:
        raise click.BadParameter(f"{value!r} is no duration such as 90s, 15m or 1h30m.")
    hours, minutes, seconds = (int(number or 0) for number in found.groups())
    return float(hours * 3600 + minutes * 60 + seconds)


timeout_option = click.option(
    "--timeout",
    callback=read_duration,
    default="15m",
    metavar="DURATION",
    show_default=True,
    help="How long to wait for a group that nodes still hold.",
)


@dataclass(frozen=True, slots=True)
class ClosingOptions:
    """How a cluster is shut down: `out` is None where the config decides, `timeout` is in seconds."""

    timeout: float
    lock_timeout: str
    out: str | None


def closing_options(verb: Callable[..., int]) -> Callable[..., int]:
    """The options of verbs that shut clusters down, handed over as one `ClosingOptions` named `options`."""
    names = [field.name for field in fields(ClosingOptions)]

    @functools.wraps(verb)
    def packed(*args: Any, **values: Any) -> int:
        given = ClosingOptions(**{name: values.pop(name) for name in names})
        return verb(*args, options=given, **values)

    wrapped: Callable[..., int] = packed
    for option in (json_option, out_option, parallel_option, terraform_options, timeout_option):
        wrapped = option(wrapped)
    return wrapped


def task_files(required: bool = True) -> Callable[[Verb], Verb]:
    """The argument TASK...: one or more task files, or folders of them (none where not `required`)."""
    metavar = "TASK..." if required else "[TASK]..."
    return click.argument("files", metavar=metavar, nargs=-1, required=required, type=click.Path())


_TASK_OPTIONS: tuple[Callable[[Verb], Verb], ...] = (
    click.option(
        "-c", "--cluster", metavar="NAME", help="The cluster.  [default: the task's name, or the file's]"
    ),
    ports_option,
    infra_option,
    click.option("--source", multiple=True, metavar="CIDR", help="Who may reach the ports; repeatable."),
    click.option("--ssh-source", multiple=True, metavar="CIDR", help="Who may reach SSH; repeatable."),
    click.option(
        "--retain/--no-retain",
        default=None,
        help="Keep open what the task has stopped asking for, until shutdown.",
    ),
    click.option(
        "--attach", is_flag=True, default=None, help="Attach a group of our own to the running nodes."
    ),
    click.option(
        "--expires",
        metavar="SPEC",
        help="How long the ports stay open: 8h, 3d, 2026-12-01, 2026-12-01T18:00Z or never.",
    ),
    out_option,
    json_option,
)
_TREE_OPTIONS: tuple[Callable[[Verb], Verb], ...] = (
    click.option(
        "--forget", multiple=True, metavar="TASK", help="Take a task out of the ledger; repeatable."
    ),
    click.option(
        "--all", is_flag=True, help="Every task that the tree was compiled from, for its own cluster."
    ),
)
_OF_TREE = frozenset({"forget", "all"})


def task_options(
    required: bool = True, instead: str | None = None
) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """TASK... and the options of every verb on tasks, handed over as one `TaskOptions` named `options`.

    Where no TASK is `required`, there are `--forget` and `--all` as well, and one of them is needed, or
    the verb's own flag `instead`.
    """
    options = (*_TASK_OPTIONS, *(() if required else _TREE_OPTIONS))
    names = [field.name for field in fields(TaskOptions) if field.name not in _OF_TREE or not required]

    def decorate(verb: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(verb)
        def packed(*args: Any, **values: Any) -> int:
            given = TaskOptions(**{name: values.pop(name) for name in names})
            if not (given.files or given.forget or given.all or (instead and values[instead])):
                raise click.UsageError("Name a TASK, or one to --forget, or say --all.")
            if given.all and (given.cluster or given.ports or given.infra):
                raise click.UsageError("--all takes clusters, ports and places from the files alone.")
            return verb(*args, options=given, **values)

        wrapped: Callable[..., int] = packed
        for option in reversed(options):
            wrapped = option(wrapped)
        return task_files(required)(wrapped)

    return decorate


def cluster_names(required: bool) -> Callable[[Verb], Verb]:
    """The argument CLUSTER...: names of clusters, or folders of stacks."""
    metavar = "CLUSTER..." if required else "[CLUSTER]..."
    return click.argument("clusters", metavar=metavar, nargs=-1, required=required)


class AfterDashes(click.Command):
    """A verb that runs another program: what follows `--` is that program's, and is not read here.

    `after` is how the usage line calls it.
    """

    def __init__(self, *args: Any, after: str, **values: Any) -> None:
        super().__init__(*args, **values)
        self.after = after

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read what stands before the dashes, and keep the rest."""
        at = args.index("--") if "--" in args else len(args)
        ctx.meta[_AFTER_DASHES] = tuple(args[at + 1 :])
        return super().parse_args(ctx, args[:at])

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """The usage line, with what follows the dashes."""
        return [*super().collect_usage_pieces(ctx), self.after]


def words_after_dashes() -> tuple[str, ...]:
    """What stands after `--` in the call of an `AfterDashes` verb."""
    words: tuple[str, ...] = click.get_current_context().meta.get(_AFTER_DASHES, ())
    return words
