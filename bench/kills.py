"""`python -m bench.kills`: strikes at the calls of apply and destroy, and what a rerun of destroy leaves.

    python -m bench.kills                       every strike; takes half an hour on two cores
    python -m bench.kills --sample 40           that many of them, chosen by --seed
    python -m bench.kills --log kills.jsonl     go on where an earlier run has stopped
    python -m bench.kills --write               write the section of docs/reliability.md

Two yards work at the same time. Exit code 1 where anything was left.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

from bench.reliability import put_section
from tests.support.kills import BLOWS, Aftermath, Strike, yard

TITLE = "Kills"
_WORDS = """`python -m bench.kills --write`; `make kills` does it all

A proxy lets the calls that write to EC2 through, up to one, and strikes there: it kills Terraform with its
provider, our own process, or both (SIGKILL), answers the call with an error, or never answers. Where we
alone are killed, Terraform goes on and ends in order. The call was taken by the cloud, and nobody hears of
what it has made; one that gets an error was not. Then `destroy` is run again, and the cloud and the state
file are looked at: what is left of rules and groups, and whether the state could be read after the strike
and holds nothing after the destroy.

*orphans in* is in how many strikes the cloud had an object that no state knew of: without the repair that
destroy begins with, it would have stayed. *destroys* is how many runs of destroy it took, and how often.
"""


def main(arguments: list[str]) -> int:
    """Strike, and print what came of it; 1 where anything was left."""
    parser = argparse.ArgumentParser(prog="python -m bench.kills")
    parser.add_argument("--sample", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--write", action="store_true", help="write the section of docs/reliability.md")
    chosen = parser.parse_args(arguments)
    known = list(_logged(chosen.log)) if chosen.log else []
    done = {item.strike for item in known}
    with tempfile.TemporaryDirectory() as folder:
        strikes = _strikes(Path(folder))
        random.Random(chosen.seed).shuffle(strikes)
        left = [item for item in strikes[: chosen.sample] if item not in done]
        shares = [left[worker :: chosen.workers] for worker in range(chosen.workers)]
        places = [Path(folder) / f"worker-{worker}" for worker in range(chosen.workers)]
        with ProcessPoolExecutor(chosen.workers) as pool:
            for found in pool.map(_work, shares, places, [chosen.log] * chosen.workers):
                known += found
    text = section(known, len(known) == len(strikes))
    print(text)
    if chosen.write:
        put_section(TITLE, text)
    unclean = [item for item in known if not item.is_clean]
    for item in unclean:
        print(f"left: {item}", file=sys.stderr)
    return 1 if unclean else 0


def section(found: list[Aftermath], whole: bool) -> str:
    """The section of docs/reliability.md: what was done, how much of it, and what came of it."""
    how_many = "every one of them" if whole else f"{len(found)} of them, chosen at random"
    return f"""{_WORDS}
What follows is {how_many}.

{table(found)}
"""


def table(found: list[Aftermath]) -> str:
    """What came of the strikes, a line for each phase and blow."""
    lines = [
        "| during | struck | strikes | orphans in | destroys | rules left | groups left | states lost |",
        f"|{'---|' * 8}",
    ]
    for phase in ("apply", "destroy"):
        for blow in BLOWS:
            of_both = [item for item in found if (item.strike.phase, item.strike.blow) == (phase, blow)]
            runs = Counter(item.destroys for item in of_both)
            spoken = ", ".join(f"{number}: {times}" for number, times in sorted(runs.items()))
            rules, groups = (sum(getattr(item, name) for item in of_both) for name in ("rules", "groups"))
            lost = sum(not item.state_is_sound for item in of_both)
            orphaned = sum(item.orphans > 0 for item in of_both)
            counted = f"{len(of_both)} | {orphaned} | {spoken} | {rules} | {groups} | {lost}"
            lines.append(f"| {phase} | {blow} | {counted} |")
    return "\n".join(lines)


def _strikes(folder: Path) -> list[Strike]:
    """Every strike: each blow at each write call."""
    place = folder / "count"
    place.mkdir()
    with yard(place) as ours:
        calls = {"apply": ours.count("apply"), "destroy": ours.count("destroy")}
    print(f"write calls: {calls['apply']} of apply, {calls['destroy']} of destroy", flush=True)
    return [
        # a kill comes when the call was taken, an error instead of it, silence instead of the answer
        Strike(phase, blow, call, blow != "error")
        for phase in ("apply", "destroy")
        for blow in BLOWS
        for call in range(1, calls[phase] + 1)
    ]


def _work(strikes: list[Strike], folder: Path, log: Path | None) -> list[Aftermath]:
    folder.mkdir()
    found = []
    with yard(folder) as ours:
        for strike in strikes:
            found.append(ours.strike(strike))
            if log:
                with log.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(found[-1])) + "\n")
    return found


def _logged(log: Path) -> Iterator[Aftermath]:
    for line in log.read_text(encoding="utf-8").splitlines() if log.exists() else ():
        document = json.loads(line)
        yield Aftermath(**{**document, "strike": Strike(**document["strike"])})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
