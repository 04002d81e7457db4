"""Java's regular expressions mean what Java makes of them: compared with recorded answers of Java 17, and with a live one where it is."""

from __future__ import annotations

import subprocess
import sys
import warnings
from random import Random
from typing import Any

import pytest
from java_regex_cases import CONSTRUCTS, GENERATED, ask_java, java_version, make_cases, read_answers
from starlake_core_project import JavaMatch, JavaPattern, JavaPatternError, ProjectError, java_pattern

needs_java = pytest.mark.skipif(java_version() != 17, reason="needs Java 17, whose answers were recorded")


def named(groups: dict[str, str | None]) -> dict[str, str | None]:
    return {name: text for name, text in groups.items() if not name.isdigit()}


def ours(found: JavaMatch | None) -> tuple[int, int, dict[str, str | None]] | None:
    return None if found is None else (found.start, found.end, dict(found.groups))


def difference(case: dict[str, Any]) -> str | None:
    """How we differ from Java; None when we agree, or say that we cannot translate the pattern."""
    try:
        pattern = JavaPattern(case["pattern"])
    except JavaPatternError as error:
        return None if "error" in case or "cannot be translated" in str(error) else f"we refuse: {error}"
    if "error" in case:
        return f"Java refuses: {case['error']}"
    for text, answer in zip(case["texts"], case["results"], strict=True):
        if answer == "fault":
            continue
        whole, first = answer["matches"], answer["find"]
        expected = None if whole is None else (0, len(text), named(whole))
        if ours(pattern.matches(text)) != expected:
            return f"matches {text!r}: Java {expected}, we {ours(pattern.matches(text))}"
        expected = None if first is None else (first[0], first[1], named(first[2]))
        if ours(pattern.find(text)) != expected:
            return f"find in {text!r}: Java {expected}, we {ours(pattern.find(text))}"
    return None


@pytest.mark.parametrize("case", read_answers(CONSTRUCTS), ids=lambda case: ascii(case["pattern"]))
def test_a_construct_means_what_java_makes_of_it(case: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert difference(case) is None
    if "error" not in case:
        JavaPattern(case["pattern"])  # none of these is beyond us


def test_made_up_patterns_mean_what_java_makes_of_them() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert {case["pattern"]: found for case in read_answers(GENERATED) if (found := difference(case))} == {}


@needs_java
def test_java_still_answers_as_recorded() -> None:
    recorded = read_answers(CONSTRUCTS)
    answers = ask_java([(case["pattern"], case["texts"]) for case in recorded])
    assert [
        {"pattern": case["pattern"], "texts": case["texts"], **answer}
        for case, answer in zip(recorded, answers, strict=True)
    ] == recorded


@needs_java
def test_new_patterns_mean_what_java_makes_of_them() -> None:
    cases = list(make_cases(seed=18, count=150))
    answers = ask_java(cases)
    told = (
        {"pattern": pattern, "texts": texts, **answer} for (pattern, texts), answer in zip(cases, answers, strict=True)
    )
    assert {case["pattern"]: found for case in told if (found := difference(case))} == {}


@pytest.mark.parametrize(
    ("pattern", "construct"),
    [
        (r"ab(?c)a", r"'(?c' at character 3: the flag c"),
        (r"[a&&]", "'&&' at character 3: an intersection without a second set"),
        (r"[a&&[b]&c]", r"write [a&&[b]], and \& for the character"),
        (r"x\b{g}", r"'\\b{g}' at character 2"),
        (r"(?<=a+)b", "a look-behind without a maximum length is not supported; write {1,100}"),
        (r"(?<=\X)b", r"\X in a look-behind"),
        (r"(?<=(?>a))b", "an atomic group or possessive repetition in a look-behind"),
        (r"(a)\2", "'\\\\2' at character 4: a reference to group 2, which does not end before it"),
        (r"(?<n>a\k<n>)", "a reference to group 1, which does not end before it"),
        (r"(?iu)(a)\1", "a reference that ignores the case of letters beyond ASCII"),
        (r"(?i)(a)\1\p{L}", "a reference that ignores case in a pattern with properties"),
        (r"(?!(?<n>a))b", "a group whose text is used in a look-around"),
        (r"(?:(?<n>a?)b?)*", "a group whose text is used in a repetition of something that can be empty"),
        (r"\ud83d", "half of a surrogate pair"),
        ("a\0", "a raw NUL"),
        (r"\N{LINE FEED (LF)}", "the character name LINE FEED (LF)"),
        ("(?x)[& a]", "& before white space"),
    ],
)
def test_what_cannot_be_translated_is_named_with_its_place(pattern: str, construct: str) -> None:
    with pytest.raises(JavaPatternError) as caught:
        JavaPattern(pattern)
    assert construct in str(caught.value)
    assert "cannot be translated" in str(caught.value)
    assert isinstance(caught.value, ProjectError)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (
            "a(?P<n>b)",
            "'(?P' at character 2: no group starts like this; the flags are i, m, s, d, u, x, U, and a named group is (?<name>...)",
        ),
        ("a{,3}", r"'{' at character 2: a repetition is {2}, {2,} or {2,5}; write a literal brace as \{"),
        ("(?<a_b>x)", "'(?<a_' at character 1: this is not the name of a group"),
        (r"\p{latin}", "Java has no property 'latin'; names of properties are case-sensitive"),
        (r"ab\y", r"'\\y' at character 3: Java has no escape \y here"),
        ("a)", "')' at character 2: a closing parenthesis without an opening one"),
        ("(a", "'(' at character 1: the group is not closed"),
        ("a\\", r"nothing follows the backslash; write a literal backslash as \\"),
    ],
)
def test_what_java_refuses_is_an_error_that_says_what_to_write(pattern: str, message: str) -> None:
    with pytest.raises(JavaPatternError) as caught:
        JavaPattern(pattern)
    assert message in str(caught.value)
    assert "is not a regular expression of Java" in str(caught.value)


def test_a_pattern_that_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(JavaPatternError, match="nested too deeply"):
        JavaPattern("(" * 5000 + "a" + ")" * 5000)


def test_named_groups_are_found() -> None:
    pattern = java_pattern(r"(?<kind>orders)-(?<day>\d{8})(?<rest>x)?[.]csv")
    assert pattern.group_names == ("kind", "day", "rest")
    found = pattern.matches("orders-20240305.csv")
    groups = {"kind": "orders", "day": "20240305", "rest": None}
    assert found == JavaMatch("orders-20240305.csv", 0, 19, groups, ("orders", "20240305", None))
    assert pattern.group_count == 3
    assert pattern.matches("old-orders-20240305.csv") is None
    inside = pattern.find("old-orders-20240305.csv.gz")
    assert inside is not None
    assert (inside.text, inside.start) == ("orders-20240305.csv", 4)


def test_flags_can_hold_from_the_start() -> None:
    assert JavaPattern("^b$", "m").find("a\nb\n") is not None
    assert JavaPattern("^b$").find("a\nb\n") is None


@pytest.mark.parametrize(
    ("pattern", "library"),
    [
        (r"orders-[0-9]{8}.*\.csv", "neither"),
        (r"(?<kind>[a-z&&[^q]]+)(?i)-\d+$", "parser"),
        (r"\p{L}++", "regex"),
    ],
)
def test_a_library_is_imported_when_a_pattern_needs_it(pattern: str, library: str) -> None:
    code = (
        "import sys; from starlake_core_project import java_pattern; java_pattern(sys.argv[1]).matches('a'); "
        "print([name in sys.modules for name in ('starlake_core_project.java_syntax', 'regex')])"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, pattern],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert (
        told.stdout.strip()
        == {"neither": "[False, False]", "parser": "[True, False]", "regex": "[True, True]"}[library]
    )


def test_a_simple_pattern_means_the_same_with_and_without_the_parser() -> None:
    pieces = ["a", "Z", "0", "_", "-", r"\.", r"\-", ".", "[.]", "[a-z]", "[0-9]", "[A-Z]", "[x]"]
    texts = ["", "a", "Z0", "a.", "-_", "a\n", "\r", "\u2028", "\x85", "é", "x.-", "aaa0"]
    random = Random(17)
    for _ in range(400):
        pattern = "".join(
            random.choice(pieces) + random.choice(["", "", "*", "+", "?", "{0}", "{2}"])
            for _ in range(random.randint(1, 4))
        )
        simple, parsed = JavaPattern(pattern), JavaPattern(f"(?:{pattern})")
        for text in texts:
            assert (simple.matches(text), simple.find(text)) == (parsed.matches(text), parsed.find(text)), (
                pattern,
                text,
            )


def test_a_pattern_for_re2_is_given_where_there_is_one() -> None:
    assert JavaPattern("[a-c]{2}").re2 == r"(?:[\x{61}-\x{63}]){2,2}"
    assert JavaPattern("^[0-9]+$").re2 is not None
    for pattern in (r"(?!0)[0-9]+", r"(a)\1", "a++", r"\p{L}", r"\bx", "a$b", "a{2000}", "(?:a{100}){100}"):
        assert JavaPattern(pattern).re2 is None
