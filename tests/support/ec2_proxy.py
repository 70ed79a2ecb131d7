"""A loopback proxy between Terraform (or boto3) and a local AWS, which numbers, keeps and spoils calls.

    with start_proxy(moto.url) as proxy:
        env = proxy.server.env              # what makes Terraform and boto3 use it
        proxy.before = lambda call: Refuse("InternalError", status=500) if call.number == 7 else None
        ...
        [call.action for call in proxy.calls if call.is_write]

Calls are passed on one at a time, so that their numbers are the order in which the cloud has
taken them. `before` is asked when a call has come and was not passed on, `after` when the cloud
has answered and the caller knows nothing of it yet; what they give is done instead (None: the
call, or the answer, is passed on). Both run in the proxy's turn: nothing else reaches the cloud
meanwhile, so that a hook that kills the caller knows exactly what has been done.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeAlias
from urllib.parse import parse_qsl, urlsplit
from xml.sax.saxutils import escape

from tests.support.local_aws import MotoServer, ec2

_READS = ("Describe", "Get", "List", "Head", "Lookup")
_NOT_PASSED_ON = {"connection", "content-length", "keep-alive", "transfer-encoding"}
_SECONDS = 60.0


@dataclass(frozen=True)
class Answer:
    """What the caller is told."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")


@dataclass(frozen=True)
class Call:
    """One call; `number` counts from 1 in the order in which the calls came to the cloud.

    `service` is AWS's name of it (`ec2`, `sts`, `s3`), `action` the action of a form-encoded call and
    else the HTTP method and path. `answer` is the cloud's own, None where the call was not passed on;
    `spoiled` is what a hook had done instead.
    """

    number: int
    service: str
    action: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    answer: Answer | None = None
    spoiled: Decision | None = None

    @property
    def is_write(self) -> bool:
        """Whether the call may change the cloud."""
        return not self.action.startswith(_READS)

    @property
    def is_done(self) -> bool:
        """Whether the cloud has taken it and said yes, whatever the caller was told."""
        return self.answer is not None and self.answer.status < 300


@dataclass(frozen=True)
class Refuse:
    """Answer with an error in EC2's form."""

    code: str
    message: str = "refused by the test"
    status: int = 400

    @property
    def answer(self) -> Answer:
        """The error as EC2 spells it."""
        error = f"<Code>{escape(self.code)}</Code><Message>{escape(self.message)}</Message>"
        body = f"<Response><Errors><Error>{error}</Error></Errors><RequestID>test</RequestID></Response>"
        return Answer(
            self.status,
            f'<?xml version="1.0" encoding="UTF-8"?>{body}'.encode(),
            (("Content-Type", "text/xml"),),
        )


@dataclass(frozen=True)
class Drop:
    """Say nothing and close the connection, after `seconds` of silence."""

    seconds: float = 0.0


Decision: TypeAlias = Refuse | Drop
Hook: TypeAlias = Callable[[Call], Decision | None]


def pass_on(call: Call) -> Decision | None:
    """A hook that spoils nothing."""
    return None


class Proxy:
    """A running proxy to the AWS at `target`.

    `before` and `after` are the hooks, to be set at any time. With `holds_groups`, a security group
    that a network interface of an instance holds cannot be deleted: EC2 answers DependencyViolation,
    moto deletes it.
    """

    def __init__(self, target: str, *, holds_groups: bool = True) -> None:
        self.before: Hook = pass_on
        self.after: Hook = pass_on
        self.holds_groups = holds_groups
        self._target = target
        self._calls: list[Call] = []
        self._turn = threading.RLock()
        self._stopped = threading.Event()
        self._server = _Server(("127.0.0.1", 0), partial(_Handler, self))

    @property
    def server(self) -> MotoServer:
        """The local AWS as seen through the proxy: its URL and environment."""
        return MotoServer(f"http://127.0.0.1:{self._server.server_address[1]}")

    @property
    def calls(self) -> tuple[Call, ...]:
        """All calls since the start, or since `forget`, in the order of their numbers."""
        with self._turn:
            return tuple(self._calls)

    def forget(self) -> None:
        """Begin to count at 1 again."""
        with self._turn:
            self._calls.clear()

    def serve(self) -> None:
        """Answer until `stop`."""
        self._server.serve_forever(poll_interval=0.05)

    def stop(self) -> None:
        """End, silent connections too."""
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()

    def handle(self, request: Request) -> Answer | None:
        """What the caller is told; None is silence and the end of the connection."""
        with self._turn:
            call = _call_of(len(self._calls) + 1, request)
            self._calls.append(call)
            decision = self.before(call) or self._held(call)
            if decision is None:
                call = replace(call, answer=_forward(self._target, request))
                decision = self.after(call)
            self._calls[call.number - 1] = replace(call, spoiled=decision)
        if isinstance(decision, Refuse):
            return decision.answer
        if isinstance(decision, Drop):
            self._stopped.wait(decision.seconds)
            return None
        return call.answer

    def _held(self, call: Call) -> Decision | None:
        """EC2 keeps a group that is in use: API reference, DeleteSecurityGroup."""
        if not self.holds_groups or call.action != "DeleteSecurityGroup":
            return None
        group = call.parameters.get("GroupId") or call.parameters.get("GroupName", "")
        holders = [name for name, groups in instance_groups(self._target).items() if group in groups]
        message = f"resource {group} has a dependent object"
        return Refuse("DependencyViolation", message) if holders else None


@contextmanager
def start_proxy(target: str, *, holds_groups: bool = True) -> Iterator[Proxy]:
    """Run a proxy to the AWS at `target` on a free loopback port until the block ends."""
    proxy = Proxy(target, holds_groups=holds_groups)
    thread = threading.Thread(target=proxy.serve, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.stop()
        thread.join()


def instance_groups(url: str) -> dict[str, set[str]]:
    """Ids and names of the security groups on the interfaces of each instance that is not terminated."""
    found: dict[str, set[str]] = {}
    for reservation in ec2(url).describe_instances()["Reservations"]:
        for instance in reservation["Instances"]:
            if instance["State"]["Name"] != "terminated":
                groups = [group for card in instance["NetworkInterfaces"] for group in card["Groups"]]
                found[instance["InstanceId"]] = {
                    group[key] for group in groups for key in ("GroupId", "GroupName")
                }
    return found


# -- HTTP ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Request:
    """A call as it came."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


def _call_of(number: int, request: Request) -> Call:
    headers = {name.lower(): value for name, value in request.headers}
    # Credential=KEY/DATE/REGION/SERVICE/aws4_request
    scope = re.search(r"Credential=[^/]*/[^/]*/[^/]*/([^/]+)/", headers.get("authorization", ""))
    service = scope[1] if scope else ""
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        form = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        if "Action" in form:
            parameters = {name: value for name, value in form.items() if name not in ("Action", "Version")}
            return Call(number, service, form["Action"], parameters)
    action = headers.get("x-amz-target", "").rpartition(".")[2] or f"{request.method} {request.path}"
    return Call(number, service, action)


def _forward(target: str, request: Request) -> Answer:
    place = urlsplit(target)
    connection = HTTPConnection(place.hostname or "", place.port, timeout=_SECONDS)
    try:
        headers = {name: value for name, value in request.headers if name.lower() not in _NOT_PASSED_ON}
        connection.request(request.method, request.path, body=request.body, headers=headers)
        response = connection.getresponse()
        kept = [(name, value) for name, value in response.getheaders() if name.lower() not in _NOT_PASSED_ON]
        return Answer(response.status, response.read(), tuple(kept))
    finally:
        connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # a caller that was killed is no error of ours
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of callers that went away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # headers and body leave together, as in local_aws.py
    wbufsize = -1

    def __init__(self, proxy: Proxy, *rest: object) -> None:
        self._proxy = proxy
        super().__init__(*rest)  # type: ignore[arg-type]

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = self._proxy.handle(Request(self.command, self.path, tuple(self.headers.items()), body))
        if answer is None:
            self.close_connection = True
            return
        with suppress(ConnectionError):
            self.send_response_only(answer.status)
            for name, value in answer.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = _handle  # noqa: N815 (names of http.server)

    def log_message(self, *words: object) -> None:
        """Say nothing: the calls are kept."""
