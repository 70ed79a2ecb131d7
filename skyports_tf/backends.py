"""Terraform backends: which settings they take, and where a stack's own state lives in them.

Facts: templates/backends.yaml.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

import skyports_tf.templates
from skyports_tf.diagnostics import Diagnostic, FindingsError, Span, suggest
from skyports_tf.source import YamlDocument, read_yaml
from skyports_tf.text.textfile import read_text

_FACTS = Path(skyports_tf.templates.__file__ or "").with_name("backends.yaml")
#: The backend of a config that names none: a state beside the stack's files.
LOCAL: Final = "local"
#: Our own setting of every backend: what the keys of this tree begin with.
KEY_PREFIX: Final = "key_prefix"
DEFAULT_PREFIX: Final = "skyports"

_SETTING_NAME = re.compile(r"[a-z][a-z0-9_]*")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_PLACEHOLDERS = frozenset({"prefix", "cluster", "place", "directory", "stack"})
# of those, they alone differ from stack to stack
_TELLING = _PLACEHOLDERS - {"prefix"}
# PostgreSQL's two forms of a connection string
_CONNECTION_SECRET = re.compile(r"password=(?:'[^']*'|[^\s&]*)|(?<=://)[^/@:]*:[^/@]+@", re.IGNORECASE)
# an attribute in HCL, or a name in JSON, at the beginning of a line
_ASSIGNED = re.compile(r'\s*\{?\s*"?([a-z_]+)"?\s*[=:{]')
_DIGEST_LENGTH = 8


@dataclass(frozen=True, slots=True)
class Backend:
    """What is known of one kind of backend: see templates/backends.yaml."""

    kind: str
    key: str | None
    value: str = ""
    shape: Literal["text", "url", "workspace"] = "text"
    follow: tuple[str, ...] = ()
    pattern: str = ""
    max_length: int = 0
    secrets: Mapping[str, str | None] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def addresses(self) -> tuple[str, ...]:
        """The settings whose values are told apart by stack."""
        return (self.key, *self.follow) if self.key else ()


@lru_cache(maxsize=1)
def backends() -> Mapping[str, Backend]:
    """Every kind of backend by its name."""
    return {kind: _backend(kind, facts) for kind, facts in read_yaml(str(_FACTS)).documents[0].data.items()}


def _backend(kind: str, facts: Mapping[str, Any]) -> Backend:
    name = facts.get("name") or {}
    return Backend(
        kind,
        facts["key"],
        facts.get("value", ""),
        facts.get("shape", "text"),
        tuple(facts.get("follow", ())),
        name.get("pattern", ""),
        name.get("max_length", 0),
        facts.get("secrets", {}),
        facts.get("variables", {}),
    )


# -- what a config may say -------------------------------------------------------------


def backend_findings(document: YamlDocument) -> Iterator[Diagnostic]:
    """What is wrong with the config's `backend` and `terraform.backend_config`."""
    chosen: Backend | None = None
    for kind, settings in (document.data.get("backend") or {}).items():
        chosen = backends().get(kind)
        if chosen is None:
            known = f"known backends: {', '.join(sorted(backends()))}"
            help_text = suggest(kind, backends(), known)
            message = f"unknown backend {kind!r}"
            yield document.diagnostic("backend-unknown", message, ("backend", kind), key=True, help=help_text)
            continue
        for name, value in (settings or {}).items():
            found = _setting_problem(chosen, str(name), value)
            if found:
                code, message, help_text = found
                yield document.diagnostic(code, message, ("backend", kind, name), key=True, help=help_text)
    given = (document.data.get("terraform") or {}).get("backend_config") or ()
    for position, item in enumerate(given):
        found = partial_problem(chosen, item, from_config=True)
        if found:
            code, message, help_text = found
            at = ("terraform", "backend_config", position)
            yield document.diagnostic(code, message, at, help=help_text)


_Problem = tuple[str, str, "str | None"]


def _setting_problem(backend: Backend, name: str, value: object) -> _Problem | None:
    """What is wrong with one setting: a diagnostic code, a sentence, and a way out."""
    if name == KEY_PREFIX:
        return None if isinstance(value, str) else ("config-value", f"{KEY_PREFIX} must be a text", None)
    if not _SETTING_NAME.fullmatch(name):
        return "config-value", f"{name!r} is no name of a setting", None
    if _is_secret(name, value):
        return "config-secret", f"{name!r} would put a secret into generated files", _instead(backend, name)
    if backend.kind == LOCAL:
        return "backend-key", f"the state of a stack lives in its own folder: {name!r} cannot be set", None
    return _key_problem(backend, name, value)


def _key_problem(backend: Backend, name: str, value: object) -> _Problem | None:
    """What is wrong with a setting that tells states apart: it must say how."""
    if name not in backend.addresses:
        return None
    if backend.shape == "workspace":
        inner = sorted(set(value) - {"project"}) if isinstance(value, dict) else [name]
        return ("backend-key", f"{inner[0]!r} is made per stack", None) if inner else None
    if not isinstance(value, str):
        return "config-value", f"{name!r} must be a text", None
    found = set(_PLACEHOLDER.findall(value))
    if found - _PLACEHOLDERS:
        word = min(found - _PLACEHOLDERS)
        known = ", ".join(f"{{{item}}}" for item in sorted(_PLACEHOLDERS))
        return "config-value", f"{name!r} holds the unknown placeholder {{{word}}}", f"known: {known}"
    if backend.shape == "url" or found & _TELLING:
        return None
    help_text = f"leave it out, or say how it differs, such as '{backend.value}'"
    return "backend-key", f"{name!r} is made per stack", help_text


def partial_problem(backend: Backend | None, item: str, *, from_config: bool) -> _Problem | None:
    """What is wrong with one `backend_config`, a file or NAME=VALUE as `terraform init` takes it."""
    name, equals, value = item.partition("=")
    backend = backend or Backend(LOCAL, None)
    if "\0" in item or not item:
        return "config-value", "that is neither a file nor NAME=VALUE", None
    if not equals:
        return None
    if name.partition(".")[0] in backend.addresses:
        return "backend-key", f"{name!r} is made per stack, and would be the same for all", None
    if from_config and _is_secret(name, value):
        help_text = _instead(backend, name)
        return "config-secret", f"{name!r} would put a secret into the config", help_text
    return None


def _is_secret(name: str, value: object) -> bool:
    """Whether the setting holds a secret, or a part of it does."""
    if isinstance(value, dict):
        return any(_is_secret(str(inner), item) for inner, item in value.items())
    if isinstance(value, str) and _CONNECTION_SECRET.search(value):
        return True
    return name in _secret_names()


def without_secrets(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What settings say of a place: those that are set, without credentials, which may change."""
    return {
        name: _CONNECTION_SECRET.sub("", value) if isinstance(value, str) else value
        for name, value in settings.items()
        if value is not None and name not in _secret_names()
    }


@lru_cache(maxsize=1)
def _secret_names() -> frozenset[str]:
    return frozenset(name for item in backends().values() for name in item.secrets)


def _instead(backend: Backend, name: str) -> str:
    variable = backend.secrets.get(name) or backend.variables.get(name)
    first = f"set {variable} in the environment, or" if variable else "leave it out, and"
    return f"{first} name a file that is not committed: `--backend-config FILE`"


def partial_config(config_path: str, given: Mapping[str, Any]) -> tuple[str, ...]:
    """`terraform.backend_config` of a config: its files are relative to the config's own folder."""
    return absolute_parts(
        (given.get("terraform") or {}).get("backend_config") or (), Path(config_path).parent
    )


def absolute_parts(items: Any, folder: Path) -> tuple[str, ...]:
    """Each `backend_config` as it is, but files by their absolute paths: Terraform runs elsewhere."""
    return tuple(item if "=" in item else os.path.abspath(folder / Path(item).expanduser()) for item in items)


def check_parts(kind: str, items: Iterable[str]) -> None:
    """Refuse files for init that set what tells states apart: it would be the same for all stacks.

    Raises `FindingsError` for these, and for a file that cannot be read.
    """
    backend = _known(kind)
    findings: list[Diagnostic] = []
    for path in (item for item in items if "=" not in item):
        lines = read_text(path).splitlines()
        for number, line in enumerate(lines, start=1):
            found = _ASSIGNED.match(line)
            if found and backend and found[1] in backend.addresses:
                span = Span(number, found.start(1) + 1, number, found.end(1) + 1)
                message = f"{found[1]!r} is made per stack, and would be the same for all"
                findings.append(Diagnostic("backend-key", message, path, span, source_line=line))
    if findings:
        raise FindingsError(findings)


# -- the key of a stack ----------------------------------------------------------------


def state_key(kind: str, settings: Mapping[str, Any], directory: str) -> str:
    """What tells the state of the stack in `directory` from those of others; empty for a local state."""
    backend = _known(kind)
    if backend is None or backend.key is None:
        return ""
    return _address(backend, backend.key, settings, directory)


def keys_may_meet(kind: str, settings: Mapping[str, Any]) -> bool:
    """Whether two stacks of one tree could have one key, by how it is made."""
    backend = _known(kind)
    if backend is None or backend.key is None:
        return False
    return "{directory}" not in _template(backend, backend.key, settings) or bool(backend.pattern)


def settings_of(kind: str, settings: Mapping[str, Any], directory: str) -> dict[str, Any]:
    """The settings of the stack in `directory`, with its own state key, sorted by name."""
    backend = _known(kind)
    given = {name: value for name, value in settings.items() if name != KEY_PREFIX}
    if backend is None or backend.key is None:
        return dict(sorted(given.items()))
    for name in backend.addresses:
        if name == backend.key or name in given:
            value = _address(backend, name, settings, directory)
            inner = given.get(name) or {}
            given[name] = {"name": value, **inner} if backend.shape == "workspace" else value
    return dict(sorted(given.items()))


def _known(kind: str) -> Backend | None:
    # the usual case needs no facts
    return None if kind == LOCAL else backends()[kind]


def _template(backend: Backend, name: str, settings: Mapping[str, Any]) -> str:
    given = settings.get(name)
    if backend.shape == "workspace" or (given is None and backend.shape == "text"):
        return backend.value
    text = str(given or "")
    if backend.shape == "text" or _TELLING.intersection(_PLACEHOLDER.findall(text)):
        return text
    address, question, query = text.partition("?")
    return f"{address.rstrip('/')}/{backend.value}{question}{query}"


def _address(backend: Backend, name: str, settings: Mapping[str, Any], directory: str) -> str:
    cluster, _, place = directory.partition("/")
    known = {
        "prefix": str(settings.get(KEY_PREFIX, DEFAULT_PREFIX)).strip("/"),
        "directory": directory,
        "cluster": cluster,
        "place": place,
        "stack": directory.replace("/", "-"),
    }
    template = _template(backend, name, settings)
    value = _PLACEHOLDER.sub(lambda found: known.get(found[1], found[0]), template)
    if backend.shape == "text" and "/" in template:
        value = value.lstrip("/")
    return _fitting(value, backend)


def _fitting(value: str, backend: Backend) -> str:
    """`value` as it is where the backend takes it, else what is plain of it and a digest."""
    if not backend.pattern:
        return value
    if len(value) <= backend.max_length and re.fullmatch(backend.pattern, value):
        return value
    digest = hashlib.sha256(value.encode()).hexdigest()[:_DIGEST_LENGTH]
    plain = re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")
    room = backend.max_length - _DIGEST_LENGTH - 2
    # a letter in front: a digest may be a number
    return f"{plain[:room].rstrip('-')}-x{digest}".lstrip("-")
