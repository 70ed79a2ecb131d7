"""SkyPilot as tests call it: a process of its own, with a home of its own, in the local AWS."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.support.local_aws import REGION
from tests.support.stacks import write_program

USER_HASH = "a1b2c3d4"
_DRIVER = Path(__file__).with_name("driver.py")
_VMS = (
    "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,Price,SpotPrice,Region,"
    "AvailabilityZone\n"
)
#: Of the catalogs that SkyPilot would download, what these tests launch; v8 is the version of their form.
_CATALOGS = {
    "v8/aws/vms.csv": _VMS
    + "".join(f"m5.large,,,2.0,8.0,,0.096,0.04,{REGION},use1-az{number}\n" for number in (4, 6)),
    "v8/aws/images.csv": "Tag,Region,OS,OSVersion,ImageId,CreationDate,BaseImageId\n",
    "v8/aws/instance_quota_mapping.csv": "InstanceType,OnDemandInstanceCode,SpotInstanceCode\n",
    "v8/nebius/vms.csv": _VMS + "cpu-d3_4vcpu-16gb,,,4.0,16.0,,0.1,,eu-north1,\n",
}


class SkyError(Exception):
    """What SkyPilot raised, with its traceback."""


class Sky:
    """A SkyPilot that keeps its clusters in `home`."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log

    def __call__(self, do: str, **arguments: Any) -> Any:
        """Call a command of driver.py; raises `SkyError` where SkyPilot raises."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SkyError(f"SkyPilot's process ended:\n{self.log[-4000:]}")
        answer = json.loads(line)
        if "error" in answer:
            raise SkyError(answer["traceback"])
        return answer

    @property
    def log(self) -> str:
        """All that SkyPilot has said."""
        return self._log.read_text(encoding="utf-8", errors="replace")


@contextmanager
def start_sky(
    python: Path, home: Path, environment: Mapping[str, str], config: Mapping[str, Any] | None = None
) -> Iterator[Sky]:
    """Run SkyPilot until the block ends; `config` is its ~/.sky/config.yaml."""
    _furnish(home, config)
    log = home / "sky.log"
    names = {"PATH": os.environ["PATH"], **_environment(home), **environment}
    with log.open("w", encoding="utf-8") as said:
        process = subprocess.Popen(
            [str(python), str(_DRIVER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            env=names,
            cwd=home,
        )
        try:
            yield Sky(process, log)
        finally:
            assert process.stdin is not None
            assert process.stdout is not None
            process.terminate()
            with suppress(BrokenPipeError):
                process.stdin.close()
            process.wait()
            process.stdout.close()


def sky_program(python: Path, folder: Path, home: Path, environment: Mapping[str, str]) -> Path:
    """The program `sky` in `folder`, whose SkyPilot keeps its clusters in `home`."""
    _furnish(home, None)
    known = {**_environment(home), **environment}
    names = " ".join(f"{name}={shlex.quote(value)}" for name, value in known.items())
    program = shlex.join([str(python), str(_DRIVER.with_name("program.py"))])
    return write_program(folder / "sky", f'exec env {names} {program} "$@"')


def _environment(home: Path) -> dict[str, str]:
    return {
        "HOME": str(home),
        "USER": "tester",
        "LANG": "C.UTF-8",
        "AWS_DEFAULT_REGION": REGION,
        "SKYPILOT_USER_ID": USER_HASH,
        "SKYPILOT_DISABLE_USAGE_COLLECTION": "1",
    }


def _furnish(home: Path, config: Mapping[str, Any] | None) -> None:
    for name, text in _CATALOGS.items():
        path = home / ".sky" / "catalogs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    if config is not None:
        # JSON is YAML too
        (home / ".sky" / "config.yaml").write_text(json.dumps(config), encoding="utf-8")
