"""Terraform backends: which settings they take, and where a stack's own state lives in them.

Facts: the backend pages of Terraform's documentation, version 1.11.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: Settings that hold a secret; Terraform reads each of them from the environment instead.
_SECRETS = frozenset(
    {
        "access_key", "secret_key", "token", "password", "sas_token", "client_secret", "credentials",
        "access_token", "encryption_key", "client_key", "client_private_key_pem", "private_key",
        "private_key_password", "key_file", "oidc_token", "oidc_request_token", "client_certificate_password",
        "client_ca_certificate_pem", "client_certificate_pem", "http_auth", "sse_customer_key",
    }
)  # fmt: skip
_CONNECTION_SECRET = re.compile(r"password=|://[^/@:]*:[^/@]+@", re.IGNORECASE)
_SETTING_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class StateKey:
    """How a backend tells states apart: the setting, and its value.

    The value may hold `{prefix}`, `{directory}`, `{name}` and `{address}`.
    """

    setting: str
    value: str


#: None: the state is told apart in another way (`settings_of`).
STATE_KEYS: Mapping[str, StateKey | None] = {
    "local": None,
    "s3": StateKey("key", "{prefix}/{directory}/terraform.tfstate"),
    "gcs": StateKey("prefix", "{prefix}/{directory}"),
    "azurerm": StateKey("key", "{prefix}/{directory}/terraform.tfstate"),
    "oci": StateKey("key", "{prefix}/{directory}/terraform.tfstate"),
    "consul": StateKey("path", "{prefix}/{directory}"),
    "pg": StateKey("schema_name", "{prefix}_{name}"),
    "kubernetes": StateKey("secret_suffix", "{prefix}-{name}"),
    "http": StateKey("address", "{address}/{name}"),
    "cloud": StateKey("workspaces", "{prefix}-{name}"),
}
#: Our own setting of every backend: what the keys of this tree begin with.
KEY_PREFIX = "key_prefix"
DEFAULT_PREFIX = "skyports"


def setting_problem(kind: str, name: str, value: object) -> tuple[str, str] | None:
    """What is wrong with one setting: a diagnostic code and a sentence, or None."""
    state_key = STATE_KEYS[kind]
    if name == KEY_PREFIX:
        return None if isinstance(value, str) else ("config-value", f"{KEY_PREFIX} must be a text")
    if not _SETTING_NAME.fullmatch(name):
        return "config-value", f"{name!r} is no name of a setting"
    if name in _SECRETS or (isinstance(value, str) and _CONNECTION_SECRET.search(value)):
        return "config-secret", f"{name!r} would put a secret into generated files"
    if kind == "local":
        return "backend-key", f"the state of a stack lives in its own folder: {name!r} cannot be set"
    if state_key and kind != "http" and name == state_key.setting:
        return "backend-key", f"{name!r} is made per stack"
    return None


def settings_of(kind: str, settings: Mapping[str, Any], directory: str) -> dict[str, Any]:
    """The settings of the stack in `directory`, with its own state key, sorted by name."""
    given = dict(settings)
    names = {
        "prefix": str(given.pop(KEY_PREFIX, DEFAULT_PREFIX)).strip("/"),
        "directory": directory,
        "name": directory.replace("/", "-"),
        "address": str(given.get("address", "")).rstrip("/"),
    }
    state_key = STATE_KEYS[kind]
    if state_key is not None:
        value = state_key.value.format(**names)
        given[state_key.setting] = {"name": value} if kind == "cloud" else value
    if kind == "http":
        for name in ("lock_address", "unlock_address"):
            if name in given:
                given[name] = f"{str(given[name]).rstrip('/')}/{names['name']}"
    return dict(sorted(given.items()))
