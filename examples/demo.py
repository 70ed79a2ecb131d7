"""The main job, live: plan, apply, status and destroy against a local AWS. Run it with `make demo`.

Two pretend nodes with SkyPilot's tags run in moto, a local stand-in for EC2, and Terraform talks
to it with the real AWS provider. Everything happens in a temporary folder and ends with the demo.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.support.local_aws import cli_config, launch_nodes, start_moto  # noqa: E402

TASK = "examples/jupyter_lab.yaml"
CLUSTER = "jupyter"
USER_HASH = "a1b2c3d4"
COMMANDS = (
    ("plan", TASK),
    ("apply", "--yes", TASK),
    ("status", CLUSTER),
    ("status", CLUSTER, "--endpoint", "8888"),
    ("destroy", "--yes", CLUSTER),
)

TERRAFORM_FAILED = 3
NO_PROVIDER = """
If Terraform could not get its AWS provider (hashicorp/aws): it downloads it once, which needs a
network. Where there is none, run `terraform providers mirror DIR` beside any tree of ours on a
machine that has one, bring DIR here, and name it: SKYPORTS_PLUGIN_MIRROR=DIR make demo
"""


def main() -> int:
    """Run the demo; gives the exit code of the first command that failed, else 0."""
    signal.signal(signal.SIGTERM, _stopped)
    with tempfile.TemporaryDirectory(prefix="skyports-demo-") as name, start_moto() as moto:
        folder = Path(name)
        (folder / "examples").mkdir()
        shutil.copy(ROOT / TASK, folder / TASK)
        launch_nodes(moto.url, f"{CLUSTER}-{USER_HASH}", 2, "us-east-1")
        print("A local AWS is up, and two nodes of the cluster 'jupyter' run in it.\n", flush=True)
        env = {
            **os.environ,
            **moto.env,
            "TF_CLI_CONFIG_FILE": str(cli_config(folder)),
            "SKYPILOT_USER_ID": USER_HASH,
        }
        return _run_all(folder, env)


def _run_all(folder: Path, env: Mapping[str, str]) -> int:
    for arguments in COMMANDS:
        print(f"$ skyports-tf {shlex.join(arguments)}", flush=True)
        code = _run(arguments, folder, env)
        if code:
            print(NO_PROVIDER if code == TERRAFORM_FAILED else "", file=sys.stderr)
            return code
        print(flush=True)
    print("The local AWS is stopped; nothing is left.", flush=True)
    return 0


def _run(arguments: tuple[str, ...], folder: Path, env: Mapping[str, str]) -> int:
    """One command to its end; a signal to us is handed on once, and the command saves Terraform's state."""
    command = [sys.executable, "-m", "skyports_tf", *arguments]
    # a session of its own: the terminal's Ctrl-C would reach it a second time
    with subprocess.Popen(command, cwd=folder, env=env, start_new_session=True) as process:
        try:
            return process.wait()
        except (KeyboardInterrupt, SystemExit):
            process.send_signal(signal.SIGINT)
            process.wait()
            raise


def _stopped(_signal: int, _frame: object) -> None:
    raise SystemExit(143)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nInterrupted; the local AWS is stopped.", file=sys.stderr)
        sys.exit(130)
