"""`python -m bench [--write] [PART...]`: without a part all of them, and docs/benchmarks.md is written.

With `--write`, the sections of the named parts are written anew, and the others stay.
"""

from __future__ import annotations

import sys
from importlib import import_module

from bench.report import PAGE, page, renewed, section

PARTS = {
    "cold": "cold",
    "fleet": "fleet",
    "ranges": "ranges",
    "exposure": "exposure",
    "terraform": "terraform_runs",
    "together": "together",
    "grouped": "grouped",
}


def main(arguments: list[str]) -> int:
    """Run the parts; 1 where a promise was missed, 2 for a part that does not exist."""
    wanted = [word for word in arguments if word != "--write"]
    unknown = set(wanted) - set(PARTS)
    if unknown:
        print(f"no such part: {', '.join(sorted(unknown))}; parts: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    results = []
    for name in wanted or PARTS:
        results.append(import_module(f"bench.{PARTS[name]}").run_part())
        print(section(results[-1]), flush=True)
    if not wanted or "--write" in arguments:
        text = renewed(PAGE.read_text(encoding="utf-8"), results) if wanted else page(results)
        PAGE.write_text(text, encoding="utf-8")
        print(f"wrote {PAGE.relative_to(PAGE.parent.parent)}")
    missed = [item.promise for result in results for item in result.comparisons if not item.kept]
    missed += [promise for result in results for promise in result.missed]
    for promise in missed:
        print(f"missed: {promise}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
