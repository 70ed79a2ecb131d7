"""SkyPilot as a program: which one, what its `sky launch` was given, and what we add to that.

Facts: sky/client/cli/command.py:launch, sky/client/cli/flags.py and
sky/skypilot_config.py:_compose_cli_config, SkyPilot 0.14.1.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from skyports_tf.diagnostics import Diagnostic, FindingsError, ProgramMissingError, UsageError
from skyports_tf.resolve import cluster_of
from skyports_tf.sky_config import sky_config_yaml
from skyports_tf.source import read_yaml
from skyports_tf.task import TaskOverrides, read_tasks

WAY_OUT: Final = (
    "install SkyPilot (pip install skypilot) so that `sky` is on PATH, or name it: "
    "skypilot.binary in skyports.yaml, or the variable SKY"
)

# options of `sky launch` that say what ours say, or what a stack needs
_VALUED = {
    "-c": "cluster",
    "--cluster": "cluster",
    "--infra": "infra",
    "--ports": "ports",
    "--config": "config",
    "--cloud": "place",
    "--region": "place",
    "--zone": "place",
}
# its other short options: with a value, and without
_SHORT_VALUED = frozenset("ntiw")
_YES = ("-y", "--yes")

_ConfigPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SkyArguments:
    """Arguments of `sky launch` as given, and what they say of things that are our business.

    `infra` and `cluster` are None where they are not given; `place` are SkyPilot's old ways to
    name a cloud, region or zone.
    """

    argv: tuple[str, ...] = ()
    cluster: str | None = None
    infra: str | None = None
    ports: tuple[str, ...] = ()
    config: tuple[str, ...] = ()
    place: tuple[str, ...] = ()
    yes: bool = False


@dataclass(frozen=True, slots=True)
class Launch:
    """One `sky launch`: of the task file `file` on `cluster`, with what the two agreed on."""

    file: str
    cluster: str
    arguments: SkyArguments = field(default_factory=SkyArguments)
    infra: str | None = None
    ports: tuple[str, ...] = ()
    yes: bool = False
    config: tuple[str, ...] = ()

    def argv(self, program: str) -> list[str]:
        """The command line; what the user gave comes last and as it is."""
        given, added = self.arguments, ["-c", self.cluster] if self.arguments.cluster is None else []
        if self.infra is not None and given.infra is None:
            added += ["--infra", self.infra]
        if not given.ports:
            added += [word for ports in self.ports for word in ("--ports", ports)]
        added += [word for value in self.config for word in ("--config", value)]
        if self.yes and not given.yes:
            added.append("-y")
        return [program, "launch", *added, self.file, *given.argv]


def find_sky(configured: str | None, environment: Mapping[str, str]) -> str | None:
    """The path of SkyPilot's program: configured, else $SKY, else `sky` on PATH; None where there is none.

    Raises `ProgramMissingError` where one is named that cannot be run: it is never replaced by another.
    """
    for origin, name in (("skypilot.binary", configured), ("SKY", environment.get("SKY"))):
        if name:
            return _named_program(origin, name, environment)
    found = shutil.which("sky", path=environment.get("PATH"))
    return str(Path(found).absolute()) if found else None


def require_sky(configured: str | None, environment: Mapping[str, str]) -> str:
    """The path of SkyPilot's program, as `find_sky`; raises `ProgramMissingError` where there is none."""
    found = find_sky(configured, environment)
    if found is None:
        raise ProgramMissingError(Diagnostic("skypilot-missing", "there is no SkyPilot here", help=WAY_OUT))
    return found


def _named_program(origin: str, name: str, environment: Mapping[str, str]) -> str:
    found = shutil.which(str(Path(name).expanduser()), path=environment.get("PATH"))
    if found is None:
        message = f"{origin} names {name!r}, which is no program that can be run"
        raise ProgramMissingError(Diagnostic("skypilot-missing", message, help=WAY_OUT))
    return str(Path(found).absolute())


def read_sky_arguments(argv: Sequence[str]) -> SkyArguments:
    """What the arguments of `sky launch` say; those that we know nothing of are passed on unread."""
    found: dict[str, list[str]] = {"cluster": [], "infra": [], "ports": [], "config": [], "place": []}
    for name, value in _options(argv):
        if name in _VALUED:
            found[_VALUED[name]].append(value)
    return SkyArguments(
        argv=tuple(argv),
        # as click: of an option that is given twice, the last counts
        cluster=found["cluster"][-1] if found["cluster"] else None,
        infra=found["infra"][-1] if found["infra"] else None,
        ports=tuple(found["ports"]),
        config=tuple(found["config"]),
        place=tuple(found["place"]),
        yes=any(name in _YES for name, _ in _options(argv)),
    )


def _options(argv: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each option that we know, with its value, spelled in any of click's ways; flags have none."""
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        if word.startswith("--"):
            if name in _VALUED:
                yield name, value if equals else next(words, "")
            elif name in _YES:
                yield name, ""
        elif word.startswith("-"):
            yield from _short_options(word, words)


def _short_options(word: str, words: Iterator[str]) -> Iterator[tuple[str, str]]:
    """`-y`, `-c NAME`, `-cNAME`, `-yc NAME`."""
    for at, letter in enumerate(word[1:], start=2):
        name = f"-{letter}"
        if name not in _VALUED and letter not in _SHORT_VALUED:
            yield name, ""
            continue
        value = word[at:] or next(words, "")
        yield name, value
        return


def launch_targets(
    files: Sequence[str], overrides: TaskOverrides, cluster: str | None
) -> tuple[tuple[str, str], ...]:
    """The files, each with the cluster that it is launched on: `cluster`, else as the compiler names it.

    Raises `FindingsError` for files that `sky launch` does not take.
    """
    targets, findings = [], []
    for file in dict.fromkeys(files):
        document = read_tasks(file, overrides).document
        if document.kind != "task":
            what = "a pipeline" if document.kind == "chain" else "a job group"
            message = f"{file} is {what}, and `sky launch` takes one task"
            help_text = "open its ports with `skyports-tf apply`, then start it with `sky jobs launch`"
            findings.append(Diagnostic("launch-kind", message, file, help=help_text))
            continue
        targets += [(file, cluster_of(document, task, cluster)) for task in document.tasks]
    if findings:
        raise FindingsError(findings)
    return tuple(targets)


def agreed(option: str, ours: str | None, theirs: str | None) -> str | None:
    """What an option is when it may be given to us, to SkyPilot, or to both.

    Raises `UsageError` where the two differ.
    """
    if ours is not None and theirs is not None and ours != theirs:
        message = f"{option} is {ours!r} before the -- and {theirs!r} after it"
        raise UsageError(Diagnostic("skypilot-arguments", message, help="say it once"))
    return theirs if ours is None else ours


def check_place(arguments: SkyArguments) -> None:
    """Refuse SkyPilot's old options for a place: they keep parts of what the file says, `--infra` does not.

    Raises `UsageError`.
    """
    if arguments.place:
        message = "--cloud, --region and --zone after the -- would launch elsewhere than the ports are opened"
        help_text = "name the place as --infra CLOUD/REGION/ZONE"
        raise UsageError(Diagnostic("skypilot-arguments", message, help=help_text))


# -- SkyPilot's config -----------------------------------------------------------------


def config_values(needed: Mapping[str, Any], file: str, given: Sequence[str]) -> tuple[str, ...]:
    """What to give to `--config`, beside what is `given`, so that SkyPilot's config says what is `needed`.

    `file` says just that. SkyPilot takes one file or several `KEY=VALUE`, not both. Raises
    `UsageError` where what is given says otherwise, or is a file that leaves it out.
    """
    if not needed:
        return ()
    if not given:
        return (file,)
    path = os.path.expanduser(given[0])
    if os.path.isfile(path):
        _check_file(needed, path)
        return ()
    pairs = dict(text.partition("=")[::2] for text in given)
    added = []
    for keys, value in _leaves(needed):
        name = ".".join(keys)
        if name not in pairs:
            added.append(f"{name}={_spelled(value)}")
        elif not _says(pairs[name], value):
            raise _contradiction(f"--config {name}={pairs[name]}", needed)
    return tuple(added)


def _check_file(needed: Mapping[str, Any], path: str) -> None:
    try:
        documents = [item.data for item in read_yaml(path).documents if isinstance(item.data, dict)]
    except FindingsError as error:
        raise UsageError(error.diagnostics) from None
    said: Any = documents[0] if documents else {}
    for keys, value in _leaves(needed):
        found = said
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        if found != value:
            raise _contradiction(f"--config {path}", needed)


def _contradiction(given: str, needed: Mapping[str, Any]) -> UsageError:
    lines = ", ".join(f"{'.'.join(keys)}: {_spelled(value)}" for keys, value in _leaves(needed))
    message = f"{given} does not say what the ports need"
    return UsageError(Diagnostic("skypilot-arguments", message, help=f"say in it: {lines}"))


def _leaves(value: Mapping[str, Any], above: _ConfigPath = ()) -> Iterator[tuple[_ConfigPath, Any]]:
    for key, item in value.items():
        if isinstance(item, Mapping):
            yield from _leaves(item, (*above, key))
        else:
            yield (*above, key), item


def _spelled(value: Any) -> str:
    """A value as SkyPilot reads it after `KEY=`: YAML, which JSON is."""
    return value if isinstance(value, str) else json.dumps(value)


def _says(text: str, value: Any) -> bool:
    if text.strip("\"'") == value:
        return True
    try:
        return bool(json.loads(text) == value)
    except ValueError:
        return False


def config_file(needed: Mapping[str, Any]) -> str:
    """The text of a file for `--config`."""
    return sky_config_yaml(needed)
