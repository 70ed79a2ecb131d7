"""The house rules that can be read off the source: one-way imports, one importer each, small parts."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import skyports_tf
from skyports_tf.clouds import managed_clouds, unmanaged_clouds

PACKAGE = Path(skyports_tf.__file__).parent
ROOT = "skyports_tf"

#: The pipeline, a line a stage. A module imports from modules before it, and from nothing else of ours.
PIPELINE = (
    "processes",
    "codes_pipelines codes_fleets",
    "codes_adoption codes_exposure codes_life codes_policy codes_review codes_tasks codes diagnostics",
    "ports sources expiry hcl yaml_text naming documents model outcomes roots modulecalls reach ordering",
    "text.textfile text.syntax text.nodes source schema",
    "tasks.findings tasks.quantities tasks.infra tasks.environment tasks.mounts tasks.service",
    "tasks.choices tasks.taskports tasks.settings tasks.header tasks.onetask task",
    "exposure.intervals exposure.addresses exposure.model exposure.ours policy judging rulebook",
    "login",
    "imports sky_config packing.shapes manifest unmanaged clouds backends config",
    "taskfiles",
    "exposure.values exposure.shapes exposure.facts exposure.resources exposure.neighbours exposure.rules",
    "exposure.lookup exposure.senders exposure.reading exposure.terraform_json exposure.attachments",
    "exposure.caveats exposure.views",
    "exposure.hcl_functions exposure.hcl_expressions exposure.hcl_code exposure.hcl_scopes",
    "exposure.hcl_modules",
    "packing.cover packing.rectangles packing.identity packing.fewest pack",
    "deadlines grants resolve stacks limits entries ledger tree portplaces breachspots",
    "statekeys since",
    "cache templating render write compilation bookkeeping checked policing compiler recompile lease",
    "skypilot exposure.questions exposure.notices exposure.answers",
    "pipelines.settings pipelines.facts pipelines.project pipelines.shared pipelines.files pipelines.notes",
    "running.child running.stream running.lens terraform running.embedded running.scope",
    "running.initialization running.staterooms running.migration running.creations running.turns",
    "running.settings running.execution",
    "running.openings running.changes running.contents running.ssh running.state",
    "running.moves running.planfiles running.clearing running.steps running.plans running.saved",
    "running.probe running.imports running.repair running.together running.stale",
    "running.adopting lifecycle closing running.foreground running.shutdown holding adoption relayout",
    "running.differences drift",
    "sightings life running.look running.skystatus reaped reaping",
    "report.style report.checked report.sarif report.junit",
    "report.diagnostics report.inspection report.rules report.expiry",
    "report.endpoints report.sky_config report.catalog report.compilation report.status report.text",
    "report.gitlab report.review report.markup report.port_words report.headline report.picture",
    "report.mermaid report.comment_rows report.comment_parts report.comment_bounds report.markdown",
    "report.drawing report.page_stacks report.page report.html",
    "report.adoption report.json_output report.steps report.drift report.reap report.exposure",
    "report.pipelines report.layout",
    "cli.console cli.runoptions",
    "cli.options cli.configuration cli.tasks cli.progress cli.running cli.places",
    "cli.reports cli.formats",
    "cli.inspect cli.compile cli.plan cli.saved cli.apply cli.launch cli.hold cli.destroy cli.down",
    "cli.status cli.names cli.clouds cli.exposure cli.drift cli.reap cli.adopt cli.release cli.report",
    "cli.relayout cli.ci",
    "cli __main__",
)
ORDER = " ".join(PIPELINE).split()

#: Who alone may import what is not ours; a folder stands for all its modules.
IMPORTERS = {
    "click": ("cli",),
    "jinja2": ("templating",),
    "jsonschema": ("schema",),
    "python_terraform": ("terraform",),
    "yaml": ("source", "text.syntax"),
    "boto3": (),
    "sky": (),
}
# markers of the package itself, which hold no code
DATA_PACKAGES = {
    "",
    "exposure",
    "packing",
    "pipelines",
    "report",
    "running",
    "schemas",
    "tasks",
    "templates",
    "text",
}

ALL_CLOUDS = set(managed_clouds()) | set(unmanaged_clouds())
#: Words for a cloud that code may hold, and why.
CLOUD_WORDS = {
    "config": {"aws"},  # the default of `clouds`
    "sources": {"aws"},  # ids that only AWS has
    # SkyPilot's words in a task file: `infra`, `config`, the stores of `file_mounts`
    "tasks.infra": ALL_CLOUDS,
    "tasks.settings": ALL_CLOUDS,
    "tasks.environment": ALL_CLOUDS,
    "tasks.mounts": ALL_CLOUDS,
}
# these are English, or programs, as well
COMMON_WORDS = {"do", "lambda", "ssh", "vast"}


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__"), path


MODULES = {name: path for name, path in modules() if not name.startswith("templates")}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}
CODE = [name for name in MODULES if name not in DATA_PACKAGES]


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or ""


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def test_every_module_has_its_place_in_the_pipeline() -> None:
    assert sorted(CODE) == sorted(ORDER)


@pytest.mark.parametrize("name", CODE)
def test_a_module_imports_only_from_modules_before_it(name: str) -> None:
    ours = [
        word.removeprefix(ROOT).removeprefix(".") for word in imported(TREES[name]) if word.startswith(ROOT)
    ]
    used = [word for word in ours if word not in DATA_PACKAGES]
    assert [word for word in used if ORDER.index(word) >= ORDER.index(name)] == []


@pytest.mark.parametrize("library", IMPORTERS)
def test_a_library_has_one_importer(library: str) -> None:
    users = {
        name for name, tree in TREES.items() if library in {word.split(".")[0] for word in imported(tree)}
    }
    allowed = IMPORTERS[library]
    assert {name for name in users if name not in allowed and name.split(".")[0] not in allowed} == set()


@pytest.mark.parametrize("name", CODE)
def test_no_cloud_is_named_in_code(name: str) -> None:
    found = {word for text in words_of(TREES[name]) for word in re.findall(r"[a-z0-9]+", text.lower())}
    assert (found & ALL_CLOUDS) - COMMON_WORDS - CLOUD_WORDS.get(name, set()) == set()


def words_of(tree: ast.AST) -> Iterator[str]:
    """Names and texts in the code; docstrings may give examples."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


@pytest.mark.parametrize("name", MODULES)
def test_a_file_has_at_most_300_lines(name: str) -> None:
    assert len(MODULES[name].read_text(encoding="utf-8").splitlines()) <= 300


@pytest.mark.parametrize("name", CODE)
def test_a_function_is_short_and_takes_few_things(name: str) -> None:
    for function in functions(TREES[name]):
        assert (function.end_lineno or 0) - function.lineno + 1 <= 45, function.name
        given = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        assert len([item for item in given if item.arg not in ("self", "cls")]) <= 6, function.name


@pytest.mark.parametrize("name", CODE)
def test_blocks_nest_at_most_three_deep(name: str) -> None:
    for function in functions(TREES[name]):
        assert depth(function.body) <= 3, function.name


def depth(body: list[ast.stmt]) -> int:
    deepest = 0
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            continue
        inner = [
            depth(block)
            for block in (getattr(statement, name, []) for name in ("body", "orelse", "finalbody"))
            if block and not is_elif(statement, block)
        ]
        inner += [depth(item.body) for item in getattr(statement, "handlers", [])]
        inner += [
            depth(block) - 1
            for block in [getattr(statement, "orelse", [])]
            if block and is_elif(statement, block)
        ]
        if inner:
            deepest = max(deepest, 1 + max(inner))
    return deepest


def is_elif(statement: ast.stmt, block: list[ast.stmt]) -> bool:
    return (
        isinstance(statement, ast.If)
        and block is statement.orelse
        and isinstance(block[0], ast.If)
        and len(block) == 1
    )


@pytest.mark.parametrize("name", CODE)
def test_every_public_name_is_documented(name: str) -> None:
    for node in TREES[name].body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            assert ast.get_docstring(node), node.name


def test_only_the_command_line_prints() -> None:
    printing = {
        name
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert printing == set()
