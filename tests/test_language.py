"""Messages, docstrings, comments and pages are plain English: phrases that sound translated are refused.

``python -m tools.messages`` lists the texts of the code for proofreading.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools import messages
from tools.version import ROOT

BANNED = {
    r"(?<!there )\b(?:is|are|was|were) no (?!(?:longer|more|less|fewer|such|one|reason|need|point|way|doubt|difference|guarantee)\b)": "is not a",
    r"\b(?:goes|go|went) on\b(?! call\b)": "keeps running, continues",
    r"\b(?:a|an empty|one|plain) text\b(?! file| stream| editor| format| form)|\btexts of others\b": "a string",
    r"\bblanks\b|\bno blank\b": "spaces",
    r"\btyping errors?\b|\bslips? of the pen\b": "a typo",
    r"\bbeside\b": "next to, as well as",
    r"(?:^|[.;:] )Who \w+s\b": "Anyone who",
    r"\bwhoever\b": "anyone who",
    r"\bmade up\b(?! of\b)": "generated",
    r"\bas one (?:expects|likes|would)\b|\bone likes\b": "leave it out",
    r"\bones? of the moment\b": "transient",
    r"\bstands? for\b": "is, means, represents",
    r"\b(?:is|are|was|were|be) asked for\b|\bwhat (?:is|was) asked\b": "is requested, the request",
    r"\b(?:is|are|was|were) told\b(?! to\b)|\btold (?:apart|of all|somebody|to somebody)\b": "is reported, learns",
    r"\band the like\b|\b(?:and|or) (?:its|their) like\b": "such as",
    r"\blies? in\b": "is in",
    r"\b(?:from|nothing) elsewhere\b": "from outside",
    r"\bof one's own\b": "own",
    r"\bfor people\b": "to show",
    r"\bit misses\b": "it lacks",
    r"\bis there for\b": "its purpose",
    r"\bcosts? a try\b|\ba try of\b": "counts as a failed attempt",
    r"\bask on\b": "ask the next plugin",
    r"\bhave against\b|\bhas against\b": "would reject",
    r"\bnobody may expect\b": "surprising",
    r"\berrors? of a service that pass": "transient errors",
    r"\breckoned\b": "computed",
    r"\b(?:begins?|began|begun|done|made|written|writes?|starts?) anew\b": "again",
    r"\b(?:can't|won't|don't|doesn't|isn't|aren't|didn't|wasn't|weren't|couldn't|shouldn't|wouldn't|haven't|hasn't)\b": (
        "no contraction"
    ),
    r"\b(?:it|that|there|what|let)'s\b|\b(?:you|we|they)'re\b": "no contraction",
}
"""Phrases that sound translated or too casual, as regular expressions, each with what to write instead."""

PATTERNS = {re.compile(phrase, re.I if "Who" not in phrase else 0): better for phrase, better in BANNED.items()}

PAGES = [
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / ".github").rglob("*.md")),
    ROOT / "benchmarks" / "README.md",
    ROOT / "tests" / "emulators" / "README.md",
    *sorted(ROOT.glob("plugins/*/*.md")),
]
MODULES = messages.sources(
    [
        *(ROOT / name for name in ("starlake_core", "starlake_orchestrate", "tools", "benchmarks", "conftest.py")),
        *sorted(ROOT.glob("plugins/*/src")),
    ]
)

KEPT = {
    "plugins/airflow/src/starlake_core_airflow/dag_ignore.py": (
        "# Modules of pipeline files, which are no pipelines themselves. These lines are kept by starlake-orchestrate deploy:"
    )
}
"""The texts that keep their wording: ``.airflowignore`` in deployed folders contains this line, and ``deploy`` finds its own lines by it."""

_CODE = re.compile(r"``.*?``|`[^`\n]*`|^\s*(?:>>>|\.\.\.) .*?$", re.MULTILINE | re.DOTALL)
_FENCE = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)


def found(text: str) -> list[str]:
    """The banned phrases of a text, each with what to write instead."""
    plain = " ".join(_CODE.sub("x", text).split())
    return [
        f"...{plain[max(0, match.start() - 30) : match.end() + 30]}... (write: {better})"
        for pattern, better in PATTERNS.items()
        for match in pattern.finditer(plain)
    ]


def paragraphs(page: Path) -> Iterator[tuple[int, str]]:
    """The lines of a page with their numbers, without blocks of code and quotations."""
    text = _FENCE.sub(lambda block: "\n" * block[0].count("\n"), page.read_text(encoding="utf-8"))
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith("    ") or line.lstrip().startswith(("|", "-")):
            yield number, line


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(ROOT)))
def test_the_texts_of_a_module_are_plain_english(file: Path) -> None:
    kept = KEPT.get(str(file.relative_to(ROOT)))
    texts = [one for one in (*messages.messages(file), *messages.prose(file)) if one.text != kept]
    assert [f"{one.line}: {problem}" for one in texts for problem in found(one.text)] == []


@pytest.mark.parametrize("module", KEPT)
def test_a_text_that_keeps_its_wording_is_still_there(module: str) -> None:
    kept = [one.text for one in messages.messages(ROOT / module) if found(one.text)]
    assert kept == [KEPT[module]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_is_plain_english(page: Path) -> None:
    assert [f"{number}: {problem}" for number, line in paragraphs(page) for problem in found(line)] == []


@pytest.mark.parametrize(
    "text",
    [
        "'x' is no date",
        "the job goes on",
        "it takes a text",
        "without blanks around it",
        "a typing error",
        "See README.md beside this file.",
        "Who overrides a verb gets an add-on.",
        "whoever waits",
        "a name, made up by default",
        "as one expects",
        "an error of the service: one of the moment",
        "what the name stands for",
        "the runs that were asked for",
        "it is told by a later poll",
        "KeyboardInterrupt and its like",
        "tags: for people",
        "it costs a try of the task",
        "It doesn't work.",
    ],
)
def test_a_banned_phrase_is_found(text: str) -> None:
    assert found(text)


@pytest.mark.parametrize(
    "text",
    [
        "there is no such option",
        "it is no longer there",
        "a process that is told to stop",
        "the step ``goes on`` until it is stopped, and `beside` is a name",
        "besides, a text file has blank lines",
        "the value of an option is set in the pipeline file",
        "ask the person who started the run",
        ">>> is no code\nis not read",
    ],
)
def test_plain_english_is_not_refused(text: str) -> None:
    assert found(text) == []


def test_messages_are_listed_with_their_kinds(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(
        '"""A module."""\n'
        "def run(x):\n"
        '    """Run it."""\n'
        "    logger.warning('no %s today', x)  # why\n"
        "    warnings.warn(f'{x!r} is old; ' 'use y')\n"
        "    option(STR, doc='The name of it.')\n"
        "    raise ValueError('wrong: ' + x)\n"
        "text = 'these are three words'\n"
        "@hookspec\n"
        "def sl_x():\n"
        '    """Do x."""\n'
    )
    assert [(one.line, one.kind, one.text) for one in messages.messages(file)] == [
        (4, "log", "no %s today"),
        (5, "warning", "{x} is old; use y"),
        (6, "option", "The name of it."),
        (7, "error", "wrong: {x}"),
        (8, "text", "these are three words"),
        (11, "hook", "Do x."),
    ]
    assert [(one.line, one.kind, one.text) for one in messages.prose(file)] == [
        (1, "docstring", "A module."),
        (3, "docstring", "Run it."),
        (4, "comment", "why"),
        (11, "docstring", "Do x."),
    ]


def test_the_list_of_messages_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert messages.main([str(ROOT / "starlake_core" / "options" / "resolve.py")]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("\nstarlake_core/options/resolve.py\n")
    assert "is not a valid value for" in printed
