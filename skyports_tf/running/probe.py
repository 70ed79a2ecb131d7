"""What is there in the cloud of a stack, whatever its state says: read by data sources, changing nothing.

templates/<cloud>/probe/main.tf.j2 is a root module of data sources and outputs. It runs in a
folder of its own beside the stack's providers, which goes when it has been read.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skyports_tf.clouds import Cloud
from skyports_tf.model import Stack
from skyports_tf.modulecalls import joined_roots
from skyports_tf.running.changes import OpenRule, rule_of
from skyports_tf.running.execution import Execution
from skyports_tf.running.initialization import LOCK_FILE, writing
from skyports_tf.terraform import Run, Terraform

#: What a probe tells, by its outputs; a cloud's manifest says which of them its provider cannot tell.
FACETS = ("nodes", "objects", "rules", "holders", "leftovers")

_ROOM = "probe"
_DATA = ".terraform"
# a look at many takes memory, and fails as a whole
_AT_ONCE = 50
_TRIES = 2


@dataclass(frozen=True, slots=True)
class LiveRule:
    """A rule as the cloud has it: `id` imports it, and the state knows it by `state_id`.

    `address` is the resource that would hold it in the stack, and `key` its key there where the
    cloud knows it; `is_ours` says that it bears the mark of this cluster's stack. `ssh` is the
    resource that would hold it as a rule for SSH, where it may be one. `facts` are what it has
    beside what it opens, for the module; a rule of others' without them cannot be ours. `holder`
    is the resource that would hold the object as it is, where none of our rules could; `priority`
    is there where rules have one.
    """

    id: str
    address: str
    key: str | None
    opens: OpenRule
    is_ours: bool
    state_id: str
    ssh: str | None = None
    facts: Mapping[str, Any] | None = None
    priority: int | None = None
    holder: str | None = None


@dataclass(frozen=True, slots=True)
class Leftover:
    """An object of the cluster by its name or its tag; `is_ours` says that it bears our mark."""

    kind: str
    id: str
    name: str
    is_ours: bool


@dataclass(frozen=True, slots=True)
class Probe:
    """What the cloud has of a cluster; None is for what its provider cannot tell.

    `unknown` names all that it cannot tell, `holders` and `leftovers` as well, which are empty then.
    `nodes` are ids of virtual machines or the like, `objects` maps addresses in the stack to the
    ids that import them, without the port rules. `is_ours` says that the object which holds the
    rules bears our mark. `holders` say what keeps it from being deleted. `adopted` are facts about
    objects that are not ours, for the module that is to hold them as they are.
    """

    nodes: tuple[str, ...] | None = None
    objects: Mapping[str, str] | None = None
    is_ours: bool = False
    rules: tuple[LiveRule, ...] | None = None
    holders: tuple[str, ...] = ()
    leftovers: tuple[Leftover, ...] = ()
    unknown: frozenset[str] = frozenset()
    adopted: Mapping[str, Any] | None = None


def why_unknown(execution: Execution, facet: str) -> str | None:
    """Why the provider of the stack's cloud cannot tell something of FACETS; None where it can."""
    cloud, catalog = execution.stack.cloud, execution.catalog
    return catalog.load(cloud).blind.get(facet) if cloud in catalog.managed() else None


def read_probe(execution: Execution, room: str = _ROOM) -> Probe | None:
    """Look what the cloud has of the stack's cluster; None where the cloud has no probe.

    `room` is the folder of the cloud's templates that looks.

    The stack has its names (`fill_stack`), else there is nothing to look for. Raises
    `TerraformError` where the cloud cannot be read: then nothing is known.
    """
    text = _probe_text(execution, room)
    return None if text is None else probe_of(_look(execution, {"": text}))


def read_probes(views: Sequence[Execution]) -> tuple[Probe | None, ...]:
    """As `read_probe`, for each of several executions in one root module (`Execution.views`): in few runs.

    Raises `TerraformError` where anything of them cannot be read.
    """
    texts = {f"stack{number}": _probe_text(view, _ROOM) for number, view in enumerate(views)}
    known = {name: text for name, text in texts.items() if text is not None}
    told: dict[str, Mapping[str, Any]] = {}
    for part in _parts(list(known)):
        files = joined_roots({name: known[name] for name in part}) if len(part) > 1 else None
        if files is None:
            told.update((name, _look(views[0], {"": known[name]})) for name in part)
        else:
            told.update(_look(views[0], files))
    return tuple(probe_of(told[name]) if name in told else None for name in texts)


def _parts(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE))


def _look(execution: Execution, files: Mapping[str, str]) -> Mapping[str, Any]:
    """The outputs of the root module that has these texts of main.tf by their folders."""
    execution.tell("probe", "Looking at what is there")
    for attempt in range(_TRIES):
        with _probe_folder(execution) as folder:
            for name, text in files.items():
                (folder / name).mkdir(exist_ok=True)
                (folder / name / "main.tf").write_text(text, encoding="utf-8")
            run = _run(execution, folder, has_modules=len(files) > 1)
        if run.code == 0 or attempt:
            break  # something may go between the list that names it and the look at it
    if run.code != 0:
        raise execution.failure(run)
    return run.record.outputs.values if run.record.outputs else {}


def probe_of(outputs: Mapping[str, Any]) -> Probe:
    """The probe from its outputs; what is missing or null is not known."""
    nodes, objects, rules = (outputs.get(name) for name in ("nodes", "objects", "rules"))
    return Probe(
        nodes=None if nodes is None else tuple(sorted(map(str, nodes))),
        objects=None if objects is None else {str(name): str(value) for name, value in objects.items()},
        is_ours=bool(outputs.get("owned")),
        rules=None if rules is None else tuple(_rules(rules)),
        holders=tuple(map(str, outputs.get("holders") or ())),
        leftovers=tuple(
            Leftover(str(item["kind"]), str(item["id"]), str(item["name"]), bool(item.get("owned")))
            for item in outputs.get("leftovers") or ()
        ),
        unknown=frozenset(name for name in FACETS if outputs.get(name) is None),
        adopted=outputs.get("adopted"),
    )


def _probe_text(execution: Execution, room: str) -> str | None:
    stack, catalog = execution.stack, execution.catalog
    if stack.cloud not in catalog.managed() or not _is_filled(stack, catalog.load(stack.cloud)):
        return None
    from skyports_tf.render import render_probe  # Jinja takes a while, and few verbs need it

    return render_probe(stack, catalog, room)


def _is_filled(stack: Stack, cloud: Cloud) -> bool:
    """Whether the stack has all that the config and the cloud's naming give it."""
    return set(cloud.object_names) <= set(stack.names) and (bool(stack.settings) or not cloud.settings)


def _rules(items: Iterable[Mapping[str, Any]]) -> Iterator[LiveRule]:
    for item in items:
        key, opens = item.get("key"), rule_of(item)
        if opens:
            yield LiveRule(
                id=str(item["id"]),
                address=str(item["address"]),
                key=None if key is None else str(key),
                opens=opens,
                is_ours=bool(item.get("owned")),
                state_id=str(item.get("state_id") or item["id"]),
                ssh=item.get("ssh"),
                facts=item.get("adopted"),
                priority=item.get("priority"),
                holder=item.get("holder"),
            )


@contextmanager
def _probe_folder(execution: Execution) -> Iterator[Path]:
    """A folder of this run alone, with the providers that the stack was prepared with."""
    data = execution.paths.data
    with writing(data):
        folder = Path(tempfile.mkdtemp(prefix="skyports-probe.", dir=data))
    try:
        with suppress(OSError):
            (folder / _DATA).mkdir()
            (folder / _DATA / "providers").symlink_to(data / "providers")
            shutil.copyfile(execution.paths.folder / LOCK_FILE, folder / LOCK_FILE)
        yield folder
    finally:
        # its state holds what was read
        shutil.rmtree(folder, ignore_errors=True)


def _run(execution: Execution, folder: Path, has_modules: bool) -> Run:
    stack = execution.terraform
    environment = {**stack.environment, "TF_DATA_DIR": _DATA, "TF_WORKSPACE": "default"}
    terraform = Terraform(stack.program, folder, environment, stack.signals)
    if has_modules:
        execution.attempt(terraform.get, terraform.init)
    return execution.attempt(terraform.read, terraform.init)
