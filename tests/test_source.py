"""YAML as SkyPilot's loader gives it, with places; and texts made to hurt, refused in one finding."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skyports_tf.diagnostics import Diagnostic, FindingsError
from skyports_tf.source import YamlFile, read_yaml
from skyports_tf.text.textfile import MOST_BYTES

Read = Callable[..., YamlFile]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read a text as a file, exactly as it is."""

    def read_text(text: str | bytes, **options: Any) -> YamlFile:
        path = tmp_path / "t.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_yaml(str(path), **options)

    return read_text


@pytest.fixture
def refusal(read: Read) -> Callable[[str | bytes], Diagnostic]:
    """The one finding that refuses a text."""

    def refused(text: str | bytes) -> Diagnostic:
        with pytest.raises(FindingsError) as caught:
            read(text)
        [finding] = caught.value.diagnostics
        return finding

    return refused


def place(item: Diagnostic) -> tuple[int, int]:
    assert item.span is not None
    return item.span.line, item.span.column


# -- what is read ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("80", 80),
        ("0100", 64),
        ("0080", "0080"),
        ("0x50", 80),
        ("8_080", 8080),
        ("22:22", 1342),
        ("+80", 80),
        ("1e3", "1e3"),
        ("1.5e+3", 1500.0),
        ("0o100", "0o100"),
        ("yes", True),
        ("off", False),
        ("y", "y"),
        ("~", None),
        ("", None),
        ("2024-10-20", datetime.date(2024, 10, 20)),
        ("!!str 80", "80"),
        ("!!binary aGk=", b"hi"),
        ("!!set {a, b}", {"a", "b"}),
        ("[1, {a: 2}]", [1, {"a": 2}]),
    ],
)
def test_values_are_those_of_yaml_1_1(read: Read, written: str, value: object) -> None:
    assert read(f"ports: {written}\n").documents[0].data == {"ports": value}


@pytest.mark.parametrize(
    "text",
    [
        "a: &x [1, 2]\nb: *x\nc: {d: *x}\n",
        "base: &b {infra: aws, ports: 80}\nuse:\n  <<: *b\n  ports: 81\n",
        "a: &a {x: 1}\nb: &b {y: 2}\nc:\n  <<: [*a, *b]\n",
        "80: x\nyes: y\n~: z\n1.5: w\n",
        "a: |\n  text\n  more\nb: >-\n  folded\n  line\n",
        "a: 1\n---\n---\nb: 2\n...\n---\n[]\n",
        "%YAML 1.1\n---\na: 010\n",
        "=: 1\n",
        "!!omap [a: 1, b: 2]\n",
        "",
        "# nothing\n",
        "a: .inf\nb: -.INF\nc: 12345678901234567890\n",
    ],
)
def test_a_document_is_what_pyyaml_makes_of_it(read: Read, text: str) -> None:
    assert [item.data for item in read(text).documents] == list(yaml.load_all(text, yaml.CSafeLoader))


# texts that are YAML often, and often are not
SCRAPS = [*"ab:-[]{},'1~#?%=.|é", "&a", "*a", "<<", "010", "22:22", "0x", "yes", "!!str", "2024-13-01"]
yaml_texts = st.lists(
    st.sampled_from([*SCRAPS, ": ", "- ", " ", "  ", "\n", "---\n", "|\n", "\t"]), max_size=14
).map("".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(yaml_texts)
def test_any_text_is_read_as_pyyaml_reads_it_or_refused(read: Read, text: str) -> None:
    try:
        expected = list(yaml.load_all(text, yaml.CSafeLoader))
    except Exception:  # noqa: BLE001 - PyYAML lets all kinds of errors through
        with pytest.raises(FindingsError):
            read(text)
        return
    try:
        found = [item.data for item in read(text, keep_repeated_keys=True).documents]
    except FindingsError as error:
        assert {item.code for item in error.diagnostics} == {"yaml-alias-cycle"}
        return
    assert repr(found) == repr(expected)


def test_an_aliased_value_is_one_object_as_in_pyyaml(read: Read) -> None:
    data = read("a: &x {k: [1]}\nb: *x\n").documents[0].data
    assert data["a"] is data["b"]


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_line_ends_do_not_matter(read: Read, ends: str) -> None:
    [document] = read(f"a: 1{ends}b: |{ends}  x{ends}  y{ends}c: 3{ends}").documents
    assert document.data == {"a": 1, "b": "x\ny\n", "c": 3}
    assert document.span(("c",)).line == 5


def test_a_byte_order_mark_does_not_shift_places(read: Read) -> None:
    [document] = read("\ufeffports: '80, x'\n").documents
    item = document.part_diagnostic("bad-port", "no", ("ports",), (4, 5))
    assert place(item) == (1, 13)
    assert item.source_line == "ports: '80, x'"


# -- where things are ------------------------------------------------------------------

TASK = """\
name: web
resources:
  ports: [80, '90, x']
  any_of:
    - infra: aws
      80: q
    - {infra: gcp}
  labels: {on: a}
run: |
  echo
"""


@pytest.mark.parametrize(
    ("at", "key", "span"),
    [
        (("name",), False, (1, 7, 1, 10)),
        (("name",), True, (1, 1, 1, 5)),
        (("resources", "ports"), False, (3, 10, 3, 23)),
        (("resources", "ports", 0), False, (3, 11, 3, 13)),
        (("resources", "ports", 1), False, (3, 15, 3, 22)),
        (("resources", "any_of", 0, "infra"), False, (5, 14, 5, 17)),
        (("resources", "any_of", 0, 80), True, (6, 7, 6, 9)),
        (("resources", "labels", True), True, (8, 12, 8, 14)),
        (("resources", "any_of", 1), False, (7, 7, 7, 19)),
        (("resources", "any_of", 7), False, (4, 3, 4, 9)),
        (("resources", "missing", "deeper"), False, (3, 3, 3, 8)),
        ((), False, (1, 1, 1, 5)),
    ],
)
def test_every_part_has_its_place(read: Read, at: tuple[Any, ...], key: bool, span: tuple[int, ...]) -> None:
    item = read(TASK).documents[0].diagnostic("bad-port", "no", at, key=key)
    assert item.span is not None
    found = item.span
    if at == ("resources", "any_of", 7):  # the nearest above: the list, shown by where it begins
        assert found.line == 5
        return
    assert (found.line, found.column, found.end_line, found.end_column) == span
    assert item.source_line == TASK.splitlines()[span[0] - 1]


@pytest.mark.parametrize(
    ("written", "column"),
    [("80, x", 12), ("'80, x'", 13), ('"80, x"', 13), ('"80,\\tx"', 8), ("'8''0, x'", 8)],
)
def test_a_part_of_a_text_has_its_column_where_the_text_stands_as_it_is(
    read: Read, written: str, column: int
) -> None:
    [document] = read(f"ports: {written}\n").documents
    begin = document.data["ports"].index("x")
    assert place(document.part_diagnostic("bad-port", "no", ("ports",), (begin, begin + 1))) == (1, column)


def test_a_merged_key_is_shown_where_it_was_written(read: Read) -> None:
    [document] = read("b: &b\n  ports: 99999\nuse:\n  <<: *b\n").documents
    assert place(document.diagnostic("bad-port", "no", ("use", "ports"))) == (2, 10)


# -- what is refused -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("a: 1\nb: [1, 2\n", 3, 1, "the list [ ... ] goes on without ',' and without ']'"),
        ("a: {b: 1\n", 2, 1, "the mapping { ... } goes on without ',' and without '}'"),
        ("a:\n\tb: 1\n", 2, 1, "a tab cannot indent YAML"),
        ("a: b: c\n", 1, 5, "a ':' stands where no key can be"),
        ("infra: *\n", 1, 9, "'*' and '&' begin an alias or an anchor, and a name must follow"),
        ("infra: *all\n", 1, 8, "an alias without its anchor"),
        ("a: 'x\n", 2, 1, "the text ends inside a quoted value"),
        ('a: "\\q"\n', 1, 5, 'no such escape in a "double quoted" text'),
        ("a: @x\n", 1, 4, "this character cannot begin a value"),
        ("a: !!python/object/apply:os.system [x]\n", 1, 4, "a YAML tag that task files do not know"),
        ("a: !mine x\n", 1, 4, "a YAML tag that task files do not know"),
        ("a: x\x01y\n", 1, 5, "a control character"),
        ("<<: 5\n", 1, 5, "'<<' merges mappings only"),
        ("a: 1\n b: 2\n", 2, 3, "a ':' stands where no key can be"),
    ],
)
def test_a_text_that_is_no_yaml_is_refused_in_our_words(
    refusal: Callable[[str], Diagnostic], text: str, line: int, column: int, message: str
) -> None:
    item = refusal(text)
    assert (item.code, item.message) == ("yaml-syntax", f"not valid YAML: {message}")
    assert place(item) == (line, column)


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("2024-13-45", "timestamp"),
        ("!!int x", "int"),
        ("!!bool maybe", "bool"),
        ("0b_", "int"),
        ("9" * 5000, "int"),
        ("0x" + "f" * 5000, "int"),
    ],
)
def test_a_value_that_yaml_cannot_make_is_refused_where_it_stands(
    refusal: Callable[[str], Diagnostic], written: str, kind: str
) -> None:
    item = refusal(f"a:\n  b: {written}\n")
    assert item.code == "yaml-value"
    assert f"for a value of type {kind}" in item.message
    assert place(item) == (2, 6)
    assert item.help == "quote it to keep it as text"


def test_a_key_must_be_plain(refusal: Callable[[str], Diagnostic]) -> None:
    item = refusal("? [a, b]\n: 1\n")
    assert (item.code, place(item)) == ("yaml-value", (1, 3))


def test_a_repeated_key_is_refused_with_both_places(refusal: Callable[[str], Diagnostic]) -> None:
    item = refusal("name: a\nresources:\n  ports: 80\n  infra: aws\n  ports: 81\n")
    assert item.code == "repeated-key"
    assert item.message == "key 'ports' is repeated: it stands at 3:3 already"
    assert place(item) == (5, 3)


def test_every_repeated_key_is_told(read: Read) -> None:
    with pytest.raises(FindingsError) as caught:
        read("a: 1\na: 2\na: 3\nb: {c: 1, c: 2}\n---\n'80': 1\n80: 2\n")
    assert [place(item) for item in caught.value.diagnostics] == [(2, 1), (3, 1), (4, 11), (7, 1)]


def test_repeated_keys_can_be_kept_with_the_last_value(read: Read) -> None:
    file = read("a: 1\na: 2\n", keep_repeated_keys=True)
    assert file.documents[0].data == {"a": 2}
    assert [item.code for item in file.repeated_keys] == ["repeated-key"]


def test_a_merged_key_is_no_repeated_key(read: Read) -> None:
    data = read("b: &b {p: 1}\nu:\n  <<: *b\n  p: 2\n").documents[0].data
    assert data["u"] == {"p": 2}


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (BOMB, "yaml-alias-bomb"),
        (BOMB.replace("[", "{? [").replace("]", "]}"), "yaml-alias-bomb"),
        ("a: &a [*a]\n", "yaml-alias-cycle"),
        ("a: &a {b: {c: *a}}\n", "yaml-alias-cycle"),
        ("&a\nx: *a\n", "yaml-alias-cycle"),
        ("[" * 100_000, "yaml-too-deep"),
        ("{a: " * 100_000, "yaml-too-deep"),
        ("a: " + "[" * 500 + "]" * 500, "yaml-too-deep"),
        ("- " * 100_000 + "x", "yaml-too-deep"),
        ("".join(f"{' ' * depth}k:\n" for depth in range(1000)), "yaml-too-deep"),
        ("? " * 50_000 + "x", "yaml-too-deep"),
    ],
    ids=[
        "bomb",
        "bomb-keys",
        "cycle",
        "cycle-map",
        "cycle-root",
        "flow",
        "map",
        "closed",
        "list",
        "block",
        "key",
    ],
)
def test_a_text_made_to_hurt_is_one_finding(
    refusal: Callable[[str], Diagnostic], text: str, code: str
) -> None:
    assert refusal(text).code == code


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [1, 2, 3]\n" + "".join(f"k{number}: *a\n" for number in range(300)),
        "a: " + "[" * 190 + "]" * 190 + "\n",
        "x: &x 1\na: " + "[" * 190 + "*x" + "]" * 190 + "\n",
        "run: |\n" + "".join(f"  {'[' * 50} {' ' * 300}echo\n" for _ in range(50)),
        "ports: [" + ", ".join(map(str, range(1, 5000))) + "]\n",
    ],
    ids=["many-aliases", "nested", "nested-alias", "deep-text", "long-list"],
)
def test_what_only_looks_dangerous_is_read(read: Read, text: str) -> None:
    assert read(text).documents[0].data == yaml.load(text, yaml.CSafeLoader)


# -- what is no text file --------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (b"\xff\xfea\0", "file-not-text", "the file is UTF-16 text, and SkyPilot reads UTF-8 only"),
        (b"\x7fELF\0\xff\0", "file-not-text", "the file is a binary file, not text"),
        (b"name: caf\xe9\n", "file-not-text", "the file is not UTF-8 text: byte 10 is 0xe9"),
        (b"a: \0\n", "yaml-syntax", "not valid YAML: a control character"),
    ],
)
def test_a_file_that_is_no_text_is_refused(
    refusal: Callable[[bytes], Diagnostic], content: bytes, code: str, message: str
) -> None:
    item = refusal(content)
    assert (item.code, item.message) == (code, message)


def refused_path(path: Path) -> Diagnostic:
    with pytest.raises(FindingsError) as caught:
        read_yaml(str(path))
    [item] = caught.value.diagnostics
    assert item.path == str(path)
    return item


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert refused_path(tmp_path / "none.yaml").code == "file-missing"
    assert refused_path(tmp_path / "file" / "t.yaml").code == "file-missing"
    assert refused_path(tmp_path).code == "file-is-directory"


def test_a_huge_file_is_refused_by_its_size(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    with path.open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    item = refused_path(path)
    assert (item.code, item.message) == (
        "file-too-large",
        "the file is too large: 100 MiB, and a file may have 4 MiB",
    )
    with path.open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    assert refused_path(path).code == "file-too-large"


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/tty"])
def test_a_device_is_no_task_file(path: str) -> None:
    assert refused_path(Path(path)).code == "file-unreadable"


def test_a_pipe_without_a_writer_does_not_hang(tmp_path: Path) -> None:
    path = tmp_path / "pipe.yaml"
    os.mkfifo(path)
    assert refused_path(path).message == "the file is not a regular file"


def test_a_path_with_nul_names_no_file() -> None:
    assert refused_path(Path("a\0b")).code == "file-missing"


def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("a: 1\n")
    path.chmod(0)
    if os.access(path, os.R_OK):  # the superuser reads everything: ask as somebody else
        tmp_path.chmod(0o755)
        script = f"""\
            import os, sys
            sys.path[:] = {sys.path!r}
            from skyports_tf.diagnostics import FindingsError
            from skyports_tf.source import read_yaml
            os.setuid(65534)
            try:
                read_yaml({str(path)!r})
            except FindingsError as error:
                print(error.diagnostics[0].code)
            except PermissionError:
                print("file-unreadable")
        """
        command = [sys.executable, "-c", textwrap.dedent(script)]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        assert answer.stdout == "file-unreadable\n", answer.stderr
        return
    assert refused_path(path).code == "file-unreadable"


def test_the_pure_python_loader_reads_the_same(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(TASK)
    script = f"""\
        import sys, yaml
        del yaml.CSafeLoader
        from skyports_tf.source import read_yaml
        print(read_yaml({str(path)!r}).documents[0].data)
    """
    answer = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == repr(read_yaml(str(path)).documents[0].data)
