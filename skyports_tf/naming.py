"""What SkyPilot calls a cluster, and what its objects are called on a cloud.

Facts: SkyPilot 0.14.1, sky/utils/common_utils.py (make_cluster_name_on_cloud,
check_cluster_name_is_valid, get_user_hash) and sky/skylet/constants.py (CLUSTER_NAME_VALID_REGEX).
"""

from __future__ import annotations

import hashlib
import re

_CLUSTER_NAME = re.compile(r"[a-zA-Z]([-_.a-zA-Z0-9]*[a-zA-Z0-9])?")
_USER_HASH = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9-]*")
#: Folders of ours in the out folder, which no cluster may be called.
RESERVED_NAMES = frozenset({"groups", "modules"})
#: The way out where the user hash is needed and unknown.
USER_HASH_HELP = "set `user_hash` in the config or SKYPILOT_USER_ID; SkyPilot keeps it in ~/.sky/user_hash"

_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
_DIGEST_LENGTH = 2
#: SkyPilot's user hash has eight characters; `?` is the cloud's wildcard for one.
_ANY_USER_HASH = "?" * 8


class NameTooLongError(ValueError):
    """A cluster's name on a cloud has no room for SkyPilot's suffix."""


def is_cluster_name(text: str) -> bool:
    """Whether SkyPilot takes `text` as the display name of a cluster."""
    return _CLUSTER_NAME.fullmatch(text) is not None


def folder_name(text: str) -> str:
    """`text` as the name of a folder: as it is where it is plain, else what is plain of it and a digest."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", text):
        return text
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:80]
    return f"{plain}-{hashlib.sha256(text.encode()).hexdigest()[:8]}".lstrip("-")


def is_user_hash(text: str) -> bool:
    """Whether SkyPilot takes `text` as a user hash."""
    return _USER_HASH.fullmatch(text) is not None


def name_on_cloud(cluster: str, user_hash: str, max_length: int | None = None) -> str:
    """The name that SkyPilot gives `cluster` on a cloud, such as `web-a1b2c3d4`.

    A name of more than `max_length` characters is cut, and two characters of a digest of the
    display name tell it from others that begin alike. Raises `NameTooLongError` where
    `max_length` leaves no room for a name.
    """
    base = re.sub(r"[._]", "-", cluster).lower()
    suffix = f"-{user_hash}"
    if max_length is None or len(base) + len(suffix) <= max_length:
        return base + suffix
    room = max_length - _DIGEST_LENGTH - 1 - len(suffix)
    if room <= 0:
        raise NameTooLongError(
            f"a name of {max_length} characters has no room for {cluster!r} and {user_hash!r}"
        )
    return f"{base[:room].rstrip('-')}-{_short_digest(cluster)}{suffix}"


def name_on_cloud_pattern(cluster: str) -> str:
    """What the cluster's name on a cloud looks like whoever launched it, with `?` as wildcard."""
    return name_on_cloud(cluster, _ANY_USER_HASH)


def _short_digest(cluster: str) -> str:
    # the name is told from others by it; nothing secret hangs on it
    number = int(hashlib.md5(cluster.encode(), usedforsecurity=False).hexdigest(), 16)
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _BASE36[digit] + digits
    return digits[:_DIGEST_LENGTH]
