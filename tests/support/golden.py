"""Golden trees: compiles the cases, and writes what they are compared with anew (`make golden`)."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from skyports_tf.diagnostics import FindingsError, format_diagnostics
from tests.support.installs import ROOT
from tests.support.project import Project

EXAMPLES = ROOT / "examples"
#: The folder beside the cases that holds the cloud's module.
MODULE = "module"
CASES = sorted(path.parent for path in (ROOT / "tests" / "golden").glob("*/*/skyports.yaml"))


def compiled(case: Path, folder: Path) -> str | None:
    """Compile a copy of the case in `folder`; None, or the findings that refuse it.

    Task files are compiled one after another, in the order of their names: each is what the
    cluster's owner runs next.
    """
    project = Project(folder)
    tasks = sorted(path.name for path in case.glob("*.yaml") if path.name != "skyports.yaml")
    for name in ("skyports.yaml", *tasks):
        shutil.copy(case / name, folder / name)
    try:
        for name in tasks:
            # 1-web.yaml, 2-web.yaml: the same file after an edit
            current = (
                project.write(name.split("-", 1)[1], (folder / name).read_text())
                if name[0].isdigit()
                else name
            )
            project.compile(current)
    except FindingsError as error:
        return format_diagnostics(error.diagnostics) + "\n"
    return None


def rewrite(case: Path) -> None:
    """Write what the case compiles to; the module is the same for every case and stands beside them."""
    shutil.rmtree(case / "expected", ignore_errors=True)
    (case / "expected.txt").unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        answer = compiled(case, Path(folder))
        if answer is not None:
            (case / "expected.txt").write_text(answer, encoding="utf-8")
            return
        shutil.rmtree(case.parent / MODULE, ignore_errors=True)
        shutil.copytree(Path(folder, "infra", "modules", case.parent.name), case.parent / MODULE)
        shutil.rmtree(Path(folder, "infra", "modules"))
        shutil.copytree(Path(folder, "infra"), case / "expected")


def main() -> None:
    """Rewrite every case, and the tree of examples/infra."""
    for case in CASES:
        rewrite(case)
    shutil.rmtree(EXAMPLES / "infra", ignore_errors=True)
    program = [sys.executable, "-m", "skyports_tf", "--config", "config/skyports.yaml"]
    subprocess.run([*program, "compile", "jupyter_lab.yaml"], cwd=EXAMPLES, check=True)


if __name__ == "__main__":
    main()
