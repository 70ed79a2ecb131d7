"""The floor of a fleet's compile: only what cannot be left out, one file after the other.

`python bench/floor.py TASKS TREE OUT` composes every task file with marks (PyYAML's C parser),
builds its data, validates it once with our compiled schema, renders our main template once, warm,
and writes to OUT the very bytes that TREE holds. Prints the seconds by the clock and of processors,
imports included.
"""

from __future__ import annotations

import sys
import time

START = time.perf_counter()

import json  # noqa: E402
import os  # noqa: E402
from importlib.resources import files  # noqa: E402
from pathlib import Path  # noqa: E402

import jinja2  # noqa: E402
import jsonschema  # noqa: E402
import yaml  # noqa: E402

_CONTEXT = {
    "header": "# Generated\n# from a task",
    "backend": 'backend "local" {}',
    "required_version": ">= 1.5",
    "provider": {"name": "aws", "source": "hashicorp/aws", "version": ">= 5.0"},
    "names": {"security_group": "sky-sg-fleet"},
    "rules": {"tcp-6000@0.0.0.0/0": "{ protocol = 1 }", "tcp-8000@0.0.0.0/0": "{ protocol = 1 }"},
    "ssh_rules": {"0.0.0.0/0": "{ cidr_ipv4 = 1 }"},
    "adopted": {},
    "stack": {
        "region": "us-east-1",
        "cluster": "fleet",
        "mode": "takeover",
        "is_kept": True,
        "rules": ("one", "two"),
        "tags": {},
        "settings": {"vpc": "default"},
        "name_on_cloud": "fleet-a1b2c3d4",
    },
}


def main(tasks: Path, tree: Path, out: Path) -> tuple[float, float]:
    """Do it; gives the seconds, by the clock and of processors, without the reading of `tree`."""
    wall, cpu = time.perf_counter() - START, time.process_time()
    bytes_of = _read_tree(tree)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    schema = json.loads(files("skyports_tf.schemas").joinpath("task.schema.json").read_text(encoding="utf-8"))
    validator = jsonschema.validators.validator_for(schema)(schema)
    template = _template()
    for name in sorted(os.listdir(tasks)):
        with open(os.path.join(tasks, name), encoding="utf-8") as file:
            loader = yaml.CSafeLoader(file.read())
        node = loader.get_single_node()
        validator.is_valid(loader.construct_document(node))
        template.render(_CONTEXT)
    for path, content in bytes_of.items():
        target = os.path.join(out, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as file:
            file.write(content)
    return time.perf_counter() - wall, time.process_time() - cpu


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(files("skyports_tf.templates"))),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters["hcl"] = lambda value, _indent=0: json.dumps(value)
    return environment.get_template("aws/stack/main.tf.j2")


def _read_tree(tree: Path) -> dict[str, bytes]:
    return {
        os.path.relpath(os.path.join(folder, name), tree): Path(folder, name).read_bytes()
        for folder, _, names in os.walk(tree)
        for name in names
    }


if __name__ == "__main__":
    print(*main(*map(Path, sys.argv[1:])))
