"""What is wrong with a text that is no YAML, in our words."""

from __future__ import annotations

from typing import Final

#: How libyaml's sentence begins -> (our sentence, the way out).
_SENTENCES: Final[dict[str, tuple[str, str | None]]] = {
    "mapping values are not allowed": (
        "a ':' stands where no key can be",
        "quote a text that holds ': ', or check the indentation",
    ),
    "found character '\\t'": ("a tab cannot indent YAML", "use spaces"),
    "found character that cannot start": (
        "this character cannot begin a value",
        "quote a text that begins with %, @, ` or a tab",
    ),
    "found undefined alias": (
        "an alias without its anchor",
        "quote a text that begins with '*', such as infra: '*'",
    ),
    "did not find expected alphabetic": (
        "'*' and '&' begin an alias or an anchor, and a name must follow",
        "quote a text that begins with '*' or '&', such as infra: '*'",
    ),
    "did not find expected key": (
        "this line is neither a key of the mapping above nor the end of it",
        "check the indentation",
    ),
    "did not find expected '-'": ("an item of a list must begin with '-'", "check the indentation"),
    "did not find expected ',' or ']'": ("the list [ ... ] goes on without ',' and without ']'", None),
    "did not find expected ',' or '}'": ("the mapping { ... } goes on without ',' and without '}'", None),
    "could not find expected ':'": ("a key without its ':'", "write 'key: value'"),
    "did not find expected <document start>": (
        "something stands between the end of the document and the next '---'",
        "check the indentation of this line",
    ),
    "found unexpected end of stream": ("the text ends inside a quoted value", "close the quote"),
    "found unknown escape character": (
        'no such escape in a "double quoted" text',
        "write '\\\\' for a backslash, or use single quotes",
    ),
    "found duplicate anchor": ("an anchor of this name stands above already", "give each its own name"),
    "could not determine a constructor": (
        "a YAML tag that task files do not know",
        "remove the tag that begins with '!'",
    ),
    "control characters are not allowed": ("a control character", "remove it"),
    "expected a mapping": ("'<<' merges mappings only", "give '<<' an alias of a mapping"),
    "found unhashable key": ("a key must be a plain value, not a list or a mapping", None),
    "while scanning a directive": ("a directive that YAML does not know", None),
}


def explain_syntax(problem: str) -> tuple[str, str | None]:
    """Our sentence and the way out for libyaml's or PyYAML's `problem`."""
    for beginning, sentence in _SENTENCES.items():
        if problem.startswith(beginning):
            return sentence
    return problem, None
