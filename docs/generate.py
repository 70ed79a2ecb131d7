"""Writes the pages of docs/ that follow from the code: `make docs`; `--check` only compares.

The comments in README.md and review.md come from comment_example.py, errors.md from skyports_tf/codes*.py,
cli.md from the verbs' own help at 80 columns, configuration.md from schemas/config.schema.json, the
clouds' manifests and examples/config/skyports.yaml, clouds.md from the manifests.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from docs.clouds_page import clouds_page
from docs.comment_example import short_comment, whole_comment
from docs.gitops_page import gitops_page
from docs.markdown import table
from skyports_tf.backends import backends
from skyports_tf.cli import ALIASES, PROGRAM, VERBS, cli
from skyports_tf.clouds import load_cloud, managed_clouds
from skyports_tf.codes import CODES

ROOT = Path(__file__).resolve().parent.parent
COLUMNS = 78  # what click uses of a terminal of 80
NOTICE = "<!-- Written by docs/generate.py (`make docs`); do not edit. -->"

COMMENT_BEGIN = "<!-- The comment is written by docs/generate.py (`make docs`). -->\n"
COMMENT_END = "<!-- end of the comment -->"

ERRORS = """\
# Findings

A finding has a place, a code, the line it is about, and where we can tell, a way out:

```text
task.yaml:8:3: error[unknown-key]: unknown key 'prots' in 'resources'
  |
8 |   prots: 1
  |   ^^^^^
  = help: did you mean 'ports'?
```

All findings of all files are told at once, on standard error; with `--json` they stand in the
document under `diagnostics`. A code never changes its meaning.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | findings: a wrong task or config, a tree out of date, something still open |
| 2 | wrong usage; with `plan --detailed-exitcode`: there are changes |
| 3 | Terraform failed; its words are passed on unchanged |
| 4 | a program that is needed is missing |
| 130 | interrupted by Ctrl-C, after Terraform had saved its state |
"""

COMMAND_LINE = """\
# Command line

Results go to standard output, findings and progress to standard error. `NO_COLOR` and
`FORCE_COLOR` are honoured, `--color` overrides both. `python -m skyports_tf` is the same program.
"""

COMPLETION = """\
## Shell completion

The shell asks the program itself, so verbs, options and their values complete. Put one line in
the shell's start-up file:

| shell | file | line |
|---|---|---|
| bash 4.4 or newer | `~/.bashrc` | `eval "$(_SKYPORTS_TF_COMPLETE=bash_source skyports-tf)"` |
| zsh | `~/.zshrc` | `eval "$(_SKYPORTS_TF_COMPLETE=zsh_source skyports-tf)"` |
| fish | `~/.config/fish/config.fish` | `_SKYPORTS_TF_COMPLETE=fish_source skyports-tf \\| source` |

## Environment

| variable | effect |
|---|---|
| `TERRAFORM` | the Terraform or OpenTofu to run, where the config names none |
| `SKY` | SkyPilot's `sky` to run, where the config names none |
| `SKYPILOT_USER_ID` | SkyPilot's user hash, where the config names none |
| `NO_COLOR`, `FORCE_COLOR` | never, always colours |
| `TF_PLUGIN_CACHE_DIR` | Terraform's provider cache; set to a folder of ours when unset |
| `AWS_*`, `TF_*` | reach Terraform untouched |
"""

CONFIGURATION = """\
# Configuration

`skyports.yaml` is looked for in the current folder and then in each folder above; `--config FILE`
names another. Every key is optional, and an unknown one is refused with a place and a suggestion.
The task files themselves stay pure SkyPilot: nothing of ours is ever needed in them.
"""

TASKS_OF_A_CLUSTER = """\
## Tasks of a cluster, and how long their ports stay open

Each stack's `stack.json` is a ledger: what every task file asks for. A cluster's open ports are the
union over its tasks, so a second task (`sky exec`) is `apply` of that task, and nothing closes
because a task has finished. Compiling a file again replaces what it asked for before; `--retain`
keeps that, too. `--forget TASK` takes a task out, by its file or its name; its ports close with
the next apply. A file that was moved or deleted keeps its ports open, and a warning (`task-gone`)
says so; a task that was renamed and so became another cluster is told as `task-renamed`, in trees
of up to 100 other clusters.

`expires` says how long ports stay open: for all (`expires: 8h`), for some clusters or for some ports
(in `rules`); the narrower one wins, and `--expires` goes over all of them. It is one of

| `expires` | open until |
|---|---|
| `90m`, `8h`, `3d`, `2w`, `1h30m` | that long after the apply that opens the port; ten years at most |
| `2026-12-01` | the end of that day in UTC |
| `2026-12-01T18:00Z`, `2026-12-01T19:00+01:00` | that moment; a zone is needed |
| `never` | it is closed by hand |

The apply writes the absolute time into `stack.json` before a port opens, and `plan` and `status` show
it. Applying the same again does not prolong it: the time belongs to a task file, a protocol and a port,
and begins anew with `--expires`, when `expires` of the config says something else for that port, or
after the cluster was destroyed. What is past its time is no longer part of `plan` and `apply`
(`port-expired`), and stays closed until then. Where several tasks open a port to the same
source, it stays open until the latest of them ends, and for good where one has no `expires`.
"""


STATES = """\
## Where states are kept

Each stack has a state of its own. Without `backend` it is a file in the stack's folder; with it, the
state lies in one of Terraform's backends, under a key that is made per stack:

"""

STATES_MORE = """\
`{prefix}` is the backend's `key_prefix` (our own setting, `skyports` where it is not set), `{cluster}`
the cluster, `{place}` the stack's folder in the cluster's, such as `aws-us-east-1`, `{directory}` is
`{cluster}/{place}` and `{stack}` `{cluster}-{place}`. What a backend does not take as a key is cut, and a
digest tells it from others. The key may be set where it differs by stack: `key: 'ports/{cluster}/{place}'`.
Two stacks that would share one key are refused (`backend-key-shared`). `http` asks for an address; the
stack's name is added to it, or stands where `{stack}` is, as GitLab wants it for `lock_address`.

**No secret is taken in the config.** Terraform reads it from the environment, or from what
`--backend-config FILE` or `terraform.backend_config` name (a file that is not committed, or NAME=VALUE): that
reaches `terraform init` alone, and no file of ours. Terraform keeps it in `.terraform/`.

**Locks** are Terraform's own. Who comes second stops with the holder's name, or waits with
`--lock-timeout 2m`. On S3, set `use_lockfile: true` (Terraform 1.10 or newer).

**Moving states**: change `backend`, then `skyports-tf plan TASK`. It asks, or takes `--migrate-state`, and
copies each state by Terraform's own `init -migrate-state`, after a look at both sides: a state is
never copied over another (`backend-conflict`), and is read back afterwards. Where somebody else has moved
it, nothing is asked.

In a pipeline (`CI` is set), `compile`, `plan` and `apply` warn of a state that is kept beside the files.

"""


def errors_page() -> str:
    """docs/errors.md: every code under the heading that codes.py gives it."""
    sections = []
    for heading, codes in _code_groups():
        rows = table(("code", "meaning", "way out"), [(f"`{code}`", *CODES[code]) for code in codes])
        sections.append(f"## {heading}\n\n{rows}")
    return "\n".join([NOTICE, ERRORS, *sections])


def cli_page() -> str:
    """docs/cli.md: the help of the program and of every verb."""
    pages = [f"## {PROGRAM}\n\n{_help(cli)}"]
    for name in VERBS:
        others = [alias for alias, verb in ALIASES.items() if verb == name]
        also = f"Also as `{', '.join(others)}`.\n\n" if others else ""
        pages.append(f"## {PROGRAM} {name}\n\n{also}{_help(cli, name)}")
    return "\n".join([NOTICE, COMMAND_LINE, *pages, COMPLETION])


def configuration_page() -> str:
    """docs/configuration.md: every key of the config's schema, and the example."""
    schema = json.loads((ROOT / "skyports_tf/schemas/config.schema.json").read_text(encoding="utf-8"))
    parts = [CONFIGURATION, _settings(schema, schema["$defs"]), "## Settings of the clouds\n"]
    for cloud in map(load_cloud, managed_clouds()):
        needed = {name: {"needed": True} for name in cloud.required_settings}
        settings = {name: {**node, **needed.get(name, {})} for name, node in cloud.settings.items()}
        parts.append(f"### {cloud.title}\n\n{_settings({'properties': settings}, {}, cloud.name)}")
    parts.append(_states())
    parts.append(TASKS_OF_A_CLUSTER)
    example = (ROOT / "examples/config/skyports.yaml").read_text(encoding="utf-8")
    return "\n".join([NOTICE, *parts, f"## Example\n\n```yaml\n{example}```\n"])


def _with_comment(path: str, comment: str) -> str:
    """The page with the comment between its two marks written anew; the rest is as it is."""
    text = (ROOT / path).read_text(encoding="utf-8")
    before, begin, rest = text.partition(COMMENT_BEGIN)
    _, end, after = rest.partition(COMMENT_END)
    assert begin and end, f"{path} has no place for the comment"
    return f"{before}{begin}\n{comment}\n{end}{after}"


PAGES: dict[str, Callable[[], str]] = {
    "README.md": lambda: _with_comment("README.md", short_comment()),
    "docs/review.md": lambda: _with_comment("docs/review.md", whole_comment()),
    "docs/errors.md": errors_page,
    "docs/cli.md": cli_page,
    "docs/clouds.md": lambda: f"{NOTICE}\n{clouds_page()}",
    "docs/configuration.md": configuration_page,
    "docs/gitops.md": lambda: f"{NOTICE}\n{gitops_page()}",
}


def _states() -> str:
    """The section on backends: the key of each, and what Terraform reads secrets from."""
    rows = []
    for backend in backends().values():
        setting = f"`{backend.key}`" if backend.key else "its folder"
        value = f"ADDRESS/{backend.value}" if backend.shape == "url" else backend.value
        secrets = {**backend.variables, **backend.secrets}
        told = ", ".join(f"`{variable}`" for variable in secrets.values() if variable)
        rows.append((f"`{backend.kind}`", setting, f"`{value}`" if value else "", told))
    head = ("backend", "key of a stack", "what it is", "secrets, from the environment")
    return f"{STATES}{table(head, rows)}\n{STATES_MORE}"


def _code_groups() -> Iterator[tuple[str, list[str]]]:
    heading, codes = "Findings", list[str]()
    texts = (path.read_text(encoding="utf-8") for path in sorted((ROOT / "skyports_tf").glob("codes*.py")))
    for line in (line for text in texts for line in text.splitlines()):
        if title := re.fullmatch(r"    # (.+)", line):
            if codes:
                yield heading, codes
            heading, codes = title[1].capitalize(), []
        elif (entry := re.match(r'    "([a-z0-9-]+)": ', line)) and entry[1] in CODES:
            codes.append(entry[1])
    yield heading, codes


def _help(group: click.Group, verb: str | None = None) -> str:
    """The text of `--help`, made with the settings that a real call has, at a width of our own."""
    settings = {**group.context_settings, "terminal_width": COLUMNS}
    with click.Context(group, info_name=PROGRAM, **settings) as context:
        if verb is None:
            return f"```text\n{group.get_help(context)}\n```\n"
        command = group.get_command(context, verb)
        assert command is not None
        with click.Context(command, context, verb, terminal_width=COLUMNS) as inner:
            return f"```text\n{command.get_help(inner)}\n```\n"


def _keys(
    node: Mapping[str, Any], definitions: Mapping[str, Any], prefix: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key below `node` with its schema, its `$ref` followed; `rules[].ports.*` for what has no name."""
    children = [(f"{prefix}.{key}".lstrip("."), child) for key, child in node.get("properties", {}).items()]
    for suffix, keyword in (("[]", "items"), (".*", "additionalProperties")):
        child = node.get(keyword)
        if isinstance(child, dict) and "properties" in child:
            yield from _keys(child, definitions, prefix + suffix)
    for name, child in children:
        merged = {**definitions.get(str(child.get("$ref", "")).rpartition("/")[2], {}), **child}
        if prefix and "default" not in child:
            merged.pop("default", None)  # below the top, what is not set is taken from above
        yield name, merged
        yield from _keys(merged, definitions, name)


def _settings(node: Mapping[str, Any], definitions: Mapping[str, Any], prefix: str = "") -> str:
    rows = [
        (f"`{key}`", _type(child), _default(child), str(child.get("description", "")))
        for key, child in _keys(node, definitions, prefix)
    ]
    return table(("key", "type", "default", "meaning"), rows)


def _type(node: Mapping[str, Any]) -> str:
    if "enum" in node:
        words = [str(choice) for choice in node["enum"] if not isinstance(choice, list)]
        return " or ".join(words) + (", or a list" if len(words) < len(node["enum"]) else "")
    kind = node.get("type") or node.get("title", "any")
    if kind == "array":
        return f"list of {node.get('items', {}).get('type', 'value')}s"
    return {"object": "map"}.get(kind, kind) if isinstance(kind, str) else " or ".join(kind)


def _default(node: Mapping[str, Any]) -> str:
    if node.get("needed"):
        return "needed"
    return f"`{json.dumps(node['default'])}`" if "default" in node else ""


def main(arguments: list[str]) -> int:
    """Write the pages, or with `--check` name those that are out of step and answer 1."""
    stale = []
    for path, page in PAGES.items():
        file, text = ROOT / path, page()
        if file.exists() and file.read_text(encoding="utf-8") == text:
            continue
        stale.append(path)
        if "--check" not in arguments:
            file.write_text(text, encoding="utf-8")
    for path in stale:
        print(f"{path} is out of step: run `make docs`" if "--check" in arguments else f"wrote {path}")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
