"""The program Terraform starts: go-plugin's handshake, then gRPC over a Unix socket, until Terraform ends.

Terraform starts a provider several times in a command, so what costs time at the start is
kept out: there is no search for packages, and the schema is only encoded where it is asked for.
Where even that is too much, one process stays for many commands (`stay`).
"""

from __future__ import annotations

import base64
import os
import shutil
import signal
import ssl
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped,unused-ignore]

from tests.schema_provider.facts import FOLDER, read_facts, variable_of
from tests.schema_provider.objects import Cloud
from tests.schema_provider.provider import SchemaProvider
from tests.schema_provider.schema import read_schema
from tests.schema_provider.wire import fields

# what go-plugin and Terraform have agreed on: Terraform, internal/plugin6/serve.go
_COOKIE = ("TF_PLUGIN_MAGIC_COOKIE", "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2")
_PROTOCOLS = "1|6|unix|{socket}|grpc|{certificate}"
_PARENT_POLL_SECONDS = 0.5
_LAST_ANSWER_SECONDS = 0.02
#: Options of gRPC: a schema is larger than it takes without.
OPTIONS = (("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1))

#: The line that a server says when it can be called: this, and its port.
READY = "ready "


class _Calls(grpc.GenericRpcHandler):  # type: ignore[misc,unused-ignore]
    """Routes calls to the provider, and Terraform's good-bye to us.

    A provider is made at the start, and anew whenever one is configured: the next command finds
    the cloud as it is then.
    """

    def __init__(self, make: Callable[[], SchemaProvider], stopped: threading.Event) -> None:
        self._make = make
        self._provider = make()
        self._stopped = stopped

    def service(self, handler_call_details: Any) -> Any:
        """The handler for a method, or None for one we don't have."""
        service, _, method = handler_call_details.method.strip("/").partition("/")
        if service == "plugin.GRPCController":
            return grpc.unary_unary_rpc_method_handler(self._stop)
        if method == "ConfigureProvider":
            self._provider = self._make()
        answer = self._provider.calls.get(method) if service == "tfplugin6.Provider" else None
        if answer is None:
            return None
        return grpc.unary_unary_rpc_method_handler(lambda request, _: answer(fields(request)))

    def _stop(self, _request: bytes, _context: Any) -> bytes:
        self._stopped.set()
        return b""


def serve(provider: str, mirror: Path) -> None:
    """Serve the provider until Terraform says good-bye, or is gone."""
    cookie, value = _COOKIE
    if os.environ.get(cookie) != value:
        sys.exit("This is a Terraform provider: Terraform starts it.")
    # Ctrl-C is for Terraform, which tells us what to do
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()
    stopped = threading.Event()
    server = _server(provider, stopped)
    folder = tempfile.mkdtemp(prefix="tf")
    socket = os.path.join(folder, "s")
    key, certificate = ((mirror / name).read_bytes() for name in ("tls.key", "tls.crt"))
    server.add_secure_port(f"unix:{socket}", grpc.ssl_server_credentials([(key, certificate)]))
    server.start()
    der = base64.b64encode(ssl.PEM_cert_to_DER_cert(certificate.decode())).decode().rstrip("=")
    sys.stdout.write(_PROTOCOLS.format(socket=socket, certificate=der) + "\n")
    sys.stdout.flush()
    while not stopped.wait(_PARENT_POLL_SECONDS) and os.getppid() == parent:
        pass
    # the answer to the good-bye leaves first; then there is nothing to wait for
    threading.Event().wait(_LAST_ANSWER_SECONDS)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def stay(provider: str, socket: str) -> None:
    """Serve the provider at the socket until stdin ends, to each Terraform that comes by.

    TF_REATTACH_PROVIDERS tells Terraform of it. Says a line when it can be called.
    """
    serve_until_stdin_ends(_server(provider, threading.Event()), f"unix:{socket}")


def serve_until_stdin_ends(server: Any, address: str) -> None:
    """Serve at the address, without TLS, and end with the process that holds our stdin.

    Says READY and its port when it can be called.
    """
    port = server.add_insecure_port(address)
    server.start()
    sys.stdout.write(f"{READY}{port}\n")
    sys.stdout.flush()
    sys.stdin.read()
    os._exit(0)


def _server(provider: str, stopped: threading.Event) -> Any:
    variable = variable_of(provider)
    if variable not in os.environ:
        sys.exit(f"{variable} names no cloud: put the env of a SchemaCloud into Terraform's environment.")
    folder = Path(os.environ[variable])
    schema, facts = read_schema(FOLDER / "schemas" / f"{provider}.json"), read_facts(provider)
    server = grpc.server(ThreadPoolExecutor(8), options=OPTIONS)
    calls = _Calls(lambda: SchemaProvider(schema, facts, Cloud(folder)), stopped)
    server.add_generic_rpc_handlers((calls,))
    return server
