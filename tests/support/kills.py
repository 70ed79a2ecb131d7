"""Runs that are killed, or whose cloud fails, at a call of one's choice; and what a rerun of destroy leaves.

A proxy lets the write calls 1 to n through and then strikes: it kills Terraform with its provider,
us, or both (SIGKILL), or it answers the call with an error, or never. Each strike comes in two
kinds: the cloud has not taken the call yet, or it has, and nobody will hear of it.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from skyports_tf.closing import close_stack, plan_close
from skyports_tf.config import Config
from skyports_tf.diagnostics import SkyportsError
from skyports_tf.ledger import read_stack
from skyports_tf.lifecycle import RunSettings, plan_stack
from skyports_tf.model import Stack
from skyports_tf.stacks import fill_stack
from tests.support.ec2_proxy import Call, Decision, Drop, Proxy, Refuse, pass_on, start_proxy
from tests.support.local_aws import MotoServer, cli_config, ec2, start_moto
from tests.support.resident import installed_provider, resident_aws
from tests.support.stacks import ANYWHERE, compile_stack

Phase = Literal["apply", "destroy"]
Blow = Literal["terraform", "us", "both", "error", "silence"]
BLOWS: tuple[Blow, ...] = ("terraform", "us", "both", "error", "silence")

PORTS = {"8888": [ANYWHERE], "9000-9005": ["10.0.0.0/8"]}
# a lock of a Terraform that outlives us is waited for
_RERUN = RunSettings(lock_timeout="120s")
_SECONDS = 240.0
_NOTHING: Mapping[str, str] = MappingProxyType({})
_RUN = """
import pickle, sys
from skyports_tf.closing import close_stack, plan_close
from skyports_tf.lifecycle import RunSettings, apply_plan
given = pickle.load(sys.stdin.buffer)
if sys.argv[1] == "apply":
    apply_plan("infra", given, RunSettings())
else:
    close_stack("infra", plan_close("infra", given, RunSettings()), RunSettings())
"""


@dataclass(frozen=True)
class Strike:
    """What happens at a write call, counted from 1; `taken` says whether the cloud has taken the call."""

    phase: Phase
    blow: Blow
    call: int
    taken: bool


@dataclass(frozen=True)
class Aftermath:
    """What came of a strike.

    `struck` says that there was such a call; `state_is_sound` that the state file could be read after the
    strike and after the rerun; `destroys` is how many runs of destroy it took, 0 where none went
    through. `orphans` are groups and rules that the strike left in the cloud and in no state; `rules` and
    `groups` are what is left in the end.
    """

    strike: Strike
    struck: bool
    state_is_sound: bool
    destroys: int
    orphans: int
    rules: int
    groups: int
    error: str = ""

    @property
    def is_clean(self) -> bool:
        """Whether nothing is left and no state was lost."""
        return self.state_is_sound and self.destroys > 0 and not self.rules and not self.groups


class Yard:
    """A local AWS, a proxy before it, and a stack that is ready to be applied."""

    def __init__(self, folder: Path, moto: MotoServer, proxy: Proxy) -> None:
        self.folder, self.moto, self.proxy = folder, moto, proxy
        template = folder / "template"
        template.mkdir()
        self.stack = compile_stack(template, PORTS)
        self._plan = plan_stack(str(template / "infra"), self.stack, RunSettings())
        self.program = installed_provider(template / "infra" / self.stack.directory)
        #: What makes Terraform use a provider that stays; whatever is struck has one of its own.
        self.resident: dict[str, str] = {}

    def strike(self, strike: Strike) -> Aftermath:
        """Run the phase until the strike, then destroy until nothing is left, and look what is there."""
        place = Path(shutil.copytree(self.folder / "template", self.folder / "struck", symlinks=True))
        try:
            if strike.phase == "destroy":
                self._run(place, "apply", self._plan, self.resident)
            before = self._arm(strike)
            self._run(place, strike.phase, self._plan if strike.phase == "apply" else self.stack)
            struck = len(before) >= strike.call
            self.proxy.before = self.proxy.after = pass_on
            return self._destroy(place, strike, struck)
        finally:
            self.proxy.before = self.proxy.after = pass_on
            shutil.rmtree(place)
            self._sweep()

    def count(self, phase: Phase) -> int:
        """How many write calls the phase makes."""
        calls = []
        place = Path(shutil.copytree(self.folder / "template", self.folder / "struck", symlinks=True))
        self._run(place, "apply", self._plan, self.resident)
        calls.append(self._writes())
        self.proxy.forget()
        self._run(place, "destroy", self.stack, self.resident)
        calls.append(self._writes())
        self.proxy.forget()
        shutil.rmtree(place)
        return calls[phase == "destroy"]

    def _writes(self) -> int:
        return sum(_counts(call) for call in self.proxy.calls)

    def _arm(self, strike: Strike) -> list[Call]:
        """Set the proxy's hooks; gives the write calls, as they come."""
        seen: list[Call] = []

        def before(call: Call) -> Decision | None:
            if not _counts(call):
                return None
            seen.append(call)
            return self._blow(strike) if len(seen) == strike.call and not strike.taken else None

        def after(call: Call) -> Decision | None:
            return self._blow(strike) if _counts(call) and len(seen) == strike.call and strike.taken else None

        self.proxy.before, self.proxy.after = before, after
        return seen

    def _blow(self, strike: Strike) -> Decision:
        if strike.blow == "error":
            return Refuse("UnauthorizedOperation", status=403)
        terraform = _children(self._ours.pid)
        if strike.blow in ("us", "both"):
            self._ours.kill()
        if strike.blow in ("terraform", "both"):
            for process in terraform:
                with suppress(ProcessLookupError):
                    os.killpg(process, signal.SIGKILL)
        # whoever lives still hears that the call went through
        return Drop()

    def _run(self, place: Path, phase: Phase, given: Any, more: Mapping[str, str] = _NOTHING) -> None:
        """Run a phase in a process of its own, and wait until it and its Terraform have ended."""
        environment = {**os.environ, **self.proxy.server.env, "AWS_MAX_ATTEMPTS": "2", **more}
        with (place / "said").open("wb") as said:
            self._ours = subprocess.Popen(
                [sys.executable, "-c", _RUN, phase],
                cwd=place,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=said,
            )
            with suppress(BrokenPipeError):
                self._ours.communicate(pickle.dumps(given), timeout=_SECONDS)
        _wait_for_terraform(place)

    def _destroy(self, place: Path, strike: Strike, struck: bool) -> Aftermath:
        state = place / "infra" / self.stack.directory / "terraform.tfstate"
        sound, orphans = _is_sound(state), self._orphans(state)
        destroys, error = 0, ""
        for attempt in (1, 2):
            try:
                with _environment(self.resident):
                    destroy(str(place / "infra"), self.stack.directory)
            except SkyportsError as failure:
                error += f"{failure} {getattr(failure, 'output', '')}\n"
                continue
            destroys = attempt
            break
        rules, groups = self._left()
        sound = sound and _is_sound(state) and not _resources(state)
        return Aftermath(strike, struck, sound, destroys, orphans, rules, groups, error)

    def _left(self) -> tuple[int, int]:
        found = self._groups()
        rules = sum(len(group["IpPermissions"]) + len(group["IpPermissionsEgress"]) for group in found)
        return rules, len(found)

    def _orphans(self, state: Path) -> int:
        known = state.read_text(encoding="utf-8") if state.exists() else ""
        groups = [group["GroupId"] for group in self._groups()]
        rules = ec2(self.moto.url).describe_security_group_rules()["SecurityGroupRules"]
        there = groups + [rule["SecurityGroupRuleId"] for rule in rules if rule["GroupId"] in groups]
        return sum(identifier not in known for identifier in there)

    def _groups(self) -> list[dict[str, Any]]:
        found = ec2(self.moto.url).describe_security_groups()["SecurityGroups"]
        return [group for group in found if group["GroupName"] != "default"]

    def _sweep(self) -> None:
        """Leave nothing for the next strike."""
        for group in self._groups():
            ec2(self.moto.url).delete_security_group(GroupId=group["GroupId"])
        self.proxy.forget()


def destroy(out: str, directory: str) -> None:
    """What `skyports-tf destroy` does: plan to close the stack of the ledger, and close it."""
    stack: Stack = fill_stack(read_stack(out, directory), Config())
    close_stack(out, plan_close(out, stack, _RERUN), _RERUN)


@contextmanager
def yard(folder: Path) -> Iterator[Yard]:
    """A yard with servers of its own, which end with the block; this process's environment is set for it."""
    with ExitStack() as stack:
        moto = stack.enter_context(start_moto())
        proxy = stack.enter_context(start_proxy(moto.url))
        config = {"TF_CLI_CONFIG_FILE": str(cli_config(folder))}
        stack.enter_context(_environment({**proxy.server.env, **config}))
        made = Yard(folder, moto, proxy)
        made.resident = stack.enter_context(resident_aws(made.program, proxy.server.env))
        yield made


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Have `values` in this process's environment until the block ends."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _counts(call: Call) -> bool:
    return call.is_write and call.service == "ec2"


def _children(parent: int) -> list[int]:
    """The processes that `parent` has started, each the first of a session of its own."""
    return [pid for pid, above in _processes() if above == parent]


def _processes() -> Iterator[tuple[int, int]]:
    """Every process and its parent."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                # the name, in parentheses, may hold anything
                after = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
                yield int(entry.name), int(after.split()[1])


def _wait_for_terraform(place: Path) -> None:
    """Wait for a Terraform that outlives us: the one whose folder lies in `place`."""
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline and any(_runs_in(pid, place) for pid, _ in _processes()):
        time.sleep(0.1)


def _runs_in(pid: int, place: Path) -> bool:
    try:
        return Path(os.readlink(f"/proc/{pid}/cwd")).is_relative_to(place / "infra")
    except OSError:
        return False


def _is_sound(state: Path) -> bool:
    """Whether a state file can be read, where there is one; Terraform begins with an empty one."""
    try:
        text = state.read_text(encoding="utf-8")
        return not text or isinstance(json.loads(text), dict)
    except FileNotFoundError:
        return True
    except ValueError:
        return False


def _resources(state: Path) -> list[Any]:
    try:
        found = json.loads(state.read_text(encoding="utf-8"))["resources"]
    except (FileNotFoundError, ValueError):
        return []
    return [item for item in found if item["mode"] == "managed"]
