"""`__main__.py PROVIDER MIRROR PATH...`: serve a provider; PATHs are where its packages are."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    name, mirror, *paths = sys.argv[1:]
    sys.path[:0] = paths
    from pathlib import Path

    from tests.schema_provider.server import serve

    serve(name, Path(mirror))
