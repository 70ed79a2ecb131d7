"""The page as HTML: one file, which loads nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from skyports_tf.diagnostics import Diagnostic, visible
from skyports_tf.report.diagnostics import diagnostic_json
from skyports_tf.report.page import build_page
from skyports_tf.report.page_stacks import PageStack
from skyports_tf.report.review import audience, stack_reach
from skyports_tf.report.style import count, style
from skyports_tf.templating import render_page

#: What every page of ours says of itself near its beginning.
GENERATOR = '<meta name="generator" content="skyports-tf">'
VERSION = 1
_KILOBYTE = 1000


def page_html(tree: str, stacks: Sequence[PageStack], ours: tuple[str, ...] = ()) -> str:
    """The page of a tree's stacks: the same stacks give the same bytes."""
    return render_page({"page": build_page(tree, stacks, ours)})


def is_page(beginning: str) -> bool:
    """Whether a file that begins like this is a page of ours."""
    return GENERATOR in beginning


def page_text(written: tuple[str, str, int], stacks: Sequence[PageStack], ours: tuple[str, ...]) -> str:
    """What was written, for a person: `written` is the tree, the page's file and its size."""
    _, path, size = written
    exposed = sum(_is_exposed(item, ours) for item in stacks)
    told = f"{count(len(stacks), 'stack')}, {exposed} open to the internet, {-(-size // _KILOBYTE)} kB"
    return f"{style('Wrote:', 'bold')}  {visible(path)}  {told}"


def page_json(
    written: tuple[str, str | None, int],
    stacks: Iterable[PageStack],
    ours: tuple[str, ...],
    found: Iterable[Diagnostic],
) -> dict[str, Any]:
    """The document of `report`; `page` is null where none was written."""
    tree, path, size = written
    return {
        "version": VERSION,
        "out": tree,
        "page": path,
        "bytes": size,
        "stacks": [
            {
                "name": item.stack.name,
                "directory": item.stack.directory,
                "cluster": item.stack.cluster,
                "cloud": item.stack.cloud,
                "region": item.stack.region,
                "internet": _is_exposed(item, ours),
            }
            for item in stacks
        ],
        "diagnostics": [diagnostic_json(item) for item in sorted(found, key=lambda item: item.sort_key)],
    }


def _is_exposed(item: PageStack, ours: tuple[str, ...]) -> bool:
    return any(audience(item.stack.cloud, source, ours) != "inside" for _, source in stack_reach(item.stack))
