"""A real PostgreSQL for tests: a server of their own on a free loopback port, gone when they end."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

#: Where Debian and its kin put the programs of a server, which are not on PATH.
_DEBIAN = Path("/usr/lib/postgresql")
_SUPERUSER = "states"
_START_SECONDS = 60.0


@dataclass(frozen=True)
class Postgres:
    """A running server: `connection` is a connection string without a password, since it asks for none."""

    connection: str
    psql: Path

    def query(self, sql: str) -> list[str]:
        """The rows of a query, a line each."""
        command = [str(self.psql), self.connection, "--no-psqlrc", "-qAt", "-c", sql]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def find_programs() -> Path | None:
    """The folder of `initdb`, `postgres` and `psql`, of the newest server that is installed."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    # a version is a number, such as 15
    found = [path.parent for path in _DEBIAN.glob("[0-9]*/bin/initdb")]
    return max(found, key=lambda path: int(path.parent.name.split(".")[0]), default=None)


@contextmanager
def start_postgres(programs: Path) -> Iterator[Postgres]:
    """Run a server until the block ends, by the programs in that folder."""
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as folder:
        data, port = Path(folder, "data"), _free_port()
        user = _owner(Path(folder))
        auth = ["-U", _SUPERUSER, "--auth=trust", "--no-sync", "-E", "UTF8"]
        _run([programs / "initdb", "-D", data, *auth], user, folder)
        options = ["-c", "listen_addresses=127.0.0.1", "-p", port, "-k", "", "-c", "fsync=off"]
        with (Path(folder, "log")).open("wb") as log:
            server = subprocess.Popen(
                [str(part) for part in (programs / "postgres", "-D", data, *options)],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=user,
            )
            try:
                address = f"postgres://{_SUPERUSER}@127.0.0.1:{port}/postgres?sslmode=disable"
                found = Postgres(address, programs / "psql")
                _wait(found, server, Path(folder, "log"))
                yield found
            finally:
                # SIGINT is its fast shutdown
                server.send_signal(2)
                server.wait()


def _owner(folder: Path) -> str | int | None:
    """Who may run a server on `folder`: PostgreSQL refuses root, so it is nobody's then."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return nobody.pw_uid


def _run(command: list[object], user: str | int | None, folder: str) -> None:
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, user=user, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stdout}{done.stderr}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _wait(found: Postgres, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            found.query("select 1")
        except subprocess.CalledProcessError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"PostgreSQL did not start: {log.read_text(errors='replace')}")
