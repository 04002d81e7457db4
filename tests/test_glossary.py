"""One word for each idea: code and documents keep to the glossary."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GLOSSARY = ROOT / "docs" / "concepts" / "glossary.md"
ALLOWED = ("working directory", "working directories")
"""Terms of others that hold a word of the last column."""

SOURCES = [
    file
    for base in (
        "starlake_core",
        "starlake_orchestrate",
        "benchmarks",
        *(f"plugins/{one.name}/src" for one in (ROOT / "plugins").iterdir()),
    )
    for file in sorted((ROOT / base).rglob("*.py"))
]
PAGES = [
    *sorted((ROOT / "docs").rglob("*.md")),
    *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "RELEASING", "SECURITY")),
    *sorted((ROOT / "plugins").glob("*/README.md")),
]


def rows() -> list[tuple[str, list[str]]]:
    """Each word of the glossary, and what is not said for it."""
    lines = [line for line in GLOSSARY.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]
    return [(word, [other.strip() for other in others.split(",") if other.strip()]) for word, _, others in cells]


FORBIDDEN = {other: word for word, others in rows() for other in others}
PATTERN = re.compile(
    rf"(?<![\w./`-])({'|'.join(sorted(FORBIDDEN, key=len, reverse=True))})s?(?![\w(=`-]|:\s|\.\w)", re.I
)


def statements(node: ast.AST) -> Iterator[ast.stmt]:
    """All statements below a node; none is in an expression."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child
        if isinstance(child, (ast.stmt, ast.excepthandler, ast.match_case)):
            yield from statements(child)


def words_for_people(text: str) -> Iterator[tuple[int, str]]:
    """The comments and docstrings of a module, a line at a time, with its number."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in statements(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            code = ""  # the indentation of a line that ends with ::, whose example follows
            for number, line in enumerate(node.value.value.splitlines()):
                indented = line[: len(line) - len(line.lstrip())]
                if code and line.strip() and len(indented) < len(code):
                    code = ""
                if not code and not line.lstrip().startswith((">>>", "...")):
                    yield node.lineno + number, line
                if line.rstrip().endswith("::"):
                    code = indented + " "


def paragraphs(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a page that are not code, with their numbers."""
    code = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            code = not code
        elif not code:
            yield number, line


def misused(lines: Iterator[tuple[int, str]]) -> list[str]:
    """Words that the glossary has another one for."""
    found = []
    for number, line in lines:
        plain = re.sub(r"``?[^`]*``?|\*[a-z_]+\*|'[^']*:[^']*'", "", line)
        plain = re.sub(r"^\s*\w+(, \w+)*:", "", plain)  # names of arguments
        for term in ALLOWED:
            plain = plain.replace(term, "")
        found += [
            f"{number}: {match[0]} (say {FORBIDDEN[match[1].lower()]}): {line.strip()}"
            for match in PATTERN.finditer(plain)
        ]
    return found


def test_the_glossary_is_sorted_and_says_each_word_once() -> None:
    words = [word for word, _ in rows()]
    assert words == sorted(words)
    assert len(words) == len(set(words))
    assert not set(words) & set(FORBIDDEN)


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_module_keeps_to_the_glossary(file: Path) -> None:
    assert misused(words_for_people(file.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page != GLOSSARY], ids=lambda page: str(page.relative_to(ROOT))
)
def test_a_page_keeps_to_the_glossary(page: Path) -> None:
    assert misused(paragraphs(page.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("The marker of a check", 0),
        ("The sentinel of a check, and a Sentinel", 2),
        ("``sentinel`` and `notReadySentinel`, the working directory", 0),
        ("a time-out, timeout: of an argument", 0),
        ("its timeout passes", 1),
        ("it tries; two tries", 1),
    ],
)
def test_a_word_that_is_not_said_is_found(line: str, count: int) -> None:
    assert len(misused(iter([(1, line)]))) == count
