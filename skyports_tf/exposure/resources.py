"""Resources as plans, states and .tf files tell them, and who they refer to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

# a data source or a resource: its address without what is asked of it
_OBJECT = re.compile(r"(?:data\.)?[a-z][a-z0-9]*_[a-zA-Z0-9_-]*\.[a-zA-Z0-9_-]+")
_INDEX = re.compile(r"\[(?:\"(?:[^\"\\]|\\.)*\"|[0-9]+)\]")
_LAST_INDEX = re.compile(rf"{_INDEX.pattern}\Z")
_DEEPEST: Final = 12
#: What the expression of a single value has, where a block has its attributes.
_WHOLE: Final = frozenset({"references", "constant_value"})


@dataclass(frozen=True, slots=True)
class Configuration:
    """The code behind a plan (`configuration` of its JSON), to follow references through modules."""

    root: Mapping[str, Any] = field(default_factory=dict)
    _known: dict[int, dict[str, Mapping[str, Any]]] = field(default_factory=dict, compare=False, repr=False)

    def expressions(self, module: str, place: str) -> Mapping[str, Any] | None:
        """The expressions of the resource `place` (TYPE.NAME) in a module; None where it is not known."""
        code = self._module(module)
        if not code:
            return None
        listed = code.get("resources") or ()
        # of a plan's own lists, which live as long as this
        known = self._known.get(id(listed))
        if known is None or len(known) < len(listed):
            known = {str(item.get("address")): item.get("expressions") or {} for item in listed}
            self._known[id(listed)] = known
        return known.get(place)

    def resolve(self, module: str, references: Sequence[str], depth: int = 0) -> str | None:
        """The address of the first object that `references`, read in `module`, lead to; else None."""
        for reference in references if depth < _DEEPEST else ():
            found = _OBJECT.match(reference)
            head, _, rest = reference.partition(".")
            if head == "var":
                place = self._argument(module, rest.partition(".")[0], depth)
            elif head == "module":
                place = self._output(module, rest, depth)
            elif found and head not in ("local", "each", "count"):
                index = _INDEX.match(reference, found.end())
                place = _join(module, found[0] + (index[0] if index else ""))
            else:
                place = None
            if place is not None:
                return place
        return None

    def _argument(self, module: str, name: str, depth: int) -> str | None:
        """Where a module's variable comes from."""
        parent, _, call = module.rpartition("module.")
        around = self._module(parent.rstrip("."))
        if not call or around is None:
            return None
        called = (around.get("module_calls") or {}).get(_INDEX.sub("", call)) or {}
        given = (called.get("expressions") or {}).get(name.partition("[")[0])
        return self.resolve(parent.rstrip("."), references_in(given), depth + 1)

    def _output(self, module: str, rest: str, depth: int) -> str | None:
        """Where a called module's output comes from."""
        called, _, output = rest.partition(".")
        inside = _join(module, f"module.{called}")
        code = self._module(inside)
        given = ((code or {}).get("outputs") or {}).get(output.partition(".")[0].partition("[")[0]) or {}
        return self.resolve(inside, references_in(given.get("expression")), depth + 1)

    def _module(self, module: str) -> Mapping[str, Any] | None:
        code: Mapping[str, Any] | None = self.root
        for name in _INDEX.sub("", module).split("."):
            if code is None or name in ("", "module"):
                continue
            code = ((code.get("module_calls") or {}).get(name) or {}).get("module")
        return code


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource at one moment. `values` hold `UNKNOWN` where a value is not known.

    `expressions` are as a plan's `configuration` has them, None where the code is not known.
    """

    address: str
    type: str
    values: Mapping[str, Any]
    module: str = ""
    expressions: Mapping[str, Any] | None = None
    configuration: Configuration = field(default_factory=Configuration)

    def is_written(self, steps: Sequence[str]) -> bool:
        """Whether the code gives the attribute at `steps` a value, or may do so."""
        if self.expressions is None:
            return True
        *blocks, name = steps
        around: list[Any] = [self.expressions]
        for block in blocks:
            around = [item for outer in around for item in _listed(outer.get(block))]
        # a block that the code does not show may be a dynamic one, and of some the parts are not told apart
        return not around or any(name in item or _WHOLE.intersection(item) for item in around)

    def referred(self, steps: Sequence[str]) -> str | None:
        """The address of what the expression at `steps` refers to, the first; None where nobody can tell."""
        if references := self._references(steps, _listed_at):
            return self.configuration.resolve(self.module, references)
        return next(iter(self.meant(steps)), None)

    def meant(self, steps: Sequence[str]) -> list[str]:
        """The addresses of all that the expression at `steps` refers to, sorted."""
        if references := self._references(steps, _listed_at):
            return sorted(self._addresses(references))
        # blocks whose parts are not told apart: of one reference it is clear who is meant
        around = self.all_referred(steps[:1])
        return list(around) if len(around) == 1 else []

    def which(self, steps: Sequence[str]) -> str:
        """What tells apart the instances that the expression at `steps` may refer to.

        It is the resource's own index where the code says each.key or the like, and the module's instance:
        one object may so seem to be two, and two never one.
        """
        references = self._references(steps, _listed_at)
        by_index = any(text.partition(".")[0] in ("each", "count") for text in references)
        module = self.module if "[" in self.module else ""
        return (f" {index_of(self.address)}" if by_index else "") + (f" {module}" if module else "")

    def all_referred(self, steps: Sequence[str]) -> set[str]:
        """The addresses of all that the expression at `steps`, or one that holds it, refers to."""
        return self._addresses(self._references(steps, _inside))

    def _addresses(self, references: Iterable[str]) -> set[str]:
        found = {self.configuration.resolve(self.module, [text]) for text in references}
        known = {address for address in found if address is not None}
        # an instance is told a second time without its index
        return known - {without_index(address) for address in known if without_index(address) != address}

    def _references(self, steps: Sequence[str], parts: Callable[[Any, str], list[Any]]) -> list[str]:
        around: list[Any] = [self.expressions or {}]
        for step in steps:
            around = [item for outer in around for item in parts(outer, step)]
        return [text for item in around for text in references_in(item)]


def references_in(expression: Any) -> list[str]:
    """Every reference in an expression of a plan's JSON."""
    return list(_references(expression))


def _references(expression: Any) -> Iterator[str]:
    if isinstance(expression, dict):
        found = expression.get("references")
        yield from found if isinstance(found, list) else ()
        for name, part in expression.items():
            yield from () if name in ("references", "constant_value") else _references(part)
    elif isinstance(expression, list):
        for part in expression:
            yield from _references(part)


def _listed_at(expression: Mapping[str, Any], step: str) -> list[Any]:
    """The parts of an expression at a step."""
    return _listed(expression.get(step))


def _inside(expression: Mapping[str, Any], step: str) -> list[Any]:
    """The same; of an expression whose parts are not told apart, the whole."""
    return _listed_at(expression, step) or ([expression] if "references" in expression else [])


def _listed(value: Any) -> list[Any]:
    found = value if isinstance(value, list) else [value]
    return [item for item in found if isinstance(item, dict)]


def _join(module: str, place: str) -> str:
    return f"{module}.{place}" if module else place


def module_of(address: str) -> str:
    """The module that an address is in, `` for the root module."""
    found = re.match(rf"(?:module\.[a-zA-Z0-9_-]+(?:{_INDEX.pattern})?\.)*", address)
    return found[0].rstrip(".") if found else ""


def without_index(address: str) -> str:
    """The address of the resource of which `address` is one instance."""
    return _LAST_INDEX.sub("", address)


def index_of(address: str) -> str:
    """Which instance of a resource `address` is, `` where there is only one."""
    return address.removeprefix(without_index(address))


def type_of(address: str) -> str:
    """The type of the resource at an address."""
    return without_index(address).rpartition(".")[0].rpartition(".")[2]
