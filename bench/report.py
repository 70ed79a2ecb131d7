"""Results as a table for the terminal and as docs/benchmarks.md."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from bench.measure import Comparison, PartResult
from skyports_tf import __version__

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
_LIBRARIES = ("click", "Jinja2", "jsonschema", "PyYAML", "python-terraform")


def table(comparisons: Sequence[Comparison]) -> str:
    """A Markdown table: the promise, both medians, the ratio and what it may be at most."""
    rows = [
        f"| {item.promise} | {_figure(item.ours.wall, item)} | {_figure(item.baseline.wall, item)} "
        f"| **{item.ratio:.2f}** | {item.limit:g} | {item.cpu_ratio:.2f} "
        f"| {item.rounds} | {'kept' if item.kept else '**missed**'} |"
        for item in comparisons
    ]
    head = [
        "| ours : baseline | ours | baseline | ratio | at most | of CPU | rounds | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join(head + rows)


def section(part: PartResult) -> str:
    """One part as Markdown."""
    remarks = [f"{remark}\n" for remark in part.remarks]
    return "\n".join([f"## {part.title}\n", f"{part.method}\n", table(part.comparisons) + "\n", *remarks])


def page(parts: Sequence[PartResult]) -> str:
    """docs/benchmarks.md."""
    head = (
        "# Benchmarks\n\n"
        "Written by `make bench` as seen in one run; run it again to see your own. Both sides of a\n"
        "ratio are measured in turns in the same run, and the figures are medians by the clock. The\n"
        "ratio of processor time stands beside them: a busy machine moves it less.\n\n"
    )
    facts = "\n".join(f"- {fact}" for fact in _facts())
    return head + facts + "\n\n" + "\n".join(section(part) for part in parts)


def renewed(text: str, parts: Sequence[PartResult]) -> str:
    """A page with the sections of `parts` in the place of the former ones; a new one comes last."""
    head, *sections = re.split(r"^(?=## )", text, flags=re.MULTILINE)
    found = {part.partition("\n")[0]: part.rstrip() for part in sections}
    date = time.strftime("%Y-%m-%d", time.gmtime())
    for part in parts:
        found[f"## {part.title}"] = f"{section(part).rstrip()}\n\nSeen on {date}, apart from the others."
    return head + "\n\n".join(found.values()) + "\n"


def _facts() -> Iterator[str]:
    yield f"Date: {time.strftime('%Y-%m-%d', time.gmtime())}"
    yield f"Machine: {os.cpu_count()} cores, {_processor()}, {_memory()} GiB, {platform.system()}"
    yield f"skyports-tf {__version__}, Python {platform.python_version()}, " + ", ".join(
        f"{name} {version(name)}" for name in _LIBRARIES
    )
    terraform = os.environ.get("TERRAFORM") or shutil.which("terraform") or shutil.which("tofu")
    if terraform:
        said = subprocess.run([terraform, "version"], capture_output=True, text=True, check=False).stdout
        yield said.partition("\n")[0]


def _processor() -> str:
    try:
        found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except OSError:
        found = None
    return found[1] if found else platform.machine()


def _memory() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)


def _figure(seconds: float, item: Comparison) -> str:
    return f"{seconds * item.scale:.3g} {item.unit}"
