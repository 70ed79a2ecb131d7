"""Templates to text: the only place that knows jinja2."""

from __future__ import annotations

import base64
import hashlib
import traceback
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2

from skyports_tf import hcl, yaml_text
from skyports_tf.cache import cache_folder
from skyports_tf.clouds import CATALOG, Catalog
from skyports_tf.diagnostics import Diagnostic, FindingsError, Span
from skyports_tf.manifest import shown_path


def render_text(catalog: Catalog, template: str, context: Mapping[str, Any]) -> str:
    """The template filled with the context.

    Raises `FindingsError` with the line of a template of the user's that is wrong.
    """
    try:
        return _template(catalog, template).render(context)
    except Exception as error:
        found = None if catalog.folders == CATALOG.folders else _template_finding(catalog, template, error)
        if found is None:
            raise  # a fault of ours
        raise FindingsError(found) from None


def render_page(context: Mapping[str, Any]) -> str:
    """The one page of HTML, with its style and its script in it, and the digests that alone may run.

    Every value of the context is escaped; style and script are our own files, without any value.
    """
    environment = _page_environment()
    parts: dict[str, str] = {}
    for name, file in (("style", "page.css.j2"), ("script", "page.js.j2")):
        text = environment.get_template(f"report/{file}").render()
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        parts |= {name: text, f"{name}_hash": f"sha256-{digest}"}
    return environment.get_template("report/page.html.j2").render({**context, **parts})


def _template_finding(catalog: Catalog, template: str, error: Exception) -> Diagnostic | None:
    """What is wrong with a template of the user's, at the line of it that Jinja names."""
    if isinstance(error, jinja2.TemplateNotFound):
        return Diagnostic("template-invalid", "no such file", shown_path(catalog.folders[0] / template))
    places = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    if isinstance(error, jinja2.TemplateSyntaxError):
        places = [(error.filename or "", error.lineno)]
    of_template = [place for place in places if place[0].endswith(f"/{template}")]
    if not of_template:
        return None
    file, line = of_template[-1]
    source = Path(file).read_text(encoding="utf-8").splitlines()[line - 1]
    span = Span(line, len(source) - len(source.lstrip()) + 1, line, len(source) + 1)
    return Diagnostic("template-invalid", str(error), shown_path(Path(file)), span, source_line=source)


@lru_cache(maxsize=256)
def _template(catalog: Catalog, name: str) -> jinja2.Template:
    return _environment(catalog).get_template(name)


@lru_cache(maxsize=8)
def _environment(catalog: Catalog) -> jinja2.Environment:
    cache = cache_folder("templates")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(catalog.folders),
        undefined=jinja2.StrictUndefined,
        bytecode_cache=jinja2.FileSystemBytecodeCache(str(cache)) if cache else None,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  # HCL, not HTML: the filter `hcl` spells every value
    )
    environment.filters["hcl"] = hcl.spell
    environment.filters["yaml"] = yaml_text.spell
    return environment


@lru_cache(maxsize=1)
def _page_environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(CATALOG.folders),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=True,
    )
