"""Work that several processes share: the results of one, whatever becomes of a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from skyports_tf.processes import each_of_many, processors
from tests.support.installs import ROOT
from tests.support.project import Project

# the tests' own process has threads, and works alone
pytestmark = pytest.mark.skipif(processors() < 2, reason="one processor has nobody to share with")

_BEGIN = """
import os, signal, sys, threading, time
from skyports_tf.processes import each_of_many
ITEMS, HERE = range(1000), os.getpid()
"""


def start(script: str) -> subprocess.Popen[str]:
    """A process of its own that runs the script."""
    return subprocess.Popen(
        [sys.executable, "-c", _BEGIN + script],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def said(script: str) -> str:
    """What the script prints; it says nothing on stderr, and succeeds."""
    process = start(script)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    return out.strip()


def test_results_come_in_the_order_of_the_items_and_from_several_processes() -> None:
    script = """
found = each_of_many(lambda item: (item, os.getpid()), ITEMS)
print([item for item, _ in found] == [*ITEMS], len({pid for _, pid in found}) > 1, HERE == found[0][1])
"""
    assert said(script) == "True True True"


@pytest.mark.parametrize(
    ("begin", "items"),
    [("", "range(100)"), ("threading.Thread(target=time.sleep, args=(2,), daemon=True).start()", "ITEMS")],
    ids=["few", "beside a thread"],
)
def test_few_items_and_those_of_a_process_with_threads_are_worked_on_here(begin: str, items: str) -> None:
    assert said(f"{begin}\nprint({{*each_of_many(lambda _: os.getpid(), {items})}} == {{HERE}})") == "True"


def test_an_error_is_raised_as_one_process_would() -> None:
    script = """
def work(item):
    if item >= 900:
        raise ValueError(item)
try:
    each_of_many(work, ITEMS)
except ValueError as error:
    print(error)
"""
    assert said(script) == "900"


def test_what_a_process_was_to_do_that_somebody_has_killed_is_done_here() -> None:
    script = """
def work(item):
    if os.getpid() != HERE and item == 990:
        os.kill(os.getpid(), signal.SIGKILL)
    return item
print(each_of_many(work, ITEMS) == [*ITEMS])
"""
    assert said(script) == "True"


def test_where_no_process_is_to_be_had_all_is_done_here() -> None:
    script = """
def refuse():
    raise BlockingIOError("no more processes")
os.fork = refuse
print({*each_of_many(lambda _: os.getpid(), ITEMS)} == {HERE})
"""
    assert said(script) == "True"


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_no_process_stays_behind_and_none_says_a_word(name: str) -> None:
    process = start("""
print("here", flush=True)
try:
    each_of_many(lambda item: time.sleep(0.002) or bytes(1000), ITEMS)
except KeyboardInterrupt:
    os._exit(130)
""")
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.1)
    # a terminal's Ctrl-C is for all of them, and the others are for one
    (os.killpg if name == "SIGINT" else os.kill)(process.pid, getattr(signal, name))
    # the pipes are at their end once the last of them has gone
    assert process.communicate(timeout=60) == ("", "")


def test_a_fleet_compiles_to_the_same_bytes_with_one_processor_and_with_all(tmp_path: Path) -> None:
    project = Project(tmp_path)
    tasks = tmp_path / "tasks"
    tasks.mkdir()
    for number in range(500):
        wrong = "\nnmae: x" if number in (100, 450) else ""
        asked = f"resources:\n  infra: aws/us-east-1\n  ports: {7000 + number}\n"
        text = f"name: web-{number}\n{asked}run: x{wrong}\n"
        (tasks / f"{number}.yaml").write_text(text, encoding="utf-8")
    project.config("user_hash: a1b2c3d4\n")

    def compiled(out: str, begin: str) -> tuple[int, str]:
        script = f"{begin}\nsys.argv = ['skyports-tf', 'compile', 'tasks', '--out', {out!r}]\n"
        script += "from skyports_tf.__main__ import main\nmain()"
        done = subprocess.run(
            [sys.executable, "-c", f"import os, sys\n{script}"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stderr.replace(out, "OUT")

    alone = "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"
    told = compiled("one", alone)
    assert told[0] == 1 and told[1].count("error[unknown-key]") == 2, told
    assert compiled("all", "") == told, "mistakes of all files are told, in the order of the files"
    for number in (100, 450):
        (tasks / f"{number}.yaml").unlink()
    assert compiled("one", alone)[0] == compiled("all", "")[0] == 0

    def files(out: str) -> dict[str, bytes]:
        found = (path for path in (tmp_path / out).rglob("*") if path.is_file())
        return {str(path.relative_to(tmp_path / out)): path.read_bytes() for path in found}

    assert files("one") == files("all")
    assert len(files("all")) > 4 * 498


def test_a_lone_item_needs_no_process() -> None:
    assert each_of_many(str, [1]) == ["1"]
    assert each_of_many(str, []) == []
