"""Stacks on disk for the tests that run Terraform."""

from __future__ import annotations

import json
import stat
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from skyports_tf.compiler import CompileRequest, compile_tasks
from skyports_tf.config import read_config
from skyports_tf.lifecycle import ProgressEvent
from skyports_tf.model import IngressRule, Stack
from skyports_tf.modulecalls import output_in_root
from skyports_tf.ports import parse_port_range
from skyports_tf.roots import module_of, root_of, stack_file
from skyports_tf.sources import parse_source
from skyports_tf.write import write_tree

ANYWHERE = "0.0.0.0/0"
NAME_ON_CLOUD = "web-a1b2c3d4"


def rule(ports: str, source: str = ANYWHERE, *tasks: str) -> IngressRule:
    """An ingress rule for TCP; asked for by web.yaml where no task is named."""
    return IngressRule("tcp", parse_port_range(ports), parse_source(source), tasks=tasks or ("web.yaml",))


def aws_stack(*rules: IngressRule, cluster: str = "web") -> Stack:
    """A stack of the cluster in us-east-1 that asks for these rules."""
    return Stack(cluster, "aws", "us-east-1", rules=rules, name_on_cloud=NAME_ON_CLOUD)


def compile_stack(
    folder: Path,
    ports: Mapping[str, Sequence[str]],
    *,
    attach: bool = False,
    config: Mapping[str, object] | None = None,
) -> Stack:
    """Compile and write folder/web.yaml, which opens each port to its sources, into folder/infra.

    `config` is more of skyports.yaml.
    """
    task = {"name": "web", "resources": {"infra": "aws/us-east-1", "ports": list(ports)}}
    refined = {port: {"sources": list(sources)} for port, sources in ports.items()}
    settings = {**(config or {}), "rules": [{"cluster": "web", "ports": refined}]}
    # JSON is YAML too
    for name, content in (("web.yaml", task), ("skyports.yaml", settings)):
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    compilation = compile_tasks(
        CompileRequest(
            tasks=(str(folder / "web.yaml"),),
            config=read_config(str(folder / "skyports.yaml")),
            out=str(folder / "infra"),
            attach=attach,
            user_hash="a1b2c3d4",
        )
    )
    write_tree(compilation.out, compilation.files)
    return compilation.stacks[0].stack


def write_local_stack(out: Path, stack: Stack, seconds: float = 0) -> Path:
    """Write a stack without a cloud: its rules are resources inside Terraform, each taking `seconds`."""
    folder = out / stack.directory
    folder.mkdir(parents=True, exist_ok=True)
    rules = "\n".join(map(_rule_line, stack.rules))
    (folder / "backend.tf").write_text('terraform {\n  backend "local" {}\n}\n', encoding="utf-8")
    (folder / "main.tf").write_text(_LOCAL.format(rules=rules, seconds=seconds), encoding="utf-8")
    return folder


_LOCAL = """\
locals {{
  rules = {{
{rules}
  }}
}}

resource "terraform_data" "port" {{
  for_each = local.rules
  input    = each.value

  provisioner "local-exec" {{
    command = "sleep {seconds}"
  }}
}}

output "rules" {{
  value = {{ for key, rule in terraform_data.port : key => rule.output }}
}}

output "nodes" {{
  value = []
}}
"""


def write_program(path: Path, body: str) -> Path:
    """An executable shell script."""
    path.write_text(f"#!/bin/sh\n{textwrap.dedent(body)}", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


class Heard:
    """A progress callback that keeps what it hears."""

    def __init__(self) -> None:
        self.events: list[ProgressEvent] = []

    def __call__(self, event: ProgressEvent) -> None:
        self.events.append(event)


def write_shared_stacks(out: Path, stacks: Sequence[Stack], seconds: float = 0) -> Path:
    """Write stacks that share a root module, without a cloud, as `write_local_stack` does one."""
    folder = out / root_of(stacks[0])
    module = out / "modules" / "local"
    for made in (folder, module):
        made.mkdir(parents=True, exist_ok=True)
    (folder / "backend.tf").write_text('terraform {\n  backend "local" {}\n}\n', encoding="utf-8")
    (folder / "main.tf").write_text("", encoding="utf-8")
    local = _LOCAL.format(rules="", seconds=seconds).replace("local.rules", "var.rules")
    (module / "main.tf").write_text(f'variable "rules" {{}}\n{local}', encoding="utf-8")
    for stack in stacks:
        rules = "\n".join(map(_rule_line, stack.rules))
        given = f'source = "../../modules/local"\n  rules = {{\n{rules}\n  }}'
        text = f'module "{module_of(stack)}" {{\n  {given}\n}}\n\n{output_in_root(stack)}'
        (out / stack_file(stack, "main.tf")).write_text(text, encoding="utf-8")
    return folder


def _rule_line(item: IngressRule) -> str:
    ports = f"from_port = {item.ports.first}, to_port = {item.ports.last}"
    return f'    "{item.key}" = {{ protocol = "{item.protocol}", {ports}, source = "{item.source}" }}'
