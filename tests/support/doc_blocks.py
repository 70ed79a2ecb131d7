"""The commands in README.md and docs/: every fenced block, and what a shell and a reader make of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from markdown_it import MarkdownIt

from tests.support.installs import ROOT

#: Blocks of a shell: commands alone, commands with what they print, and lines of a crontab.
SHELL = ("sh", "console", "crontab")
#: Blocks of anything else: no command hides in them.
OTHERS = ("text", "yaml", "json", "hcl", "jinja", "mermaid")
PAGES = ("README.md", *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md")))

_HEREDOC = re.compile(r"<<-?\s*'?(\w+)'?")
_COMMENT = re.compile(r"(?:^|\s+)#\s.*$")
_CRON_FIELDS = re.compile(r"^(?:[\d*/,-]+\s+){5}")


@dataclass(frozen=True)
class Block:
    """A fenced block: where it begins, the word after its fence, and its text."""

    page: str
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        """Where an editor finds it."""
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Command:
    """One command of a page as a shell takes it; `shown` is what the page says it prints, or None."""

    page: str
    line: int
    text: str
    shown: str | None = None

    @property
    def words(self) -> str:
        """The command without the remark behind it."""
        return _COMMENT.sub("", self.text)


def blocks(page: str) -> list[Block]:
    """The blocks of a page, those in quotes, lists and folds too. Fails where one has no fence."""
    found = []
    for token in MarkdownIt().parse((ROOT / page).read_text(encoding="utf-8")):
        line = (token.map or [0])[0] + 1
        assert token.type != "code_block", f"{page}:{line}: a block needs a fence and a language"
        if token.type == "fence":
            found.append(Block(page, line, token.info.strip(), token.content))
    return found


def commands(page: str) -> list[Command]:
    """The commands of a page, in their order."""
    return [command for block in blocks(page) for command in commands_of(block)]


def commands_of(block: Block) -> list[Command]:
    """The commands of a block; none where it is not a shell's."""
    read = {"sh": _script, "console": _session, "crontab": _crontab}.get(block.language)
    return list(read(block)) if read else []


def _script(block: Block) -> Iterator[Command]:
    lines = iter(enumerate(block.text.splitlines(), start=block.line + 1))
    for number, line in lines:
        if not _COMMENT.sub("", line).strip():
            continue
        parts, heredoc = [line], _HEREDOC.search(line)
        while (heredoc and parts[-1] != heredoc[1]) or parts[-1].endswith("\\"):
            parts.append(next(lines)[1])
        yield Command(block.page, number, "\n".join(parts))


def _session(block: Block) -> Iterator[Command]:
    first, *rest = re.split(r"^\$ (.+)\n?", block.text, flags=re.MULTILINE)
    assert not first.strip(), f"{block.place}: a session begins with a command"
    number = block.line + 1
    for command, shown in zip(rest[::2], rest[1::2], strict=True):
        yield Command(block.page, number, command, shown)
        number += 1 + shown.count("\n")


def _crontab(block: Block) -> Iterator[Command]:
    for number, line in enumerate(block.text.splitlines(), start=block.line + 1):
        assert _CRON_FIELDS.match(line), f"{block.page}:{number}: five fields, and a command"
        yield Command(block.page, number, _CRON_FIELDS.sub("", line))


def comparable(text: str) -> str:
    """Without what differs from run to run: instance ids, addresses, and the columns that they widen."""
    text = re.sub(r"\bi-[0-9a-f]{17}\b", "i-ID", text)
    text = re.sub(r"\b\d+\.\d+\.\d+\.\d+\b(?!/)", "ADDRESS", text)
    return "\n".join(re.sub(r"[ \t]+", " ", line).rstrip() for line in text.strip().splitlines())


def shows(shown: str, printed: str) -> bool:
    """Whether `printed` is what a page has shown of it, where a line `...` stands for any lines."""
    parts = map(re.escape, f"\n{comparable(shown)}\n".split("\n...\n"))
    return bool(re.fullmatch("\n(?:.*\n)?".join(parts), f"\n{comparable(printed)}\n", re.DOTALL))
