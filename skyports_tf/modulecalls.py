"""The call of a stack's module in the text of its root module: found, taken out, moved into a shared root.

A cloud's templates/<cloud>/stack/main.tf.j2 holds `module "ports"` and, for it, `variable "closed"`; what
is around them is for the root module as a whole: the provider, its version. Root modules that only look
become modules of one, so that one run does for many.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from skyports_tf import hcl
from skyports_tf.model import Stack
from skyports_tf.roots import LONE_MODULE, module_of

_CALL = re.compile(r'(?:^#[^\n]*\n)*^module "[^"\n]+" \{\n.*?^\}\n', re.MULTILINE | re.DOTALL)
_VARIABLE = re.compile(r'^variable "closed" \{\n.*?^\}\n', re.MULTILINE | re.DOTALL)
_LONE_CLOSED = re.compile(r"^(  closed = )var\.closed$", re.MULTILINE)
_PROVIDER = re.compile(r'^provider "[^"\n]+" \{(?:\n.*?^)?\}\n', re.MULTILINE | re.DOTALL)
_REFERENCE = re.compile(r"\b(?:local|var|data|module)\.")
_JOINED = """
module "{name}" {{
  source = "./{name}"
}}

output "{name}" {{
  value = module.{name}
}}
"""
#: Where the variable of one stack is true, that of a shared root module names the clusters.
SHARED_VARIABLE = """\
variable "closed" {
  description = "Names of clusters whose ports are all closed; the rest stays."
  type        = set(string)
  default     = []
  nullable    = false
}
"""


def call_of(text: str) -> str:
    """The call of the module, with the comments above it; empty where the text has none."""
    found = _CALL.search(text)
    return found[0] if found else ""


def variable_of(text: str) -> str:
    """The variable that the call needs; empty where the text has none."""
    found = _VARIABLE.search(text)
    return found[0] if found else ""


def without_call(text: str) -> str:
    """The text without the call; the variable stays."""
    return _CALL.sub("", text)


def shared_root(text: str) -> str:
    """The root module that all clusters of a place share, from the text of one of them."""
    return f"{_VARIABLE.sub('', _CALL.sub('', text)).rstrip()}\n\n{SHARED_VARIABLE}"


def call_in_root(stack: Stack, call: str) -> str:
    """The call as it stands in the stack's root module, from that of a root of its own."""
    module = module_of(stack)
    if module == LONE_MODULE and stack.layout == "separate":
        return call
    named = call.replace(f'module "{LONE_MODULE}" {{', f"module {hcl.quote(module)} {{", 1)
    return _LONE_CLOSED.sub(rf"\1contains(var.closed, {hcl.quote(stack.cluster)})", named, count=1)


def output_in_root(stack: Stack) -> str:
    """What a shared root module tells of a cluster: all that its module does.

    One output a cluster: a plan that targets the module's resources covers it, too (Terraform 1.11).
    """
    module = module_of(stack)
    return (
        f"output {hcl.quote(module)} {{\n"
        f"  description = {hcl.quote(f'Open ports and nodes of {stack.cluster}.')}\n"
        f"  value       = module.{module}\n"
        "}\n"
    )


def joined_roots(texts: Mapping[str, str]) -> Mapping[str, str] | None:
    """Root modules, by name, as modules of one, which has an output of each name: the outputs of that module.

    Gives the text of each main.tf by its folder, "" for that of the root. None where they do not configure
    one provider, all alike and by themselves: then they cannot run as one.
    """
    found = [_PROVIDER.findall(text) for text in texts.values()]
    first = found[0]
    if len(first) != 1 or any(each != first for each in found) or _REFERENCE.search(first[0]):
        return None
    head = next(iter(texts.values())).partition(first[0])[0]
    calls = "".join(_JOINED.format(name=name) for name in texts)
    return {
        "": f"{head}{first[0]}{calls}",
        **{name: text.replace(first[0], "") for name, text in texts.items()},
    }
