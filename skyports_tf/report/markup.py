"""Texts of users inside Markdown, HTML and Mermaid: what they hold is shown, and steers nothing.

A code span is the one place of GitHub's and GitLab's Markdown where neither markup nor @mentions, #numbers,
:emoji: nor bare links mean anything. What would end it is shown escaped, as control characters are.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

from skyports_tf.diagnostics import visible

# a backtick ends the span, a pipe the cell of a table, even in a span
_ENDS = str.maketrans({"`": "\\x60", "|": "\\x7c"})
# letters and digits with single signs between them are plain text in every dialect, but for what becomes a
# link: GH-1 is an issue, www.example.com a page
_PLAIN = re.compile(r"(?!(?i:gh-|www\.))[A-Za-z0-9]+(?:[-_/.][A-Za-z0-9]+)*")
# a full stop before a blank would begin a list, `fa:fa-car` is an icon, and `direction LR` a statement even
# within a label
_MERMAID_PLAIN = re.compile(r"[A-Za-z0-9,/_()-]|:(?!fa-)|(?<!direction) |\.(?=[A-Za-z0-9])", re.IGNORECASE)
_FENCE = re.compile(r"`{3,}")


def code(text: str) -> str:
    """The text as a code span, in a table too; empty texts are a dash."""
    shown = visible(text).translate(_ENDS)
    # a span of blanks alone is none, and blanks at both ends are dropped
    return f"`{shown}`" if shown.strip() else "-"


def plain(text: str) -> str:
    """The text without any mark-up where it holds nothing that could be any, else as a code span."""
    return text if _PLAIN.fullmatch(text) else code(text)


def html_code(text: str) -> str:
    """The text as HTML code, for where Markdown is not read."""
    return f"<code>{html.escape(visible(text))}</code>"


def fenced(text: str, language: str = "text") -> str:
    """Lines as a fenced block, which no line can end."""
    longest = max((len(found) for found in _FENCE.findall(text)), default=2)
    fence = "`" * max(3, longest + 1)
    shown = "\n".join(map(visible, text.split("\n")))
    return f"{fence}{language}\n{shown}\n{fence}"


def mermaid(text: str) -> str:
    """The text inside a quoted label of Mermaid, which is never empty: what is not plain as entity codes."""
    shown = visible(text) or "-"
    return "".join(
        char if _MERMAID_PLAIN.match(shown, place) else f"#{ord(char)};" for place, char in enumerate(shown)
    )


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of cells that are Markdown already, without a newline at its end."""
    titles = list(heads)
    lines = [f"| {' | '.join(titles)} |", "|" + " --- |" * len(titles)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def folded(summary: str, body: str) -> str:
    """What opens at a click; `summary` is HTML, `body` Markdown."""
    return f"<details><summary>{summary}</summary>\n\n{body}\n\n</details>"
