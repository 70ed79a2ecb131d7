"""docs/reliability.md: a section for each measurement, each written by the command that it names."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reliability.md"
_HEAD = """\
# Reliability

What was measured on a local AWS with the real Terraform and the real AWS provider, behind a proxy that
sees every call. Each section is written by the command that it names.
"""


def put_section(title: str, text: str, page: Path = PAGE) -> None:
    """Write the section of that title, in place of the one that is there."""
    before = page.read_text(encoding="utf-8") if page.exists() else _HEAD
    page.write_text(with_section(before, title, text), encoding="utf-8")


def with_section(page: str, title: str, text: str) -> str:
    """The page with the section; a new one comes last."""
    section = f"## {title}\n\n{text.strip()}\n"
    found = re.search(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    if found is None:
        return f"{page.rstrip()}\n\n{section}"
    rest = page[found.end() :]
    return page[: found.start()] + section + (f"\n{rest}" if rest else "")
