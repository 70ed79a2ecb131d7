"""The AWS provider for many commands: one process that stays, and tells Terraform of the types we use alone.

The AWS provider has schemas of 1,500 types. Terraform reads all of them in each command, which takes
ten times as long as all else that it does; so they are cut down here, and every call is passed on as it is
to the real provider, which runs as for debugging. It has one configuration at a time, that of whoever came
last; so there is one for each, and two regions at once are each answered by their own.

`python -m tests.support.thin_provider PROGRAM TYPE...` serves on a free port of loopback until stdin ends.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from threading import Lock
from typing import Any

import grpc  # type: ignore[import-untyped,unused-ignore]

from tests.schema_provider.server import OPTIONS, serve_until_stdin_ends
from tests.schema_provider.wire import each_field, fields, message

#: What tells Terraform of a provider that runs (its documentation: "Debugging Terraform Plugins").
VARIABLE = "TF_REATTACH_PROVIDERS"
# tfplugin5.proto (Terraform, docs/plugin-protocol/tfplugin5.8.proto): the service, two calls, and of what is
# told of schemas those of resources, data sources, functions and ephemeral resources: maps by name
_SERVICE, _GET_SCHEMA, _CONFIGURE = "tfplugin5.Provider", "GetSchema", "Configure"
_MAPS = (2, 3, 7, 8)
_KEY = 1
# a provider that is run for debugging tells all, which is a good part of its work
_SILENT = {
    f"TF_LOG{part}": "off"
    for part in ("", "_SDK", "_SDK_PROTO", "_SDK_FRAMEWORK", "_SDK_HELPER_SCHEMA", "_SDK_MUX", "_PROVIDER")
}
# what stays collects its garbage, unlike a command
_FRUGAL = {"GOGC": "100"}
# it ends with us, whatever ends us: its stdin is then at its end
_UNTIL_STDIN_ENDS = '"$@" & exec >&-; read -r _; kill -9 $!'


def thin_schema(schema: bytes, types: Collection[str]) -> bytes:
    """The answer to `GetSchema` without the types that are not among `types`."""

    def is_kept(number: int, value: Any) -> bool:
        return number not in _MAPS or fields(value)[_KEY].decode() in types

    return message(*(pair for pair in each_field(schema) if is_kept(*pair)))


class _Provider:
    """A process of the real provider, and the way to call it."""

    def __init__(self, program: str) -> None:
        self._process = subprocess.Popen(
            ["sh", "-c", _UNTIL_STDIN_ENDS, "sh", program, "-debug"],
            env={**os.environ, **_SILENT, **_FRUGAL},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._channel = grpc.insecure_channel(f"unix:{self._socket()}", options=OPTIONS)

    def _socket(self) -> str:
        for line in self._process.stdout or ():
            found = re.search(rf"{VARIABLE}='(.+)'", line)
            if found:
                ((_, attached),) = json.loads(found[1]).items()
                return str(attached["Addr"]["String"])
        raise RuntimeError("the provider did not start")

    def call(self, method: str, request: bytes) -> bytes:
        """What the provider answers, in bytes; raises `grpc.RpcError`."""
        answer: bytes = self._channel.unary_unary(f"/{_SERVICE}/{method}")(request)
        return answer


class _Providers:
    """The provider's processes, one for each configuration; a caller is known by his connection."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._first = _Provider(program)
        self._configured: dict[bytes, _Provider] = {}
        self._of_caller: dict[str, _Provider] = {}
        self._lock = Lock()

    def configure(self, caller: str, request: bytes) -> None:
        """From now on, the caller is answered by the one that has this configuration."""
        with self._lock:
            if request not in self._configured:
                self._configured[request] = _Provider(self._program) if self._configured else self._first
            self._of_caller[caller] = self._configured[request]

    def of(self, caller: str) -> _Provider:
        """The one that the caller has configured; any, where he has not."""
        return self._of_caller.get(caller, self._first)


class _Calls(grpc.GenericRpcHandler):  # type: ignore[misc,unused-ignore]
    """Passes calls on to the provider, and its answers and errors back."""

    def __init__(self, providers: _Providers, types: Collection[str]) -> None:
        self._providers = providers
        # each answers the same each time
        self._schema = lru_cache(
            lambda request: thin_schema(providers.of("").call(_GET_SCHEMA, request), types)
        )

    def service(self, handler_call_details: Any) -> Any:
        """The handler for a method, or None for those that are not the provider's."""
        service, _, method = handler_call_details.method.strip("/").partition("/")
        if service != _SERVICE:
            return None

        def answer(request: bytes, context: Any) -> Any:
            caller = context.peer()
            if method == _CONFIGURE:
                self._providers.configure(caller, request)
            try:
                if method == _GET_SCHEMA:
                    return self._schema(request)
                return self._providers.of(caller).call(method, request)
            except grpc.RpcError as error:
                context.abort(error.code(), error.details())

        return grpc.unary_unary_rpc_method_handler(answer)


def serve(program: str, types: Collection[str]) -> None:
    """Serve until stdin ends."""
    server = grpc.server(ThreadPoolExecutor(16), options=OPTIONS)
    server.add_generic_rpc_handlers((_Calls(_Providers(program), types),))
    # a port, since callers of a Unix socket all look the same
    serve_until_stdin_ends(server, "127.0.0.1:0")


if __name__ == "__main__":
    serve(sys.argv[1], frozenset(sys.argv[2:]))
