"""Findings of reading task files and their YAML; see `codes`."""

from __future__ import annotations

from typing import Final

#: code -> (meaning, way out), one sentence each.
TASK_CODES: Final[dict[str, tuple[str, str]]] = {
    # reading YAML
    "yaml-syntax": ("The text is not valid YAML.", "Correct the place that the finding shows."),
    "yaml-value": (
        "YAML takes a text for a number, a date or the like, and it is none.",
        "Quote it to keep it as text.",
    ),
    "yaml-too-deep": ("Lists and mappings nest deeper than any task file.", "Flatten the file."),
    "yaml-alias-cycle": ("An alias leads back to the value that holds it.", "Write the value out."),
    "yaml-alias-bomb": ("Aliases stand for far more values than any task file has.", "Write the values out."),
    "repeated-key": (
        "A key stands twice in one mapping, and only one value can count.",
        "Remove one of the two; both places are in the finding.",
    ),
    # reading tasks
    "not-a-mapping": ("A document is not a mapping of keys to values.", "Write `key: value` lines."),
    "unknown-key": ("SkyPilot knows no such key here.", "Correct the key, or remove it."),
    "missing-key": ("A key that is needed is missing.", "Add the key."),
    "wrong-type": ("A value is of another type than SkyPilot takes here.", "Write the type that is named."),
    "bad-value": (
        "A value is of the right type, but not one that SkyPilot takes.",
        "Write an allowed value.",
    ),
    "too-many-errors": (
        "A document has so many errors that the others are not shown.",
        "Correct those shown.",
    ),
    "conflicting-keys": ("Two settings contradict each other.", "Keep one of them."),
    "bad-port": (
        "A port, or a range of ports, cannot be read.",
        "Write ports from 1 to 65535, such as 8080 or 8000-8010.",
    ),
    "bad-infra": (
        "`infra`, `cloud`, `region` or `zone` names no place.",
        "Write cloud, cloud/region or cloud/region/zone.",
    ),
    "bad-accelerator": ("An accelerator cannot be read.", "Write NAME or NAME:COUNT, such as H100:8."),
    "env-without-value": (
        "An environment variable has no value.",
        'Give it one in the task file; `""` is empty.',
    ),
    "bad-secret": ("A secret cannot be read.", "Write a mapping, or a list of `secrets:NAME`."),
    "bad-header": (
        "The first document is no header of a chain or a job group.",
        "Keep `name` and `execution` in it.",
    ),
    "bad-job-group": (
        "A job group, or a job of it, is not complete.",
        "Give the group and every job a name of its own.",
    ),
    "no-tasks": ("The documents after the header hold no task.", "Write a task after the header."),
    "skypilot-fails": (
        "SkyPilot itself stops at this input with an internal error.",
        "Write it as the finding says.",
    ),
    "yaml-number": (
        "YAML 1.1 reads a number that differs from what is written.",
        "Quote the port, or write it as a plain decimal number.",
    ),
    "overrides-ignored": (
        "--ports and --infra do not apply to a file with several tasks.",
        "Change the file, or split it.",
    ),
    "unknown-header-key": ("SkyPilot ignores this key in the header of a job group.", "Remove it."),
}
