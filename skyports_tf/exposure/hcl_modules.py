"""The resources of .tf files: one module, and those that it calls in folders below.

Variables have the value of terraform.tfvars and *.auto.tfvars, else their default; what a command line or the
environment says is not known here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from skyports_tf.diagnostics import Diagnostic, Span
from skyports_tf.exposure.facts import looks_like_firewall, matters
from skyports_tf.exposure.hcl_code import Block, Body, Expression, read_code
from skyports_tf.exposure.hcl_expressions import evaluate
from skyports_tf.exposure.hcl_scopes import META, ModuleScope, NoNames, counted, each_of, expressions_of
from skyports_tf.exposure.resources import Configuration, Resource
from skyports_tf.exposure.values import UNKNOWN
from skyports_tf.text.textfile import read_text

_DEEPEST: Final = 8


@dataclass(slots=True)
class Code:
    """What was read of a folder: its resources, the file and line of each, and what is not literal."""

    resources: list[Resource] = field(default_factory=list)
    places: dict[str, tuple[str, int]] = field(default_factory=dict)
    notes: list[Diagnostic] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)


def read_module(folder: str) -> Code:
    """The resources that the .tf files in `folder` ask for; raises `FindingsError` for what is no HCL."""
    return _read(_files(folder), folder)


def read_file(path: str) -> Code:
    """The resources of one .tf file; raises `FindingsError` as `read_module`."""
    return _read([path], os.path.dirname(path))


def _read(files: Sequence[str], folder: str) -> Code:
    code = Code()
    root: dict[str, Any] = {}
    module = _Module(folder, "", _bodies(files), code, root)
    module.given = _tfvars(folder)
    module.read(Configuration(root))
    return code


def _files(folder: str) -> list[str]:
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    return [os.path.join(folder, name) for name in names if name.endswith((".tf", ".tf.json"))]


def _bodies(files: Sequence[str]) -> list[tuple[str, Body]]:
    return [(path, read_code(path, read_text(path))) for path in files]


def _tfvars(folder: str) -> dict[str, Any]:
    names = sorted(os.listdir(folder or ".")) if os.path.isdir(folder or ".") else []
    found: dict[str, Any] = {}
    ordered = [name for name in names if name == "terraform.tfvars"]
    ordered += [name for name in names if name.endswith(".auto.tfvars")]
    for name in ordered:
        path = os.path.join(folder, name)
        body = read_code(path, read_text(path))
        found.update({key: evaluate(item.text, NoNames()) for key, item in body.attributes.items()})
    return found


class _Module:
    """One call of a module: `given` are its arguments, `plan` its part of a plan's `configuration`."""

    def __init__(
        self, folder: str, address: str, bodies: list[tuple[str, Body]], code: Code, plan: dict[str, Any]
    ) -> None:
        self.folder, self.address, self.bodies, self.code, self.plan = folder, address, bodies, code, plan
        self.given: dict[str, Any] = {}
        self.open: set[str] = set()
        self.locals = {
            name: expression
            for block in self.blocks("locals")
            for name, expression in block.body.attributes.items()
        }
        self.variables = {block.labels[0]: block.body for block in self.blocks("variable") if block.labels}
        self.objects = {
            block.labels: block.body for block in self.blocks("resource") if len(block.labels) == 2
        }

    def blocks(self, kind: str) -> Iterator[Block]:
        return (block for _, body in self.bodies for block in body.of(kind))

    # -- names -----------------------------------------------------------------------------

    def variable(self, name: str) -> Any:
        if name in self.given:
            return self.given[name]
        default = self.variables[name].attributes.get("default") if name in self.variables else None
        return UNKNOWN if default is None else evaluate(default.text, NoNames())

    def local(self, name: str) -> Any:
        return self._once(f"local.{name}", self.locals.get(name))

    def attribute(self, steps: Sequence[str | int]) -> Any:
        """A literal attribute of another resource, such as its name."""
        kind, name, attribute = map(str, steps)
        body = self.objects.get((kind, name))
        if body is None or "for_each" in body.attributes or "count" in body.attributes:
            return UNKNOWN
        return self._once(f"{kind}.{name}.{attribute}", body.attributes.get(attribute))

    def _once(self, name: str, expression: Expression | None) -> Any:
        """The value of what `name` stands for; a name that needs itself has none."""
        if expression is None or name in self.open:
            return UNKNOWN
        self.open.add(name)
        try:
            return evaluate(expression.text, ModuleScope(self, {}))
        finally:
            self.open.discard(name)

    # -- resources -------------------------------------------------------------------------

    def read(self, code: Configuration) -> None:
        self.plan.update(resources=[], module_calls={}, outputs=self._outputs())
        for path, body in self.bodies:
            for block in body.of("resource"):
                if len(block.labels) != 2:
                    continue
                if looks_like_firewall(block.labels[0]):
                    self.code.unseen.append(_join(self.address, ".".join(block.labels)))
                if matters(block.labels[0]):
                    self._resource(path, block, code)
            for block in body.of("module"):
                if block.labels:
                    self._call(path, block, code)

    def _resource(self, path: str, block: Block, code: Configuration) -> None:
        kind, name = block.labels
        place = f"{kind}.{name}"
        self.plan["resources"].append({"address": place, "expressions": expressions_of(block.body)})
        for index, names in self._instances(path, block, place):
            values = self._values(block.body, names)
            address = _join(self.address, f"{place}{index}")
            expressions = code.expressions(self.address, place)
            self.code.places[address] = path, block.line
            self.code.resources.append(Resource(address, kind, values, self.address, expressions, code))

    def _instances(self, path: str, block: Block, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Index and names of each instance; one without an index where nobody can tell how many there are."""
        for word in ("for_each", "count"):
            expression = block.body.attributes.get(word)
            if expression is None:
                continue
            value = evaluate(expression.text, ModuleScope(self, {}))
            found = counted(value) if word == "count" else each_of(value)
            if found is None:
                self._note(path, expression, f"{word} of {_join(self.address, place)} is not literal")
                yield "", {"each": UNKNOWN, "count": UNKNOWN}
            yield from found or ()
            return
        yield "", {}

    def _note(self, path: str, expression: Expression, message: str) -> None:
        end = expression.column + len(expression.text.splitlines()[0])
        span = Span(expression.line, expression.column, expression.line, end)
        self.code.notes.append(Diagnostic("not-literal", message, path, span, severity="note"))

    def _values(self, body: Body, names: Mapping[str, Any]) -> dict[str, Any]:
        scope = ModuleScope(self, names)
        found: dict[str, Any] = {
            name: evaluate(expression.text, scope)
            for name, expression in body.attributes.items()
            if name not in META
        }
        for block in body.blocks:
            if block.kind == "dynamic" and block.labels:
                found.setdefault(block.labels[0], []).extend(self._dynamic(block, names))
            elif block.kind not in META:
                listed = found.setdefault(block.kind, [])
                if isinstance(listed, list):
                    listed.append(self._values(block.body, names))
        return found

    def _dynamic(self, block: Block, names: Mapping[str, Any]) -> Iterator[Any]:
        """The blocks that a dynamic block makes; `UNKNOWN` where nobody can tell."""
        expression = block.body.attributes.get("for_each")
        found = each_of(evaluate(expression.text, ModuleScope(self, names))) if expression else None
        iterator = block.body.attributes.get("iterator")
        name = iterator.text if iterator else block.labels[0]
        content = next(block.body.of("content"), None)
        if found is None or content is None:
            yield UNKNOWN
            return
        for _, each in found:
            yield self._values(content.body, {**names, name: each["each"]})

    # -- modules ---------------------------------------------------------------------------

    def _outputs(self) -> dict[str, Any]:
        return {
            block.labels[0]: {"expression": expressions_of(block.body).get("value")}
            for block in self.blocks("output")
            if block.labels
        }

    def _call(self, path: str, block: Block, code: Configuration) -> None:
        source = block.body.attributes.get("source")
        folder = evaluate(source.text, NoNames()) if source else UNKNOWN
        place = f"module.{block.labels[0]}"
        if not isinstance(folder, str) or not folder.startswith("."):
            if source is not None:
                self._note(path, source, f"{_join(self.address, place)} is not read: it is no folder here")
            return
        below = os.path.normpath(Path(self.folder, folder))
        inside: dict[str, Any] = {}
        call = {"expressions": expressions_of(block.body), "module": inside}
        self.plan["module_calls"][block.labels[0]] = call
        if self.address.count("module.") >= _DEEPEST:
            return
        bodies = _bodies(_files(below))
        for index, names in self._instances(path, block, place):
            module = _Module(below, _join(self.address, f"{place}{index}"), bodies, self.code, inside)
            module.given = self._values(block.body, names)
            module.read(code)


def _join(module: str, place: str) -> str:
    return f"{module}.{place}" if module else place
