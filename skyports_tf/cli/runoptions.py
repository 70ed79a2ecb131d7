"""The options of verbs that run Terraform: on states, on many stacks at once, on what has changed.

Most are kept in the session, where the config and the runs find them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from skyports_tf.cli.console import Session
from skyports_tf.processes import processors

Verb = TypeVar("Verb", bound=Callable[..., Any])

_lock_timeout_option = click.option(
    "--lock-timeout",
    default="0s",
    metavar="DURATION",
    show_default=True,
    help="How long to wait for a state lock, as Terraform spells it.",
)


def _keep_backend_config(
    context: click.Context, _option: click.Parameter, items: tuple[str, ...]
) -> tuple[str, ...]:
    if items:
        context.ensure_object(Session).backend_config = items
    return items


def _keep_migrate_state(context: click.Context, _option: click.Parameter, asked: bool) -> bool:
    if asked:
        context.ensure_object(Session).migrate_state = True
    return asked


_BACKEND_OPTIONS: tuple[Callable[[Verb], Verb], ...] = (
    click.option(
        "--backend-config",
        multiple=True,
        metavar="FILE|NAME=VALUE",
        expose_value=False,
        callback=_keep_backend_config,
        help="More settings of the backend, for 'terraform init' alone; repeatable.",
    ),
    click.option(
        "--migrate-state",
        is_flag=True,
        expose_value=False,
        callback=_keep_migrate_state,
        help="Copy a state to where the config says that it is, where it lies elsewhere.",
    ),
)


def backend_options(verb: Callable[..., int]) -> Callable[..., int]:
    """The options of verbs that run Terraform on where states are; they are kept in the session."""
    for option in reversed(_BACKEND_OPTIONS):
        verb = option(verb)
    return verb


def terraform_options(verb: Callable[..., int]) -> Callable[..., int]:
    """The options of verbs that run Terraform: `lock_timeout`, and those on where states are."""
    return _lock_timeout_option(backend_options(verb))


def _keep_since(context: click.Context, _option: click.Parameter, ref: str | None) -> str | None:
    if ref is not None:
        if not ref:
            raise click.BadParameter("name a commit, branch or tag.")
        context.ensure_object(Session).since = ref
    return ref


since_option = click.option(
    "--since",
    metavar="GIT_REF",
    expose_value=False,
    callback=_keep_since,
    help="Leave out stacks whose files and inputs are those of that commit.",
)


def _keep_parallel(context: click.Context, _option: click.Parameter, number: int | None) -> int | None:
    context.ensure_object(Session).parallel = number or processors()
    return number


parallel_option = click.option(
    "--parallel",
    type=click.IntRange(min=1),
    metavar="N",
    expose_value=False,
    callback=_keep_parallel,
    help="How many stacks run at once.  [default: one a processor]",
)
