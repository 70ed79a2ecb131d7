"""A resident provider with fewer types: what stands before it tells Terraform of those that we use alone.

The AWS provider has schemas of 1,500 types. Terraform reads all of them in each command, which takes
ten times as long as all else that it does; so they are cut down here, and every call is passed on as it is.

`python -m tests.support.thin_provider UPSTREAM SOCKET TYPE...` serves at SOCKET until stdin ends; both are
targets of gRPC.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import grpc  # type: ignore[import-untyped,unused-ignore]

from tests.schema_provider.server import OPTIONS, serve_until_stdin_ends
from tests.schema_provider.wire import each_field, fields, message

# tfplugin5.proto (Terraform, docs/plugin-protocol/tfplugin5.8.proto): the service, the call, and of its
# answer the schemas of resources, data sources, functions and ephemeral resources, which are maps by name
_SERVICE, _GET_SCHEMA = "tfplugin5.Provider", "GetSchema"
_MAPS = (2, 3, 7, 8)
_KEY = 1


def thin_schema(schema: bytes, types: Collection[str]) -> bytes:
    """The answer to `GetSchema` without the types that are not among `types`."""

    def is_kept(number: int, value: Any) -> bool:
        return number not in _MAPS or fields(value)[_KEY].decode() in types

    return message(*(pair for pair in each_field(schema) if is_kept(*pair)))


class _Calls(grpc.GenericRpcHandler):  # type: ignore[misc,unused-ignore]
    """Passes calls on to the provider, and its answers and errors back."""

    def __init__(self, upstream: str, types: Collection[str]) -> None:
        self._channel = grpc.insecure_channel(upstream, options=OPTIONS)
        # the provider answers the same each time
        self._schema = lru_cache(lambda request: thin_schema(self._call(_GET_SCHEMA)(request), types))

    def _call(self, method: str) -> Any:
        return self._channel.unary_unary(f"/{_SERVICE}/{method}")

    def service(self, handler_call_details: Any) -> Any:
        """The handler for a method, or None for those that are not the provider's."""
        service, _, method = handler_call_details.method.strip("/").partition("/")
        if service != _SERVICE:
            return None
        call = self._schema if method == _GET_SCHEMA else self._call(method)

        def answer(request: bytes, context: Any) -> Any:
            try:
                return call(request)
            except grpc.RpcError as error:
                context.abort(error.code(), error.details())

        return grpc.unary_unary_rpc_method_handler(answer)


def serve(upstream: str, socket: str, types: Collection[str]) -> None:
    """Serve until stdin ends."""
    server = grpc.server(ThreadPoolExecutor(16), options=OPTIONS)
    server.add_generic_rpc_handlers((_Calls(upstream, types),))
    serve_until_stdin_ends(server, socket)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], frozenset(sys.argv[3:]))
