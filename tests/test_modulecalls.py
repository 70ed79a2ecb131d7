"""Root modules that only look, joined into one."""

from __future__ import annotations

import hcl2
import pytest

from skyports_tf.modulecalls import joined_roots

TERRAFORM = 'terraform {\n  required_version = ">= 1.5"\n}\n\n'
PROVIDER = 'provider "aws" {\n  region = "us-east-1"\n}\n\n'


def look(name: str) -> str:
    return f'data "aws_vpcs" "{name}" {{}}\n\noutput "nodes" {{\n  value = data.aws_vpcs.{name}.ids\n}}\n'


def test_each_becomes_a_module_and_an_output_of_one_with_the_provider() -> None:
    texts = {name: f"# {name}\n{TERRAFORM}{PROVIDER}{look(name)}" for name in ("one", "two")}
    found = joined_roots(texts)
    assert found is not None and sorted(found) == ["", "one", "two"]
    code = {name: hcl2.loads(text) for name, text in found.items()}
    assert found[""].startswith(f"# one\n{TERRAFORM}{PROVIDER}".rstrip())
    assert [key for item in code[""]["module"] for key in item] == ['"one"', '"two"']
    assert [key for item in code[""]["output"] for key in item] == ['"one"', '"two"']
    for name in ("one", "two"):
        assert "provider" not in code[name] and found[name] == f"# {name}\n{TERRAFORM}\n{look(name)}"


@pytest.mark.parametrize(
    "providers",
    [
        (PROVIDER, PROVIDER.replace("east", "west")),
        (PROVIDER, ""),
        ("", ""),
        (PROVIDER + PROVIDER.replace('"aws"', '"google"'),) * 2,
        ('locals {\n  at = "a"\n}\n' + PROVIDER.replace('"us-east-1"', "local.at"),) * 2,
    ],
    ids=["another region", "one has none", "none", "two providers", "a value from elsewhere"],
)
def test_what_is_not_configured_alike_and_by_itself_is_not_joined(providers: tuple[str, str]) -> None:
    texts = {str(number): TERRAFORM + text + look("x") for number, text in enumerate(providers)}
    assert joined_roots(texts) is None
