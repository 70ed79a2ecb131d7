"""An API server as far as SkyPilot's port code calls it."""

from __future__ import annotations

import json
import pathlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pretend import World


def begin(world: World) -> dict[str, Any]:
    """world: {"services": [API's Service], "ingresses": [API's Ingress]}, all in the namespace default."""
    from sky.provision.kubernetes import network_utils

    server = ThreadingHTTPServer(("127.0.0.1", 0), _KubernetesApi)
    server.world = world  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    context = f"pretend-{server.server_address[1]}"
    cluster = {"server": f"http://127.0.0.1:{server.server_address[1]}"}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "clusters": [{"name": context, "cluster": cluster}],
        "users": [{"name": context, "user": {}}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
    }
    path = pathlib.Path.home() / ".kube" / "config"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(config), encoding="utf-8")
    return {
        "context": context,
        "namespace": "default",
        # sky/clouds/kubernetes.py:make_deploy_resources_variables
        "port_mode": network_utils.get_port_mode(None, context).value,
    }


class _KubernetesApi(BaseHTTPRequestHandler):
    """The parts of the API that SkyPilot's network.py calls."""

    protocol_version = "HTTP/1.1"

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        place = urlsplit(self.path)
        status, answer = self._answer(place.path, parse_qs(place.query), json.loads(body) if body else {})
        text = json.dumps(answer).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _handle  # noqa: N815 (names of http.server)

    def _answer(self, path: str, query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        world: World = self.server.world  # type: ignore[attr-defined]
        if path.endswith("/ingressclasses"):
            return 200, {"items": [{"metadata": {"name": "nginx"}, "spec": {"controller": "k8s.io/nginx"}}]}
        place = re.fullmatch(r".*/namespaces/default/(services|ingresses)(?:/([^/]+))?", path)
        if place is None:
            return 404, _gone(path)
        if self.command != "GET":
            world["calls"].append(f"{self.command} {path.partition('/default/')[2]}")
        found, name = world[place[1]], place[2]
        if name is None:
            return self._answer_for_all(found, query, body)
        (item,) = [item for item in found if item["metadata"]["name"] == name] or [None]
        if item is None:
            return 404, _gone(name)
        if self.command == "DELETE":
            found.remove(item)
        elif self.command == "PUT":
            item.clear()
            item.update(body)
        return 200, item

    def _answer_for_all(self, found: list[Any], query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        if self.command == "POST":
            found.append(body)
            return 201, body
        key, _, value = query.get("labelSelector", ["="])[0].partition("=")
        chosen = [item for item in found if not key or item["metadata"].get("labels", {}).get(key) == value]
        if self.command == "DELETE":
            for item in chosen:
                found.remove(item)
        return 200, {"items": chosen}

    def log_message(self, *words: object) -> None:
        """Say nothing: the calls are kept."""


def _gone(name: str) -> dict[str, Any]:
    message = f"{name} not found"
    return {"kind": "Status", "status": "Failure", "reason": "NotFound", "message": message, "code": 404}
