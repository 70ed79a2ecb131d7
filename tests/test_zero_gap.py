"""Zero gap on the order of EC2 calls: the real Terraform and AWS provider, a local AWS behind a proxy.

`python -m bench.zero_gap` does the same at length and writes docs/reliability.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from bench.reliability import with_section
from bench.zero_gap import CONTROL, MODEL, ONE, TWO, problems, section
from skyports_tf.clouds import managed_clouds
from tests.support.ec2_proxy import start_proxy
from tests.support.local_aws import MotoServer, reset
from tests.support.zero_gap import Figures, Lab, model_edits, model_figures


@dataclass
class Story:
    """Edits in their steps, then some as one apply."""

    safe: Figures
    control: Figures


@pytest.fixture(scope="module")
def story(
    tmp_path_factory: pytest.TempPathFactory, moto: MotoServer, terraform_config: Path
) -> Iterator[Story]:
    reset(moto.url)
    with start_proxy(moto.url) as proxy, pytest.MonkeyPatch.context() as patch:
        for name, value in {**proxy.server.env, "TF_CLI_CONFIG_FILE": str(terraform_config)}.items():
            patch.setenv(name, value)
        lab = Lab(tmp_path_factory.mktemp("lab"), proxy, moto.url, blocks=8, seed=4)
        safe = lab.edit(steps=True) + lab.edit(steps=False)
        control = lab.edit(steps=True, safe=False)
        yield Story(safe, control if control.closed else control + lab.edit(steps=True, safe=False))


@pytest.mark.xdist_group("zero gap")
def test_no_call_closes_what_stays_wanted_and_every_call_is_one_of_the_model(story: Story) -> None:
    assert (story.safe.edits, story.safe.applies) == (16, 3)
    assert story.safe.calls >= 16 and story.safe.watched > 0
    assert (story.safe.closed, story.safe.unforeseen) == (0, 0)


@pytest.mark.xdist_group("zero gap")
def test_in_one_apply_ports_do_close_and_the_model_says_which(story: Story) -> None:
    assert story.control.closed > 0
    assert story.control.unforeseen == 0


@pytest.mark.parametrize("cloud", managed_clouds())
def test_in_the_model_no_order_closes_what_stays_wanted(cloud: str) -> None:
    random = Random(1)
    found = Figures()
    for before, after in model_edits(cloud, 60, seed=2):
        found += model_figures(before, after, random)
    assert found.edits == 60 and found.watched > 0
    assert (found.closed, found.unforeseen) == (0, 0)


FOUND = {ONE: Figures(1, 1, 1, 9), TWO: Figures(1, 2, 2, 9), MODEL: Figures(1, 1, 1, 9)}


@pytest.mark.parametrize(
    ("figures", "told"),
    [
        ({CONTROL: Figures(closed=5)}, []),
        ({CONTROL: Figures(closed=0)}, ["the control closed nothing"]),
        ({CONTROL: Figures(closed=5, unforeseen=1)}, [f"{CONTROL}: 1 not as the model says"]),
        ({CONTROL: Figures(closed=5), TWO: Figures(closed=1)}, [f"{TWO}: 1 closed while wanted"]),
        ({CONTROL: Figures(closed=5), MODEL: Figures(unforeseen=2)}, [f"{MODEL}: 2 not as the model says"]),
    ],
)
def test_the_measurement_fails_for_each_thing_that_is_not_so(
    figures: dict[str, Figures], told: list[str]
) -> None:
    found = problems({**FOUND, **figures})
    assert len(found) == len(told)
    assert all(text.startswith(start) for text, start in zip(found, told, strict=True))


def test_the_section_has_a_row_for_each_kind_of_edit() -> None:
    text = section({**FOUND, CONTROL: Figures(1, 1, 1, 9000, 5)})
    assert f"| {CONTROL} | 1 | 1 | 1 | 9,000 | 5 | 0 |" in text
    assert text.count("\n|") == 6


def test_a_section_of_the_page_is_replaced_and_the_others_stay() -> None:
    page = with_section("# Page\n\nHead.\n", "One", "a\n")
    page = with_section(page, "Two", "b")
    assert page == "# Page\n\nHead.\n\n## One\n\na\n\n## Two\n\nb\n"
    assert with_section(page, "One", "c") == page.replace("a\n\n## Two", "c\n\n## Two")
    assert with_section(page, "Two", "d") == page.replace("b\n", "d\n")
