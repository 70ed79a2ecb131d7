"""`__main__.py PROVIDER WHERE PATH...`: serve a provider; PATHs are where its packages are.

WHERE is the mirror that the program stands in, where Terraform starts it, or `unix:SOCKET`
where it is to stay.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    name, where, *paths = sys.argv[1:]
    sys.path[:0] = paths
    from pathlib import Path

    from tests.schema_provider.server import serve, stay

    if where.startswith("unix:"):
        stay(name, where.removeprefix("unix:"))
    else:
        serve(name, Path(where))
