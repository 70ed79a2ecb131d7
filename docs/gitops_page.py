"""docs/gitops.md: how a repository of task files runs itself, with the files that `ci` writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from docs.markdown import table
from skyports_tf.clouds import load_cloud, managed_clouds
from skyports_tf.config import Config
from skyports_tf.login import login_of
from skyports_tf.pipelines.files import Pipeline, pipeline_files
from skyports_tf.pipelines.project import PipelineProject, place_of_root
from skyports_tf.pipelines.settings import read_settings
from skyports_tf.tree import all_stacks

_OUT = "examples/infra"

INTRODUCTION = """\
# GitOps: every pipeline runs it

The task files, `skyports.yaml` and the tree that they compile to are in git. A pull request shows what
opens and to whom; what is merged is applied; what nobody needs any more is closed. `skyports-tf ci KIND`
writes the files that make a pipeline of it, from the tree as it is:

| `ci` | writes | for |
|---|---|---|
| `github` | `.github/workflows/skyports.yml`, `skyports-upkeep.yml` | GitHub Actions |
| `gitlab` | `skyports.gitlab-ci.yml`, and `.gitlab-ci.yml` where there is none | GitLab CI |
| `atlantis` | `atlantis.yaml` | Atlantis |
| `tofu-controller` | `flux/skyports/` | Flux with tofu-controller |
| `terragrunt` | `infra/*/*/terragrunt.hcl` | `terragrunt run --all` |
| `pre-commit` | `.pre-commit-config.yaml` | pre-commit, before anything is pushed |

```sh
skyports-tf ci github           # writes; run it again when clouds or stacks come or go
skyports-tf ci github --check   # exit 1 where a file differs: the pipelines do that themselves
skyports-tf ci github --diff
```

A file that is not ours is never overwritten: `--stdout` shows what would be in it. Branch, environment,
schedules and what pip installs stand under `ci` in [the config](configuration.md), or in options that the
files then name. In a repository with several projects, each has its own files, named after its folder; in
what there is once for all (`atlantis.yaml`, `.gitlab-ci.yml`, `.pre-commit-config.yaml`), each has its part.

## Before you begin

1. **A backend.** A pipeline keeps nothing on its machines: with a local state, `ci` warns
   (`local-state-in-pipeline`). `backend: {s3: {bucket: my-state, region: us-east-1, use_lockfile: true}}`
2. **Everything in files.** A pipeline says `--all`: every task that the tree was compiled from, for its
   own cluster. It knows no `--source`, `--ports`, `--infra` or `--expires` of yours: what is to hold
   belongs into the task file or `skyports.yaml`, and `compile --all --check` fails where it is not.
3. **Dates instead of durations.** `expires: 8h` counts from an apply on, and a pipeline does not commit
   when that was: `ci` warns (`duration-in-pipeline`). Write `expires: 2026-12-01`.
4. **The lock files.** Commit `.terraform.lock.hcl`, for all platforms that plan:
   `terraform providers lock -platform=linux_amd64 -platform=darwin_arm64`.
5. **Task files that are new.** `--all` knows what was compiled. Name your folders under `ci.tasks`, and a
   task that nobody has compiled fails the check, too.
6. **A grace.** A cluster that is merged and not launched yet has no nodes, and the scheduled `reap` closes
   what has none for 15 minutes. `ci.grace: 12h` lets people take their time.

OpenTofu instead of Terraform: `terraform: {binary: tofu}` in `skyports.yaml`, and every pipeline sets up
OpenTofu. `ci.terraform` names the version of either.

## To close ports

A port that goes from a task file closes with its merge. A cluster takes two pull requests:

```sh
git rm tasks/jupyter.yaml
skyports-tf compile --all --forget tasks/jupyter.yaml
git commit --all --message "jupyter closes"     # the first closes its ports, and what held them
git rm -r infra/jupyter
git commit --message "jupyter is gone"          # the second, once that was applied
```

Whoever removes both at once is warned (`stack-gone`): the ports would stay open.

## The credentials

No file holds a secret. Where a cloud takes OIDC, the job's own token is exchanged for credentials that
live for an hour; the names below are variables of the repository (GitHub) or the project (GitLab).
Secrets are needed only where a cloud knows no OIDC.

Give each variable twice: **for the repository** a role that may only *read* (plans, drift), and **for the
environments** `skyports` and `skyports-upkeep` a role that may *write*. Plans of pull requests run code
of people who have not been reviewed yet: providers and modules that a branch names. The role that reads
must be worth no attack. It also needs the state: to read it, and to write its lock.
"""

GITHUB = """\
## GitHub Actions

| job | when | may |
|---|---|---|
| `check` | each pull request, forks too | read; findings stand beside the lines (SARIF) |
| `plan` | each of the repository itself | log in to read; keeps what it shows, never the plan |
| `comment` | after it | write one comment, renewed by each push; runs nothing of yours |
| `prepare` | push to the main branch, or by hand | log in to read; plans what was merged |
| `apply` | after it, for each stack | log in to write, behind the environment `skyports` |
| `reap`, `drift` | by schedule | `skyports-upkeep.yml`: close what nobody needs; tell what differs |

Set it up once:

1. Environments `skyports` (with required reviewers) and `skyports-upkeep` (without), both for the main
   branch alone.
2. Roles. What each trusts is the `sub` of GitHub's token:

   | role | trusts `sub` |
   |---|---|
   | reads | `repo:ORG/REPO:pull_request`, `repo:ORG/REPO:ref:refs/heads/main` |
   | writes | `repo:ORG/REPO:environment:skyports`, `repo:ORG/REPO:environment:skyports-upkeep` |

3. Protect the main branch: a review, approval of the last push, and the checks `Compile check` and
   `Plan`.

### The plan that is applied

What is applied is what was shown, twice over:

- **Never a plan of a pull request.** A branch can make its own run upload any file under any name. So a
  pull request hands on no plan. It keeps `skyports.tfplan.json` for each stack: what its plan does, as
  addresses, actions and ports, with a fingerprint.
- **The plan of what was merged** is made on the main branch, from reviewed code alone, and saved.
- **Held against what was reviewed.** `plan --reviewed` finds the pull request of each merged commit, and
  the run of the very head that was merged. A plan that does anything else, because the cloud or the main
  branch has moved since, is refused (`plan-unreviewed`), and nothing is applied.
- **That very file is applied.** The job behind the environment checks the SHA-256 of all plans against
  the one that `prepare` has handed over, and `apply --saved` checks each plan against what was shown.
  Terraform refuses it where the state has moved meanwhile. It plans nothing anew, and zero-gap steps stay
  steps.

What was refused, pushed without a pull request, or came from a fork, is applied by hand: *Run workflow*
on the main branch plans every stack, and whoever lets the environment go on has the plan in the run's
summary. The first apply of a repository is of that kind.

- **Only what has changed** is planned: on a pull request since its base, on the main branch since the
  last run that went through, so that a run that failed or was overtaken loses nothing.
- Runs for the main branch take turns, and applies of one stack, too; none is broken off.
- A plan holds what the state holds. Ours hold addresses, names and ports, no credentials; they are kept
  for a day.
- Nothing that a stranger can write (a branch's name, a title) stands in a script: no expression is in any
  `run`.
- Actions are pinned to the commits of releases; `templates/ci/facts.yaml` says where each was seen.
"""

GITLAB = """\
## GitLab

`skyports.gitlab-ci.yml` is included by your `.gitlab-ci.yml`; where you have one, `ci` leaves it alone
and says what to add.

| job | when | does |
|---|---|---|
| `skyports:check` | each merge request | the tree is what its tasks compile to; findings as JUnit |
| `skyports:plan` | each merge request | the widget counts; *What opens and closes* beside it tells ports |
| `skyports:prepare` | push to the default branch | plans what was merged, holds it against what was shown |
| `skyports:apply STACK` | started by somebody | applies that plan, in the environment `skyports/STACK` |
| `skyports:reap`, `skyports:drift` | by schedule | close what nobody needs; tell what differs |

Applies of one stack take turns (`resource_group`). What was reviewed is found without any secret: a merge
request keeps `skyports.tfplan.json` for each stack, what its plan does, as an artifact, and never the plan.
After the merge, the heads of the merge requests (`refs/merge-requests/*/head`) tell which one a commit is:
merged as it was, as a merge, or squashed. The job's own token (`CI_JOB_TOKEN`) fetches what its last
pipeline has shown, and only if that was of its last commit. `plan --reviewed` refuses a plan that does
anything else (`plan-unreviewed`), and no apply can be started.

- The pipeline of the merge request must have succeeded: GitLab hands on the artifacts of no other. *Pipelines
  must succeed* makes it so for every merge.
- GitLab documents artifacts for a job's token in Premium and Ultimate. In another tier give a token of your
  own with the scope `read_api` as the variable `SKYPORTS_READ_TOKEN`, masked and protected, so that no branch
  sees it. Without either, every apply is one by hand.
- What was refused, was pushed without a merge request, came from a fork, or was not started within a day
  is applied by hand: *Run pipeline* on the default branch plans every stack, and offers every apply. Look at
  that plan first. The first apply of a project is of that kind.
- No note is written on the merge request. It would need a token that may write, in a job that runs what a
  branch says.

Set it up once:

1. Variables, protected and with the environment scope `skyports/*`, for the role that writes; without a
   scope for the role that reads. Trust the `sub` `project_path:GROUP/PROJECT:ref_type:branch:ref:main` to
   write, and `project_path:GROUP/PROJECT:*` to read.
2. Two schedules on the default branch, with the variable `SKYPORTS_UPKEEP` = `reap` (every 15 minutes)
   and `drift` (daily).
3. States in GitLab itself (`backend: {http: {address: "https://gitlab.example.com/api/v4/projects/ID/terraform/state/{stack}"}}`
   with `lock_address`, `lock_method: POST`, `unlock_address`, `unlock_method: DELETE`) are opened with the
   job's own token, of a maintainer: GitLab lets nobody else lock them.

Jobs are in the stages `test` and `deploy`. What a job needs is in `image` (`ci.image`): Python, pip, git,
bash and GNU's coreutils. Terraform comes with `skyports-tf[embedded]`, which pip installs where `ci.install`
says nothing else; OpenTofu with its own installer, which needs curl and gpg, where the image has none.
"""

ATLANTIS = """\
## Atlantis

A project for each stack, planned when its files, its module or its task files change. No key that a
server restricts is used (`workflow`, `apply_requirements`): require approval on the server. Other
Terraform of the repository is still found (`autodiscover`). Atlantis runs Terraform itself: it applies
the plan that it has shown, and knows no zero-gap steps. Let a hook of the server run `skyports-tf compile
--all --check` and `skyports-tf ci atlantis --check`, with `--fail-on-pre-workflow-hook-error`.
"""

FLUX = """\
## Flux with tofu-controller

An object for each stack. `destroyResourcesOnDeletion: true` closes the ports when the object goes: the
controller's default would leave them open. `approvePlan` is empty, so that somebody names each plan;
`ci.approve_plan: auto` applies what is merged. With a backend of your own the stack's `backend.tf`
counts, else the controller keeps the state in its cluster. `--source-ref KIND/NAME` names Flux's source;
credentials are those of the runner's pod.
"""

TERRAGRUNT = """\
## Terragrunt

A stack is a whole root module, so its unit copies, generates and inherits nothing: no second backend, and
`terraform` works beside it. A stack that is gone loses its unit with the next `ci terragrunt`.
"""

PRE_COMMIT = """\
## pre-commit

Before a commit, the tree is compared with what its tasks compile to. This repository is one of hooks, too
(`.pre-commit-hooks.yaml`): `skyports-tf-compile-check`, `skyports-tf-compile`, `skyports-tf-inspect`,
`skyports-tf-ci-check`.
"""

OTHERS = """\
## Any other pipeline

```sh
skyports-tf compile --all --check                       # the tree is what its tasks compile to; policy
skyports-tf plan --all --since origin/main --format markdown > comment.md
skyports-tf apply --saved --yes                         # those very plans, on this or another machine
skyports-tf reap --no-sky --marks .marks                # from cron
skyports-tf drift                                       # exit 1 where anything differs
```

Another machine needs `skyports.tfplan`, `skyports.tfplan.json` and `.terraform.lock.hcl` of each stack.
"""

_PARTS = {
    "github": GITHUB,
    "gitlab": GITLAB,
    "atlantis": ATLANTIS,
    "tofu-controller": FLUX,
    "terragrunt": TERRAGRUNT,
    "pre-commit": PRE_COMMIT,
}


def gitops_page() -> str:
    """The page, with the files that `ci` writes for the example's tree."""
    parts = [INTRODUCTION, _credentials()]
    for kind, text in _PARTS.items():
        parts += [text, *_files(kind)]
    return "\n".join([*parts, OTHERS])


def _credentials() -> str:
    rows = []
    for name in managed_clouds():
        login = login_of(load_cloud(name).login)
        for kind, names in (("variable", login.variables), ("secret", login.secrets)):
            rows += [(load_cloud(name).title, f"`{key}`", kind, meaning) for key, meaning in names.items()]
    return table(("cloud", "name", "kind", "what it is"), rows)


def _files(kind: str) -> Iterator[str]:
    language = {"terragrunt": "hcl"}.get(kind, "yaml")
    for file in pipeline_files(Pipeline(kind, _project(), read_settings({}, {}))):
        path = file.path.replace(_OUT, "infra")
        shown = f"```{language}\n{file.text}```"
        yield f"<details><summary><code>{path}</code></summary>\n\n{shown}\n\n</details>\n"


def _project() -> PipelineProject:
    """A project of one stack, the example's, with a state in S3."""
    config = replace(Config(), backend_kind="s3")
    root = Path(__file__).resolve().parent.parent
    stacks = all_stacks(str(root / _OUT))
    return PipelineProject(
        root=str(root / "examples"),
        project=".",
        out="infra",
        config=None,
        names_out=False,
        backend=config.backend_kind,
        clouds=tuple(load_cloud(name) for name in sorted({stack.cloud for stack in stacks})),
        stacks=tuple(place_of_root([stack], "infra") for stack in stacks),
    )
