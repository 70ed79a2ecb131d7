"""What a saved plan was shown to do, kept beside it, for an apply by another process on another machine.

`skyports.tfplan.json` holds no attribute of any resource, so it may go where the plan itself must
not. Its `fingerprint` tells whether two plans do the same: it is equal for the plan of a pull request
and for the plan of the commit that was merged, whose files differ in time stamps and serials.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from skyports_tf.diagnostics import Diagnostic, FindingsError
from skyports_tf.model import Stack
from skyports_tf.outcomes import PortChanges, PortRule, ResourceCounts, RuleChange, StackPlan
from skyports_tf.roots import root_of
from skyports_tf.running.initialization import StackPaths, writing
from skyports_tf.running.planfiles import PLAN_FILE, SHOWN_FILE

_VERSION: Final = 1
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def keep_shown(paths: StackPaths, *plans: StackPlan) -> None:
    """Keep beside the saved plan what it was shown to do, stack by stack; of an empty plan, nothing is kept.

    Raises `FindingsError` where the folder cannot be written to.
    """
    path = paths.folder / SHOWN_FILE
    with writing(paths.folder):
        parts = [
            {"fingerprint": plan_fingerprint(plan), **_document(plan)}
            for plan in plans
            if plan.plan_digest is not None
        ]
        if not parts:
            path.unlink(missing_ok=True)
            return
        is_shared = plans[0].stack.layout == "grouped"
        document = {"version": _VERSION, **({"stacks": parts} if is_shared else parts[0])}
        temporary = path.with_name(f".{path.name}")
        temporary.write_text(f"{json.dumps(document, indent=2)}\n", encoding="utf-8")
        temporary.replace(path)


def saved_plan(out: str, stack: Stack) -> StackPlan | None:
    """The plan that was saved for `stack`, as it was shown; None where none is saved, or none of it is its.

    Raises `FindingsError` where the plan file is not the one that was shown, or cannot be told.
    """
    folder = Path(out, root_of(stack))
    file = folder / PLAN_FILE
    if not file.is_file():
        return None
    try:
        document = _part_of(json.loads((folder / SHOWN_FILE).read_text(encoding="utf-8")), stack)
        if document is None:
            return None
        plan = _plan_of(document, stack, str(file))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        cause = "what it does was not kept beside it"
        raise FindingsError(_replaced(stack, str(file), cause)) from None
    if hashlib.sha256(file.read_bytes()).hexdigest() != plan.plan_digest:
        raise FindingsError(_replaced(stack, str(file), "another plan was saved since this one was shown"))
    return plan


def saved_directories(out: str, stack: Stack) -> tuple[str, ...]:
    """The folders of all stacks that the plan which was saved for `stack` is of; none where none is saved."""
    try:
        shown = Path(out, root_of(stack), SHOWN_FILE).read_text(encoding="utf-8")
        document = json.loads(shown)
        return tuple(str(part["stack"]) for part in document.get("stacks", [document]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ()


def _part_of(document: Mapping[str, Any], stack: Stack) -> Mapping[str, Any] | None:
    """What was kept of the plan of one stack."""
    if document["version"] != _VERSION:
        raise ValueError("it is of another version")
    if stack.layout == "separate" and document["stack"] != stack.directory:
        raise ValueError("it is of another stack")
    parts: Sequence[Mapping[str, Any]] = document.get("stacks", [document])
    return next((part for part in parts if part["stack"] == stack.directory), None)


def plan_fingerprint(plan: StackPlan) -> str:
    """The SHA-256 of all that a plan does, in port words and as addresses and actions.

    Which task asks for a port is no part of it, nor are counts, which follow from the actions.
    """
    changes = plan.changes
    said = {
        "stack": plan.stack.directory,
        "open": [_words(rule) for rule in changes.open],
        "change": [[_words(item.before), _words(item.after)] for item in changes.change],
        "close": [_words(rule) for rule in changes.close],
        "ssh": [_words(rule) for rule in plan.ssh],
        "shown": sorted(plan.shown),
        "outputs": plan.outputs_changed,
    }
    return hashlib.sha256(_encode(said).encode()).hexdigest()


def unreviewed(plans: Iterable[StackPlan], reviewed: Path) -> list[Diagnostic]:
    """A finding for each plan that does anything else than was reviewed, or that nobody reviewed.

    `reviewed` is a folder of what `keep_shown` has kept, in the stacks' folders.
    """
    findings = []
    for plan in plans:
        if plan.plan_digest is None:
            continue
        known = _reviewed_fingerprint(reviewed / root_of(plan.stack) / SHOWN_FILE, plan.stack)
        if known != plan_fingerprint(plan):
            cause = (
                "nobody reviewed this plan" if known is None else "the plan is not the one that was reviewed"
            )
            findings.append(
                Diagnostic(
                    "plan-unreviewed",
                    f"{plan.stack.name}: {cause}",
                    path=plan.plan_file,
                    help="look at this plan; if it is right, apply it by hand",
                )
            )
    return findings


def _reviewed_fingerprint(path: Path, stack: Stack) -> str | None:
    try:
        part = _part_of(json.loads(path.read_text(encoding="utf-8")), stack)
        return str(part["fingerprint"]) if part else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _words(rule: PortRule) -> list[Any]:
    return [rule.protocol, rule.from_port, rule.to_port, sorted(rule.sources)]


def _document(plan: StackPlan) -> dict[str, Any]:
    return {
        "stack": plan.stack.directory,
        "plan_digest": plan.plan_digest,
        "files_digest": plan.files_digest,
        "outputs_changed": plan.outputs_changed,
        "counts": asdict(plan.counts),
        "changes": asdict(plan.changes),
        "ssh": [asdict(rule) for rule in plan.ssh],
        "opening": plan.opening,
        "shown": plan.shown,
    }


def _plan_of(document: Mapping[str, Any], stack: Stack, plan_file: str) -> StackPlan:
    changes = document["changes"]
    return StackPlan(
        stack,
        PortChanges(
            open=_rules(changes["open"]),
            change=tuple(
                RuleChange(_rule(item["before"]), _rule(item["after"])) for item in changes["change"]
            ),
            close=_rules(changes["close"]),
        ),
        ResourceCounts(**document["counts"]),
        plan_file=plan_file,
        outputs_changed=bool(document["outputs_changed"]),
        plan_digest=str(document["plan_digest"]),
        ssh=_rules(document["ssh"]),
        opening=tuple(tuple(map(str, step)) for step in document["opening"]),
        shown=tuple((str(address), str(action)) for address, action in document["shown"]),
        files_digest=str(document["files_digest"]),
    )


def _rules(documents: Sequence[Mapping[str, Any]]) -> tuple[PortRule, ...]:
    return tuple(map(_rule, documents))


def _rule(document: Mapping[str, Any]) -> PortRule:
    return PortRule(
        str(document["protocol"]),
        int(document["from_port"]),
        int(document["to_port"]),
        tuple(map(str, document["sources"])),
        tuple(map(str, document["tasks"])),
    )


def _replaced(stack: Stack, path: str, cause: str) -> Diagnostic:
    return Diagnostic("plan-replaced", f"{stack.name}: {cause}", path=path, help="plan again")
