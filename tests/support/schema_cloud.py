"""Pretend clouds for tests with the real Terraform: a mirror of schema providers, and a cloud in a folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.schema_provider.facts import FOLDER, variable_of
from tests.schema_provider.install import make_mirror
from tests.schema_provider.values import digest
from tests.support.local_aws import REGISTRY, find_mirrors

CONFIG = "terraform.rc"
#: Settings that a provider takes from the environment, for the clouds of worlds/.
SETTINGS: Mapping[str, Mapping[str, str]] = {
    "google": {"GOOGLE_PROJECT": "my-project"},
    "azurerm": {"ARM_SUBSCRIPTION_ID": "00000000-0000-0000-0000-000000000001"},
}


def schema_mirror(folder: Path) -> Path:
    """Make a mirror of all schema providers in `folder`; once a test session will do.

    Gives the Terraform CLI config that installs from it. Other providers come from the mirrors
    of this machine, else by download.
    """
    ours = make_mirror(folder / "mirror")
    # one cache for the session; the user's own is not for pretend providers
    (folder / "cache").mkdir(exist_ok=True)
    path = folder / CONFIG
    path.write_text(_config(folder, ours), encoding="utf-8")
    return path


def _config(folder: Path, ours: tuple[str, ...]) -> str:
    mirrors: dict[Path, tuple[str, ...]] = {folder / "mirror": ours}
    for mirror, providers in find_mirrors().items():
        mirrors[mirror] = tuple(name for name in providers if name not in ours)
    taken: list[str] = []
    blocks = ""
    for mirror, providers in mirrors.items():
        names = [f"{REGISTRY}/{name}" for name in providers]
        if mirror == folder / "mirror":
            names += [f"registry.opentofu.org/{name}" for name in providers]
        blocks += (
            f"filesystem_mirror {{\npath = {json.dumps(str(mirror))}\ninclude = {json.dumps(names)}\n}}\n"
        )
        taken += names
    return f"provider_installation {{\n{blocks}direct {{\nexclude = {json.dumps(taken)}\n}}\n}}\n"


class SchemaCloud:
    """A pretend cloud of one provider, in a folder of its own.

    `provider` is a short name such as google; `world` says what is there from the start and
    replaces the one of tests/schema_provider/worlds/. Put `env` into the environment of
    Terraform; those of several clouds go together.
    """

    def __init__(
        self, folder: Path, provider: str, config: Path, world: Mapping[str, Any] | None = None
    ) -> None:
        self.provider = provider
        self.folder = self._folder = folder / provider
        self._folder.mkdir(parents=True, exist_ok=True)
        self._world = self._folder / "world.json"
        self.env = {
            "TF_CLI_CONFIG_FILE": str(config),
            "TF_PLUGIN_CACHE_DIR": str(config.parent / "cache"),
            "CHECKPOINT_DISABLE": "1",
            variable_of(provider): str(self._folder),
            **SETTINGS.get(provider, {}),
        }
        if world is None:
            shutil.copyfile(FOLDER / "worlds" / f"{provider}.json", self._world)
        else:
            self._world.write_text(json.dumps(world), encoding="utf-8")

    def objects(self, kind: str | None = None) -> dict[str, list[dict[str, Any]]]:
        """What was made and is there, by type; `kind` asks for one type."""
        found: dict[str, list[dict[str, Any]]] = {}
        for path in sorted((self._folder / "objects").glob(f"{kind or '*'}/*.json")):
            found.setdefault(path.parent.name, []).append(json.loads(path.read_text(encoding="utf-8")))
        return found

    def delete(self, kind: str, identifier: str) -> None:
        """Delete an object behind Terraform's back; fails where there is none."""
        self._find(kind, identifier).unlink()

    def edit(self, kind: str, identifier: str, **values: Any) -> None:
        """Change attributes of an object behind Terraform's back."""
        path = self._find(kind, identifier)
        path.write_text(
            json.dumps({**json.loads(path.read_text(encoding="utf-8")), **values}), encoding="utf-8"
        )

    def _find(self, kind: str, identifier: str) -> Path:
        for path in (self._folder / "objects" / kind).glob("*.json"):
            if json.loads(path.read_text(encoding="utf-8"))["id"] == identifier:
                return path
        raise AssertionError(f"no {kind} {identifier}")

    def fail(self, kind: str, **messages: str) -> None:
        """Make operations on objects of the type fail with a message from now on; without one, no more.

        Operations: create, update, delete, read, plan, data. `fail("t", delete="in use")`.
        """
        world = json.loads(self._world.read_text(encoding="utf-8"))
        world.setdefault("fail", {})[kind] = messages
        self._world.write_text(json.dumps(world), encoding="utf-8")

    def put(self, kind: str, /, **values: Any) -> None:
        """Add a thing to what is there from the start, as if it were launched now."""
        world = json.loads(self._world.read_text(encoding="utf-8"))
        world.setdefault("data", {}).setdefault(kind, []).append(values)
        self._world.write_text(json.dumps(world), encoding="utf-8")

    def make(self, kind: str, /, **values: Any) -> None:
        """Make an object of a resource type by another hand than Terraform's; it can be imported.

        `values` have its `id`, and need not have all that the schema asks for.
        """
        path = self._folder / "objects" / kind / f"{digest(values['id'])[:16]}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values), encoding="utf-8")

    def journal(self, *ops: str) -> list[dict[str, Any]]:
        """The calls so far, in order: {"op", "type", "id", "value"}; `ops` keeps those alone.

        Operations: create, update, delete, data.
        """
        path = self._folder / "journal.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        calls = [json.loads(line) for line in lines]
        return [call for call in calls if not ops or call["op"] in ops]
