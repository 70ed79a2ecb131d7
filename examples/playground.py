"""A shell with a local AWS in it, to try every verb by hand: `make playground`. Leaving it ends all.

docs/tutorial.md is written for it. moto, a local stand-in for EC2, runs as in the demo. `sky` is pretend: it
launches nodes with SkyPilot's tags there and shuts them down, so that no SkyPilot has to be installed.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.support.local_aws import cli_config, ec2, launch_nodes, start_moto  # noqa: E402

USER_HASH = "a1b2c3d4"
TASKS = {"jupyter.yaml": "jupyter_lab.yaml", "tensorboard.yaml": "tensorboard.yaml"}
_WELCOME = """\
A local AWS is up. This shell is in a folder of its own, with two tasks: {tasks}.
`skyports-tf` and a pretend `sky` are on PATH. Leave with `exit`: then all of it is gone.
"""


def main() -> int:
    """Run the shell; gives 0, whatever its last command was."""
    with tempfile.TemporaryDirectory(prefix="skyports-playground-") as name, start_moto() as moto:
        folder = Path(name)
        config = cli_config(folder)
        env = {**os.environ, **moto.env, **prepare(folder), "TF_CLI_CONFIG_FILE": str(config)}
        print(_WELCOME.format(tasks=" and ".join(TASKS)), flush=True)
        shell = os.environ.get("SHELL") or "sh"
        subprocess.run([shell], cwd=folder / "ports", env=env, check=False)
    return 0


def prepare(folder: Path) -> dict[str, str]:
    """Lay out the tasks in `folder`/ports and the programs beside it; gives what finds them."""
    programs, tasks = folder / "bin", folder / "ports"
    programs.mkdir()
    tasks.mkdir()
    for name, example in TASKS.items():
        shutil.copy(ROOT / "examples" / example, tasks / name)
    python = shlex.quote(sys.executable)
    _program(programs / "skyports-tf", f'exec {python} -m skyports_tf "$@"')
    _program(programs / "sky", f'exec {python} {shlex.quote(__file__)} sky "$@"')
    return {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
        "SKYPILOT_USER_ID": USER_HASH,
    }


def _program(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
    path.chmod(0o755)


def pretend_sky(arguments: Sequence[str]) -> int:
    """What the playground's `sky` does: launch, down and status; gives the exit code."""
    verb, *words = arguments or [""]
    if verb == "launch" and "-c" in words[:-1]:
        return _launch(words[words.index("-c") + 1])
    if verb == "down" and words:
        return _down(words[0])
    if verb == "status":
        print(json.dumps([{"name": name, "status": "UP"} for name in sorted(_clusters())]))
        return 0
    said = "Pretend SkyPilot: it knows `launch -c CLUSTER TASK`, `down CLUSTER` and `status` alone."
    print(said, file=sys.stderr)
    return 2


def _launch(cluster: str) -> int:
    if cluster not in _clusters():
        launch_nodes(os.environ["AWS_ENDPOINT_URL"], f"{cluster}-{USER_HASH}", 2)
    print(f"Pretend SkyPilot: cluster {cluster} is up, with 2 nodes.")
    return 0


def _down(cluster: str) -> int:
    nodes = _clusters().get(cluster)
    if nodes:
        ec2(os.environ["AWS_ENDPOINT_URL"]).terminate_instances(InstanceIds=nodes)
    print(f"Terminating cluster {cluster}...done." if nodes else "Cluster(s) not found.")
    return 0


def _clusters() -> dict[str, list[str]]:
    """The ids of the nodes that run, by cluster."""
    running = [{"Name": "instance-state-name", "Values": ["running"]}]
    found = ec2(os.environ["AWS_ENDPOINT_URL"]).describe_instances(Filters=running)["Reservations"]
    clusters: dict[str, list[str]] = {}
    for instance in (instance for item in found for instance in item["Instances"]):
        tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
        name = tags.get("skypilot-cluster-name", "").removesuffix(f"-{USER_HASH}")
        clusters.setdefault(name, []).append(instance["InstanceId"])
    return clusters


if __name__ == "__main__":
    try:
        sys.exit(pretend_sky(sys.argv[2:]) if sys.argv[1:2] == ["sky"] else main())
    except KeyboardInterrupt:
        sys.exit(130)
