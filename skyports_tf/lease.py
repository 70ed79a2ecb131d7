"""Leases: which task files a process holds open until it ends, and whether it still lives.

A lease is a file in the tree's data folder, which is not committed:

    infra/.terraform/skyports/leases/CLUSTER@TOKEN.json
    {"version": 1, "cluster": "web", "files": ["web.yaml"], "pid": 4711, "since": "2026-12-01T18:00:00Z"}

Its holder keeps an flock on it, which the kernel drops with the process, whatever ended it: a
lease that nobody holds is abandoned, and what its files opened is to be closed (`reap`). Who
acts on a lease or on what it says holds its cluster (`locked_clusters`) meanwhile.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from skyports_tf.diagnostics import Diagnostic, FindingsError

#: Where the leases of a tree lie, relative to it; `.terraform/` is in the tree's .gitignore.
LEASES_FOLDER: Final = os.path.join(".terraform", "skyports", "leases")
LEASE_VERSION: Final = 1

#: `unknown`: the file system has no locks, or the file cannot be read; as good as held.
LeaseState = Literal["held", "abandoned", "unknown"]

_SUFFIX = ".json"
_UNFINISHED = ".new"
_LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease as another process sees it.

    `files` are the task files, as the ledger names them, that are in the ledger of `cluster` for
    the holder's sake alone; `pid` and `since` are for people.
    """

    path: Path
    cluster: str
    files: tuple[str, ...]
    pid: int
    since: str
    state: LeaseState


class HeldLease:
    """A lease of this process. It ends with `end` or `abandon`, or with the process."""

    def __init__(self, lease: Lease, descriptor: int) -> None:
        self.lease = lease
        self._descriptor = descriptor

    @property
    def cluster(self) -> str:
        """The cluster whose ports are held."""
        return self.lease.cluster

    def settle(self, all_leases: Iterable[Lease]) -> tuple[str, ...]:
        """From now on, only the files are this lease's that no other holder needs: those are given."""
        known = list(all_leases)
        # as it is in the file: an `apply` may have taken a file over
        current = next((lease for lease in known if lease.path == self.lease.path), self.lease)
        self.lease = replace(current, files=files_to_close(current, known))
        with _writing(self.lease.path):
            _write(self._descriptor, self.lease)
        return self.lease.files

    def end(self) -> None:
        """All that was held is closed: no trace is left."""
        with suppress(OSError):
            self.lease.path.unlink()
        self.abandon()

    def abandon(self) -> None:
        """Let go; what is still open is for `reap` to close."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def hold_lease(out: str, cluster: str, files: Sequence[str], since: str) -> HeldLease:
    """Begin a lease on `files` of `cluster` in the tree `out`; the caller holds the cluster.

    Raises `FindingsError` where the file cannot be written.
    """
    folder = _folder(out)
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"{cluster}@*{_UNFINISHED}"):  # of a holder that was killed just here
            left.unlink(missing_ok=True)
        descriptor, name = tempfile.mkstemp(suffix=_UNFINISHED, prefix=f"{cluster}@", dir=folder)
        path = Path(name).with_suffix(_SUFFIX)
        lease = Lease(path, cluster, tuple(files), os.getpid(), since, "held")
        with suppress(OSError):  # a file system without locks: the lease is never told abandoned
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _write(descriptor, lease)
        # only now can others see it: a lease that is seen is locked
        os.replace(name, path)
    return HeldLease(lease, descriptor)


def leases(out: str, cluster: str | None = None) -> tuple[Lease, ...]:
    """The leases of the tree `out`, or of one cluster of it, sorted by file name."""
    found = (_read(path) for path in sorted(_folder(out).glob(f"{cluster or '*'}@*{_SUFFIX}")))
    return tuple(lease for lease in found if lease is not None)


def files_to_close(lease: Lease, all_leases: Iterable[Lease]) -> tuple[str, ...]:
    """Those of the lease's files that no other holder needs, who may still live."""
    needed = {
        file
        for other in all_leases
        if other.path != lease.path and other.cluster == lease.cluster and other.state != "abandoned"
        for file in other.files
    }
    return tuple(file for file in lease.files if file not in needed)


def narrow_lease(lease: Lease, files: Iterable[str]) -> None:
    """Leave only `files` to a lease, whoever holds it; the caller holds its cluster."""
    with _writing(lease.path), suppress(FileNotFoundError):
        descriptor = os.open(lease.path, os.O_RDWR)
        try:
            _write(descriptor, replace(lease, files=tuple(files)))
        finally:
            os.close(descriptor)


def drop_lease(lease: Lease) -> None:
    """Remove an abandoned lease, after what it held was closed."""
    lease.path.unlink(missing_ok=True)


@contextmanager
def locked_clusters(out: str, clusters: Iterable[str]) -> Iterator[None]:
    """Hold `clusters` against others who open or close by leases; they wait meanwhile.

    Raises `FindingsError` where the lock files cannot be made.
    """
    folder = _folder(out)
    with ExitStack() as stack:
        for cluster in sorted(set(clusters)):  # in one order, so that no two wait for each other
            with _writing(folder):
                folder.mkdir(parents=True, exist_ok=True)
                file = stack.enter_context((folder / f"{cluster}{_LOCK}").open("ab"))
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _folder(out: str) -> Path:
    return Path(out).absolute() / LEASES_FOLDER


def _write(descriptor: int, lease: Lease) -> None:
    """Write in place: the lock is on this very file."""
    document = {
        "version": LEASE_VERSION,
        "cluster": lease.cluster,
        "files": list(lease.files),
        "pid": lease.pid,
        "since": lease.since,
    }
    text = f"{json.dumps(document)}\n".encode()
    os.pwrite(descriptor, text, 0)
    os.ftruncate(descriptor, len(text))


def _read(path: Path) -> Lease | None:
    """The lease at `path`; None where it is gone by now."""
    cluster = path.name.partition("@")[0]
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    except OSError:
        return Lease(path, cluster, (), 0, "", "unknown")
    try:
        state = _state_of(descriptor)
        document = json.loads(os.pread(descriptor, 1 << 20, 0))
        files = tuple(str(file) for file in document["files"])
        return Lease(path, cluster, files, int(document["pid"]), str(document["since"]), state)
    except (OSError, ValueError, KeyError, TypeError):
        return Lease(path, cluster, (), 0, "", "unknown")
    finally:
        os.close(descriptor)


def _state_of(descriptor: int) -> LeaseState:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return "held"
    except OSError:
        return "unknown"
    return "abandoned"


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"cannot write: {error.strerror or error}"
        raise FindingsError(Diagnostic("file-unwritable", message, path=str(path))) from None
