"""Compute Engine's API as far as SkyPilot's port code calls it."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httplib2
from googleapiclient import discovery
from pretend import NAME_ON_CLOUD, World
from sky.clouds import gcp

_build = discovery.build


def begin(world: World) -> dict[str, Any]:
    """SkyPilot's settings for a world of {"project", "zone", "firewalls", "instances"} in the API's form."""

    # SkyPilot builds a client for every call, which reads a document of megabytes each time
    @lru_cache
    def build(service: str, version: str, **options: Any) -> Any:
        return _build(service, version, http=_Transport(world), cache_discovery=False)

    discovery.build = build
    return {
        "availability_zone": world["zone"],
        "project_id": world["project"],
        # sky/clouds/gcp.py:make_deploy_resources_variables
        "firewall_rule": gcp.USER_PORTS_FIREWALL_RULE_NAME.format(NAME_ON_CLOUD),
    }


class _Transport:
    """What googleapiclient sends its requests through: Compute Engine's v1 API."""

    timeout: float | None = None

    def __init__(self, world: World) -> None:
        self.world = world

    def request(
        self, uri: str, method: str = "GET", body: Any = None, headers: Any = None, **rest: Any
    ) -> tuple[Any, bytes]:
        place = urlsplit(uri)
        path = place.path.rpartition(f"/projects/{self.world['project']}/")[2].split("/")
        if method != "GET" and path[1] != "operations":
            self.world["calls"].append(f"{method} {'/'.join(path)}")
        asked = parse_qs(place.query).get("filter", [""])[0]
        status, answer = self._answer(method, path, asked, json.loads(body) if body else {})
        return httplib2.Response({"status": str(status), "content-type": "application/json"}), json.dumps(
            answer
        ).encode()

    def close(self) -> None:
        """Nothing is open."""

    def _answer(self, method: str, path: list[str], asked: str, body: Any) -> tuple[int, Any]:
        if "operations" in path:
            return 200, {"name": "op", "status": "DONE"}
        kind = "firewalls" if "firewalls" in path else "instances"
        found = self.world[kind]
        name = path[path.index(kind) + 1] if path[-1] != kind else None
        if name is None and method == "POST":
            found.append(body)
            return 200, {"name": "op"}
        if name is None:
            items = [item for item in found if _google_filter(item, asked)]
            return 200, {"items": items} if items else {}
        (item,) = [item for item in found if item["name"] == name] or [None]
        if item is None:
            message = f"The resource '{'/'.join(['projects', self.world['project'], *path])}' was not found"
            return 404, {"error": {"code": 404, "message": message}}
        if method == "DELETE":
            found.remove(item)
        elif path[-1] == "setTags":
            item["tags"] = body
        elif method in ("PUT", "PATCH"):
            if method == "PUT":
                item.clear()
            item.update(body)
        return 200, item if method == "GET" else {"name": "op"}


def _google_filter(item: dict[str, Any], text: str) -> bool:
    if text.startswith("name="):
        return bool(item["name"] == text.removeprefix("name="))
    wanted = re.findall(r"labels\.([\w-]+) = ([\w-]+)", text)
    return all(item.get("labels", {}).get(key) == value for key, value in wanted)
