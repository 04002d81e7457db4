"""Patterns with what Java's own engine answers to them: reads, records and makes up cases.

``python java_regex_cases.py`` asks Java 17 again for the answers to all lines of ``java_regex/constructs.jsonl`` (a new line needs
``pattern`` and ``texts`` only) and writes ``java_regex/generated.jsonl`` anew.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

FOLDER = Path(__file__).parent / "java_regex"
CONSTRUCTS, GENERATED = FOLDER / "constructs.jsonl", FOLDER / "generated.jsonl"
SEED = 17
Case = tuple[str, Sequence[str]]

_LITERALS = (
    *"abABc1_ éÉ-#&kſß😀",
    *(
        r"\.",
        r"\-",
        r"\x41",
        r"\x{1F600}",
        r"\u00e9",
        r"\n",
        r"\r",
        r"\t",
        r"\041",
        r"\cI",
        r"\Qa+\E",
        r"\Q]\E",
        r"\N{DIGIT ONE}",
    ),
)
_SETS = (
    *(
        ".",
        r"\d",
        r"\D",
        r"\w",
        r"\W",
        r"\s",
        r"\S",
        r"\h",
        r"\H",
        r"\v",
        r"\R",
        r"\X",
        r"\p{Alpha}",
        r"\p{Lower}",
        r"\P{Upper}",
    ),
    *(
        r"\p{L}",
        r"\pN",
        r"\p{Lu}",
        r"\p{IsLatin}",
        r"\p{InBasicLatin}",
        r"\p{Punct}",
        r"\p{javaLowerCase}",
        r"\p{IsAlphabetic}",
    ),
)
_MEMBERS = (
    *"abAz1éÉ-&^][ #kſ😀",
    *(
        r"\]",
        r"\[",
        r"\-",
        r"\d",
        r"\w",
        r"\S",
        r"\p{L}",
        r"\p{Lower}",
        "a-c",
        "A-Z",
        "0-5",
        "é-ü",
        r"\x41-\x43",
        r"\Q]-\E",
        "&&",
    ),
    *("&&[^b]", "&&[a-c]", r"\n", r"\v", r"\h"),
)
_PLACES = ("^", "$", r"\b", r"\B", r"\A", r"\z", r"\Z", r"\G")
_FLAGS = "imsdxuU"
_BROKEN = ("{", "}", "]", "\\", "(", "*", "[", r"\E", "{2}", r"\y", "(?P<n>", "(?#c)", "a{,2}", "a{2", r"\x4", r"\k<q>")
_TEXTS = (*"abABc1_ éÉ-.\n\r😀kKſßẞ]&#\u2028\x85İ+", "\r\n", "e\u0301")


class _Maker:
    def __init__(self, random: Random) -> None:
        self._random = random
        self._names = 0

    def _one(self, choices: Sequence[str]) -> str:
        return self._random.choice(choices)

    def _class(self, depth: int = 0) -> str:
        members = "".join(
            self._class(depth + 1) if depth < 2 and self._random.random() < 0.15 else self._one(_MEMBERS)
            for _ in range(self._random.randint(1, 4))
        )
        return f"[{'^' if self._random.random() < 0.25 else ''}{members}]"

    def _times(self) -> str:
        if self._random.random() < 0.6:
            return ""
        return self._one(("?", "*", "+", "{2}", "{1,2}", "{0,3}", "{2,}", "{0}")) + self._one(("", "", "", "?", "+"))

    def _group(self, depth: int) -> str:
        kind = self._random.random()
        if kind < 0.35:
            self._names += 1
            name = f"n{self._names}"
            return f"({'' if self._random.random() < 0.1 else f'?<{name}>'}{self.choice(depth - 1)})"
        opening = (
            "?:"
            if kind < 0.6
            else "?>"
            if kind < 0.68
            else f"?{self._one(_FLAGS)}:"
            if kind < 0.75
            else self._one(("?=", "?!", "?<=", "?<!"))
        )
        return f"({opening}{self.choice(depth - 1)})"

    def _item(self, depth: int) -> str:
        kind = self._random.random()
        if kind < 0.4:
            return self._one(_LITERALS)
        if kind < 0.5:
            return self._one(_SETS)
        if kind < 0.62:
            return self._class()
        if kind < 0.68:
            return self._one(_PLACES)
        if kind < 0.71:
            on = "".join(self._random.sample(_FLAGS, self._random.randint(0, 2)))
            return f"(?{on}{self._one(('', '', '-' + self._one(_FLAGS)))})"
        if kind < 0.735 and self._names:
            return self._one(
                (rf"\{self._random.randint(1, self._names + 1)}", rf"\k<n{self._random.randint(1, self._names)}>")
            )
        if kind < 0.74:
            return self._one(_BROKEN)
        return self._group(depth) if depth > 0 else self._one(_LITERALS[:6])

    def choice(self, depth: int) -> str:
        branches = self._random.choice((1, 1, 1, 2, 2, 3))
        return "|".join(
            ""
            if self._random.random() < 0.08
            else "".join(self._item(depth) + self._times() for _ in range(self._random.randint(1, 3)))
            for _ in range(branches)
        )

    def texts(self) -> list[str]:
        few = [self._one(_TEXTS) for _ in range(3)]
        return [
            "".join(self._one(letters) for _ in range(self._random.randint(0, 5)))
            for letters in (*[_TEXTS] * 4, *["abAc1"] * 4, *[few] * 2)
        ]


def make_cases(seed: int, count: int) -> Iterator[Case]:
    """Patterns in Java's grammar, most of them valid, each with ten texts."""
    random = Random(seed)
    for _ in range(count):
        maker = _Maker(random)
        yield maker.choice(random.choice((0, 1, 1, 2, 2, 3))), maker.texts()


def java_version() -> int | None:
    """The major version of the Java on the path."""
    java = shutil.which("java")
    if java is None:
        return None
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', told)
    return int(found[1]) if found else None


def ask_java(cases: Iterable[Case]) -> list[dict[str, Any]]:
    """Java's answers, in order."""
    questions = "".join(json.dumps([pattern, *texts]) + "\n" for pattern, texts in cases)
    answered = subprocess.run(
        ["java", str(FOLDER / "JavaRegex.java")], input=questions, capture_output=True, encoding="utf-8", check=True
    )
    return [json.loads(line) for line in answered.stdout.splitlines()]


def read_answers(path: Path) -> list[dict[str, Any]]:
    """Recorded cases: ``pattern``, ``texts`` and Java's answer."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _record(path: Path, cases: Sequence[Case]) -> None:
    answers = ask_java(cases)
    lines = (
        json.dumps({"pattern": pattern, "texts": texts, **answer}) + "\n"
        for (pattern, texts), answer in zip(cases, answers, strict=True)
        if "fault" not in answer.get("results", ())
    )
    path.write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    if java_version() != 17:
        sys.exit("the answers are those of Java 17")
    _record(CONSTRUCTS, [(case["pattern"], case["texts"]) for case in read_answers(CONSTRUCTS)])
    _record(GENERATED, list(make_cases(SEED, 400)))
