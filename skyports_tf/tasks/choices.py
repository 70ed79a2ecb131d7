"""`any_of`, `ordered` and several `accelerators` as the list of what a task may run on.

Facts: sky/resources.py (Resources.from_yaml_config, _parse_accelerators_from_str), SkyPilot 0.14.1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from skyports_tf.documents import CandidatesKind
from skyports_tf.tasks.findings import Findings
from skyports_tf.text.nodes import KeyPath

_MEMORY_SIZE = re.compile(r"^[0-9]+[GgMmTt][Bb]\+?$")


@dataclass(frozen=True, slots=True)
class Choice:
    """The settings of one candidate: the base, overlaid by an entry of `any_of` or `ordered`.

    `places` holds the key paths of the settings that do not stand in `resources` itself;
    `reuses_volumes` says that SkyPilot has made a candidate of these very volumes before.
    """

    values: Mapping[str, Any]
    places: Mapping[str, KeyPath] = field(default_factory=dict)
    reuses_volumes: bool = False

    def at(self, key: str) -> KeyPath:
        """Where the setting `key` stands."""
        return self.places.get(key, ("resources", key))


def expand_choices(
    resources: Mapping[str, Any], places: Mapping[str, KeyPath], findings: Findings
) -> tuple[CandidatesKind, list[Choice]]:
    """What a task may run on: the kind (`any` is a bag, `ordered` a preference) and the choices.

    `resources` is the task's own mapping, which may be wrongly typed where findings say so;
    `places` tells of settings in it that come from elsewhere.
    """
    values = {key: value for key, value in resources.items() if key not in ("any_of", "ordered")}
    base = _with_alias(Choice(values, places), findings)
    any_of, ordered = resources.get("any_of"), resources.get("ordered")
    if any_of is not None and ordered is not None:
        findings.error(
            "conflicting-keys",
            "resources have either 'any_of' or 'ordered'",
            ("resources", "ordered"),
            key=True,
        )
    names = _accelerators(base, findings)
    _check_preference(base, names, any_of, ordered, findings)
    for key, kind in (("any_of", "any"), ("ordered", "ordered")):
        entries = resources.get(key)
        if entries and isinstance(entries, list):
            return kind, _overlaid(base, entries, key, findings)  # type: ignore[return-value]
    preferred = isinstance(base.values.get("accelerators"), list) and bool(names)
    return "ordered" if preferred else "any", _with_accelerators(base, names)


def _overlaid(base: Choice, entries: list[Any], key: str, findings: Findings) -> list[Choice]:
    found: list[Choice] = []
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            continue
        places = {name: ("resources", key, index, name) for name in entry}
        entry_choice = _with_alias(Choice(entry, places), findings)
        values = {**base.values, **entry_choice.values}
        merged = Choice(
            values,
            {**base.places, **entry_choice.places},
            reuses_volumes=index > 0 and "volumes" not in entry,
        )
        found += _with_accelerators(merged, _accelerators(merged, findings))
    return found


def _with_alias(choice: Choice, findings: Findings) -> Choice:
    """`gpus` is SkyPilot's other word for `accelerators`."""
    if "gpus" not in choice.values:
        return choice
    if "accelerators" in choice.values:
        message = "'gpus' is another word for 'accelerators': write one of them"
        findings.error("conflicting-keys", message, choice.at("gpus"), key=True)
    values = {key: value for key, value in choice.values.items() if key != "gpus"}
    values["accelerators"] = choice.values["gpus"]
    return Choice(values, {**choice.places, "accelerators": choice.at("gpus")})


def _accelerators(choice: Choice, findings: Findings) -> list[str]:
    """The accelerators by name, each once, in the order of the file."""
    written = choice.values.get("accelerators")
    if isinstance(written, str):
        names = [written]
    elif isinstance(written, dict):
        names = [f"{name}" if count is None else f"{name}:{count}" for name, count in written.items()]
    elif isinstance(written, list):
        names = [name for name in written if isinstance(name, str)]
    else:
        return []
    for name in names:
        if not _is_readable(name):
            help_text = "write NAME:COUNT, MEMORY:COUNT such as 80GB+:8, or MAKER:MEMORY:COUNT"
            findings.error(
                "bad-accelerator", f"{name!r} is no accelerator", choice.at("accelerators"), help=help_text
            )
    return list(dict.fromkeys(names))


def is_memory_size(name: str) -> bool:
    """Whether the text asks for a size of memory, such as `80GB+:8`, for which a catalog has the names."""
    parts = name.split(":")
    return len(parts) <= 3 and any(_MEMORY_SIZE.match(part) for part in parts[:2])


def _is_readable(name: str) -> bool:
    parts = name.split(":")
    if len(parts) == 3:
        return _MEMORY_SIZE.match(parts[1]) is not None and _is_int(parts[2])
    if len(parts) == 2 and _MEMORY_SIZE.match(parts[0]):
        return _is_int(parts[1])
    return True


def _is_int(text: str) -> bool:
    try:
        int(text)
    except ValueError:
        return False
    return True


def _with_accelerators(choice: Choice, names: list[str]) -> list[Choice]:
    if not names:
        return [choice]
    return [
        Choice({**choice.values, "accelerators": name}, choice.places, choice.reuses_volumes)
        for name in names
    ]


def _check_preference(
    base: Choice, names: list[str], any_of: object, ordered: object, findings: Findings
) -> None:
    if len(names) < 2:
        return
    if ordered:
        message = "several accelerators cannot go with 'ordered'"
        findings.error("conflicting-keys", message, base.at("accelerators"), key=True)
    if any_of and isinstance(base.values.get("accelerators"), list):
        message = "a list of accelerators is a preference, and cannot go with 'any_of'"
        help_text = "write them as a mapping: {A100: 8, H100: 8}"
        findings.error("conflicting-keys", message, base.at("accelerators"), key=True, help=help_text)
