"""What the user says of a pipeline: `ci` in the config, and options that go before it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from skyports_tf.schema import schema_of


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """The settings of a pipeline, each as the schema of the config takes it.

    `install` and `terraform` are empty where the user leaves them to the pipeline.
    `given` are the options of the command line, which the emitted files name as well, so that
    they can be written anew.
    """

    branch: str
    environment: str
    install: str
    terraform: str
    image: str
    reap_schedule: str
    drift_schedule: str
    grace: str
    tasks: tuple[str, ...]
    source_ref: str
    namespace: str
    interval: str
    approve_plan: str
    given: tuple[tuple[str, str], ...] = ()

    @property
    def upkeep_environment(self) -> str:
        """The environment of what recurs, where nobody is asked."""
        return f"{self.environment}-upkeep"

    @property
    def source_kind(self) -> str:
        """The kind of Flux's source."""
        return self.source_ref.split("/")[0]

    @property
    def source_name(self) -> str:
        """The name of Flux's source."""
        return self.source_ref.split("/")[-1]

    @property
    def source_namespace(self) -> str | None:
        """The namespace of Flux's source; None where it is that of the objects."""
        parts = self.source_ref.split("/")
        return parts[1] if len(parts) == 3 else None

    @property
    def requirements(self) -> list[str]:
        """What the user lets pip install, word by word."""
        return shlex.split(self.install)

    @property
    def options(self) -> str:
        """The options of the command line, as they follow the verb; empty where none was given."""
        words = [f"--{name.replace('_', '-')} {shlex.quote(value)}" for name, value in self.given]
        return "".join(f" {word}" for word in words)


def read_settings(config: Mapping[str, Any], options: Mapping[str, str | None]) -> PipelineSettings:
    """The settings from the part `ci` of a config, and the options that were given.

    `config` has been taken by its schema, which also holds the defaults. Raises `ValueError` with a
    sentence for an option that the schema refuses.
    """
    schemas: Mapping[str, Any] = schema_of("config")["properties"]["ci"]["properties"]
    given = {name: value for name, value in options.items() if value is not None}
    for name, value in given.items():
        if not re.search(schemas[name]["pattern"], value):
            raise ValueError(f"{value!r} cannot stand there: {schemas[name]['description']}")
    defaults = {name: schema.get("default", ()) for name, schema in schemas.items()}
    values = {**defaults, "install": "", "terraform": "", "grace": "", **config, **given}
    values["tasks"] = tuple(values["tasks"])
    return PipelineSettings(**values, given=tuple(sorted(given.items())))
