"""The blocks and attributes of .tf files, each expression as it is written, with its place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from skyports_tf.diagnostics import Diagnostic, FindingsError, Span

_LABELLED = {"resource": 2, "data": 2, "module": 1, "variable": 1, "output": 1, "provider": 1}


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression as written, and the line and column where it begins."""

    text: str
    line: int = 1
    column: int = 1


@dataclass(frozen=True, slots=True)
class Body:
    """What stands between braces: attributes by name, and blocks in their order."""

    attributes: dict[str, Expression] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)

    def of(self, kind: str) -> Iterator[Block]:
        """The blocks of one type."""
        return (block for block in self.blocks if block.kind == kind)


@dataclass(frozen=True, slots=True)
class Block:
    """A block: its type, its labels, its body and the line where it begins."""

    kind: str
    labels: tuple[str, ...]
    body: Body
    line: int = 1


def read_code(path: str, text: str) -> Body:
    """The body of a .tf file, or of a .tf.json file; raises `FindingsError` for one that is neither."""
    return _read_json(path, text) if path.endswith(".json") else _read_hcl(path, text)


def _read_hcl(path: str, text: str) -> Body:
    # a third of the start-up time of a call that reads no .tf
    from hcl2.api import parses_to_tree
    from lark.exceptions import LarkError, UnexpectedInput

    if not text.endswith("\n"):
        text += "\n"
    try:
        tree = parses_to_tree(text)
    except UnexpectedInput as error:
        raise FindingsError(_refused(path, text, error.line, error.column)) from None
    except (LarkError, RecursionError):
        raise FindingsError(Diagnostic("code-invalid", "the file is no HCL", path)) from None
    return _body(tree.children[0], text)


def _refused(path: str, text: str, line: int, column: int) -> Diagnostic:
    lines = text.splitlines()
    if not 0 < line <= len(lines):
        return Diagnostic("code-invalid", "the file ends in the middle of HCL", path)
    span = Span(line, max(column, 1), line, max(column, 1) + 1)
    return Diagnostic("code-invalid", "HCL does not go on like this", path, span, source_line=lines[line - 1])


def _body(tree: Any, text: str) -> Body:
    body = Body()
    for part in tree.children:
        kind = getattr(part, "data", None)
        if kind == "attribute":
            name, value = part.children[0], part.children[-1]
            written = text[value.meta.start_pos : value.meta.end_pos]
            expression = Expression(written, value.meta.line, value.meta.column)
            body.attributes[_slice(name, text)] = expression
        elif kind == "block":
            body.blocks.append(_block(part, text))
    return body


def _block(tree: Any, text: str) -> Block:
    words = [part for part in tree.children if getattr(part, "data", None) in ("identifier", "string")]
    kind, *labels = (_slice(part, text).strip('"') for part in words)
    inside = next((part for part in tree.children if getattr(part, "data", None) == "body"), None)
    return Block(kind, tuple(labels), Body() if inside is None else _body(inside, text), tree.meta.line)


def _slice(tree: Any, text: str) -> str:
    return text[tree.meta.start_pos : tree.meta.end_pos]


def _read_json(path: str, text: str) -> Body:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FindingsError(Diagnostic("code-invalid", f"the file is no JSON: {error}", path)) from None
    if not isinstance(document, dict):
        raise FindingsError(Diagnostic("code-invalid", "the file is no Terraform in JSON", path))
    body = Body()
    for kind, content in document.items():
        for labels, inside in _labelled(content, _LABELLED.get(kind, 0)):
            body.blocks.append(Block(kind, labels, _json_body(inside)))
    return body


def _labelled(content: Any, depth: int) -> Iterator[tuple[tuple[str, ...], Any]]:
    for item in content if isinstance(content, list) else [content]:
        if depth == 0:
            yield (), item
        elif isinstance(item, dict):
            for label, inside in item.items():
                yield from (((label, *labels), part) for labels, part in _labelled(inside, depth - 1))


def _json_body(content: Any) -> Body:
    """In JSON, blocks and attributes look alike, and lists of objects are found as blocks."""
    given = content if isinstance(content, dict) else {}
    return Body({name: Expression(_as_hcl(value)) for name, value in given.items()})


def _as_hcl(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_as_hcl(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_as_hcl, value)) + "]"
    # a text is a template, with HCL's marks in it
    return json.dumps(value, ensure_ascii=False)
