"""The command line: the group of verbs, each loaded when it is called, and the one catch of errors.

A verb lives in a module of this package as a `click.Command`, and gives the exit code.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final, NamedTuple

import click

from skyports_tf import __version__
from skyports_tf.cli.console import ColorChoice, Session

PROGRAM: Final = "skyports-tf"
INTERRUPTED: Final = 130
# EX_SOFTWARE of sysexits.h
BUG: Final = 70
DETAILED_EXITCODE: Final = "--detailed-exitcode"


class Verb(NamedTuple):
    """Where a verb lives, and its line in the list of verbs (a test keeps it in step)."""

    module: str
    attribute: str
    summary: str


#: Every verb in the order of the list; loading one must not load another.
VERBS: Final[dict[str, Verb]] = {
    "inspect": Verb("inspect", "inspect", "Show what was understood of task files."),
    "compile": Verb("compile", "compile_", "Write the Terraform of task files."),
    "plan": Verb("plan", "plan", "Compile, then show which ports open, change and close."),
    "apply": Verb("apply", "apply", "Plan, ask, apply that very plan, show the endpoints."),
    "launch": Verb("launch", "launch", "Open the ports of tasks, then launch them with SkyPilot."),
    "run": Verb("hold", "run", "Hold ports open while a command runs."),
    "destroy": Verb("destroy", "destroy", "Close a cluster's ports and prove that nothing is left."),
    "down": Verb("down", "down", "Shut clusters down: ports, nodes, groups."),
    "exposure": Verb("exposure", "exposure", "Show who can reach what, before and after."),
    "drift": Verb("drift", "drift", "Show what was closed, changed or opened behind our back."),
    "reap": Verb("reap", "reap", "Close ports of clusters that are gone, and expired ports."),
    "status": Verb("status", "status", "Show open ports, nodes and endpoints."),
    "report": Verb("report", "report", "Write one page of who can reach what."),
    "relayout": Verb("relayout", "relayout", "Move stacks with their states to the layout of the config."),
    "adopt": Verb("adopt", "adopt", "Take over what SkyPilot has opened, closing nothing."),
    "release": Verb("release", "release", "Give a cluster's ports back, closing nothing."),
    "ci": Verb("ci", "ci", "Write the pipelines that run all this."),
    "names": Verb("names", "names", "Show what SkyPilot calls a cluster and its firewall objects."),
    "clouds": Verb("clouds", "clouds", "Show the clouds and their limits."),
}
ALIASES: Final[dict[str, str]] = {}


class LazyGroup(click.Group):
    """A group that lists its verbs from `VERBS` and loads only the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click names it
        """The verbs, then their other names."""
        return [*VERBS, *ALIASES]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click names it
        """The verb of that name, or None."""
        verb = VERBS.get(ALIASES.get(cmd_name, cmd_name))
        if verb is None:
            return None
        command: click.Command = getattr(import_module(f"{__name__}.{verb.module}"), verb.attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click names it
        """The list of verbs, from the table alone."""
        rows = [(name, verb.summary) for name, verb in VERBS.items()]
        rows += [(alias, f"The same as {name}.") for alias, name in ALIASES.items()]
        with formatter.section("Verbs"):
            formatter.write_dl(rows)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    subcommand_metavar="VERB [ARGS]...",
    epilog="Exit codes: 0 done, 1 findings, 2 usage, 3 Terraform failed, 4 a program is missing.",
)
@click.option("--config", metavar="FILE", help="The config instead of the nearest skyports.yaml.")
@click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="When to write colours.",
)
@click.option("-v", "--verbose", is_flag=True, help="Say what is being done.")
@click.version_option(__version__, "--version", prog_name=PROGRAM, message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context, config: str | None, color: ColorChoice, verbose: bool) -> None:
    """Turn the ports of SkyPilot task files into reviewed Terraform, and run it."""
    session = context.ensure_object(Session)
    session.config, session.color, session.verbose = config, color, verbose


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one call of the command line and give its exit code; `None` takes the process's arguments.

    Every foreseen failure ends here as findings on stderr, and with `--json` in the document on
    stdout too. Anything else is a fault of ours and keeps its traceback.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    session = Session()
    _never_fail_to_print()
    try:
        code = cli.main(args=given, prog_name=PROGRAM, standalone_mode=False, obj=session)
    except click.Abort:
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return _failure_code(given, error.exit_code)
    except Exception as error:  # noqa: BLE001 - the one catch
        return _failure_code(given, _failed(session, error))
    return code if isinstance(code, int) else 0


def _never_fail_to_print() -> None:
    """A character that the terminal's encoding lacks is shown escaped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _failure_code(arguments: Sequence[str], code: int) -> int:
    """With Terraform's own exit codes, 2 says that there are changes: whatever fails is 1."""
    # what follows -- belongs to another program
    ours = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return 1 if DETAILED_EXITCODE in ours and code < INTERRUPTED else code


def _failed(session: Session, error: Exception) -> int:
    from skyports_tf.diagnostics import SkyportsError

    if not isinstance(error, SkyportsError):
        return _crashed(session)
    if session.json and session.failure is not None:
        session.echo_json(session.failure(error.diagnostics))
    elif session.failed_as is not None:
        session.echo_document(session.failed_as(error.diagnostics))
    session.explain(error)
    return error.exit_code


def _crashed(session: Session) -> int:
    import traceback

    traceback.print_exc()
    session.note(f"\nThis is a bug in {PROGRAM} {__version__}: please report it with the lines above.")
    return BUG
