"""`python -m bench.zero_gap`: edits never close what stays wanted, measured; writes docs/reliability.md.

--edits N    edits through the real Terraform (200)
--model N    edits through the model alone (10000)
--print      print the section, and write nothing
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

from bench.reliability import PAGE, put_section
from bench.workspace import memory_folder
from skyports_tf.clouds import managed_clouds
from tests.support.ec2_proxy import start_proxy
from tests.support.local_aws import cli_config, start_moto
from tests.support.zero_gap import Figures, Lab, model_edits, model_figures

TITLE = "Zero gap"
_BLOCKS = 10
_CONTROLS = 2
_SEED = 20
ONE, TWO, MODEL, CONTROL = (
    "Terraform, edits for which one apply will do",
    "Terraform, edits that need two steps",
    "the model, every cloud",
    "control: edits that need two steps, in one apply",
)
_HEADS = ("", "edits", "applies", "calls", "ports x calls", "closed while wanted", "not as the model says")


def main(arguments: Sequence[str]) -> int:
    """Measure; 1 where a port was closed while wanted, or a call was none that the model has."""
    parser = argparse.ArgumentParser(prog="python -m bench.zero_gap")
    parser.add_argument("--edits", type=int, default=200)
    parser.add_argument("--model", type=int, default=10_000)
    parser.add_argument("--print", action="store_true")
    wanted = parser.parse_args(arguments)
    found = {**measured_edits(wanted.edits), MODEL: modelled_edits(wanted.model)}
    text = section(found)
    print(text)
    if not wanted.print:
        put_section(TITLE, text)
        print(f"wrote {PAGE.relative_to(PAGE.parent.parent)}")
    for problem in problems(found):
        print(problem, file=sys.stderr)
    return 1 if problems(found) else 0


def measured_edits(edits: int) -> dict[str, Figures]:
    """So many edits through the real Terraform, half of them of each kind, and a control beside them."""
    found = {ONE: Figures(), TWO: Figures(), CONTROL: Figures()}
    batches = -(-edits // _BLOCKS)
    with _lab() as lab:
        for number in range(batches + _CONTROLS):
            name = CONTROL if number >= batches else TWO if number % 2 == 0 else ONE
            start = time.monotonic()
            found[name] += lab.edit(steps=name != ONE, safe=name != CONTROL)
            print(f"{number + 1}/{batches + _CONTROLS} {name}: {time.monotonic() - start:.0f} s", flush=True)
    return found


@contextmanager
def _lab() -> Iterator[Lab]:
    with (
        memory_folder() as folder,
        start_moto() as moto,
        start_proxy(moto.url) as proxy,
        _environment(folder, proxy.server.env),
    ):
        yield Lab(folder, proxy, moto.url, _BLOCKS, _SEED)


@contextmanager
def _environment(folder: Path, extra: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(extra, TF_CLI_CONFIG_FILE=str(cli_config(folder)), XDG_CACHE_HOME=str(folder / "cache"))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def modelled_edits(edits: int) -> Figures:
    """So many edits through the model alone, spread over the clouds."""
    random, clouds = Random(_SEED), managed_clouds()
    found = Figures()
    for number, cloud in enumerate(clouds):
        share = edits // len(clouds) + (number < edits % len(clouds))
        for before, after in model_edits(cloud, share, seed=_SEED + number):
            found += model_figures(before, after, random)
    return found


def problems(found: Mapping[str, Figures]) -> list[str]:
    """What is not as it should be."""
    told = [
        f"{name}: {figures.closed} closed while wanted"
        for name, figures in found.items()
        if figures.closed and name != CONTROL
    ]
    told += [
        f"{name}: {item.unforeseen} not as the model says" for name, item in found.items() if item.unforeseen
    ]
    if not found[CONTROL].closed:
        told.append("the control closed nothing: what is measured here could not fail")
    return told


def section(found: Mapping[str, Figures]) -> str:
    """The section of docs/reliability.md."""
    rows = [
        (name, item.edits, item.applies, item.calls, item.watched, item.closed, item.unforeseen)
        for name, item in ((name, found[name]) for name in (ONE, TWO, MODEL, CONTROL))
    ]
    lines = [_HEADS, ("---", *["---:"] * (len(_HEADS) - 1)), *rows]
    table = "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)
    return f"{_TEXT.format(blocks=_BLOCKS)}\n{table}\n"


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


_TEXT = """\
`python -m bench.zero_gap`, or `make reliability`

An edit that keeps a protocol, port and source wanted never closes it, not for one call to the cloud. Rules
know no order among themselves, so a port that moves from one rule to another (a range that splits or
merges) may be closed for a moment in one `terraform apply`. Such a plan is applied in two steps, what opens
first; `plan` says so.

Random edits: ranges split, merge, grow, shrink and move, and sources come and go. {blocks} edits that have
nothing to do with each other share an apply, each in a block of ports of its own; those that need two steps
and those that do not are never mixed, so that neither hides the other. After every call that changes a rule
the cloud is asked what is open. A port counts once for each source that may reach it, and *ports x calls*
is how often one was looked at that is wanted before and after.

The model knows no order among the calls of an apply either. Each of Terraform's calls was one that the
model has, in the step where the model has it, and nothing closed that the model does not say may close. In
the model itself, every order is reckoned, and three of each edit are played call by call.

The control applies plans that need two steps in one. What closes there shows that this measurement can fail.
"""

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
