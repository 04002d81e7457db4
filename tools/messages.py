"""Lists the messages, docstrings and comments of the code, so that you can proofread them.

Run it from the root of the repository::

    python -m tools.messages                      # messages of the core and all plugins
    python -m tools.messages starlake_core/cli    # messages of one folder or file
    python -m tools.messages --prose tools        # docstrings and comments instead

A message is any string that a user can see: in an exception, a warning, a log call, output, a help text or the
documentation of an option, and any other string that looks like a sentence. Values that are known only at run time
appear in braces.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import textwrap
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tools.version import ROOT

__all__ = ["Text", "main", "messages", "prose", "sources", "template"]

_LOG = {"debug", "info", "warning", "error", "exception", "critical", "log"}
_OUTPUT = {"echo", "secho", "print", "write", "fail", "confirm", "prompt", "style", "line"}
_EXCEPTION = re.compile(r"(?:Error|Exception|Exit|Refused|Fail(?:ed)?|Skip)$")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DOCUMENTED = (ast.Module, ast.ClassDef, *_FUNCTIONS)
_SENTENCE = re.compile(r"[A-Za-z'{][\w'{}.,:;()-]*(?: +[\w'\"{}.,:;()/<>=-]+){2,}")
_CODE = re.compile(r"^\s*(?:SELECT|INSERT|CREATE|UPDATE|DELETE|PRAGMA|BEGIN|import |from \w+ import|[({\[]\?)", re.I)


class Text(NamedTuple):
    """A message, docstring or comment.

    Attributes:
        file: the module.
        line: the number of its first line.
        kind: ``error``, ``warning``, ``log``, ``output``, ``help``, ``option``, ``hook`` or ``text`` for messages;
            ``docstring`` or ``comment`` for prose.
        text: the text.
    """

    file: Path
    line: int
    kind: str
    text: str


def sources(paths: Iterable[Path] = ()) -> list[Path]:
    """Return the modules to read.

    Args:
        paths: files and folders; if empty, the core and all plugins, without their tests.
    """
    chosen = list(paths) or [ROOT / "starlake_core", ROOT / "starlake_orchestrate", *sorted(ROOT.glob("plugins/*/src"))]
    return [file for path in chosen for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]


def template(node: ast.expr) -> str | None:
    """Return the content of a string expression; None for any other expression.

    Args:
        node: a constant, an f-string, or strings that are added or formatted with ``%``.

    >>> template(ast.parse("f'{name!r} is not a date; ' 'use YYYY-MM-DD'", mode="eval").body)
    '{name} is not a date; use YYYY-MM-DD'
    """
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        parts = [
            part.value if isinstance(part, ast.Constant) else f"{{{ast.unparse(part.value)}}}"
            for part in node.values
            if isinstance(part, (ast.Constant, ast.FormattedValue))
        ]
        return "".join(str(part) for part in parts)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = template(node.left), template(node.right)
        if left is None and right is None:
            return None
        return "".join(
            f"{{{ast.unparse(side)}}}" if text is None else text
            for side, text in ((node.left, left), (node.right, right))
        )
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        return template(node.left)
    return None


def _name(node: ast.expr) -> str:
    """Return the last name of a called function, such as ``warning`` for ``logger.warning``."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _kind(call: ast.Call) -> str:
    """Return what kind of messages the arguments of a call are; empty if unknown."""
    name = _name(call.func)
    owner = ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""
    if name == "warn":
        return "warning"
    if name in _LOG and owner.lower().endswith(("log", "logger")):
        return "log"
    if name in ("option", "argument", "Option", "command", "group") or any(
        one.arg in ("doc", "help") for one in call.keywords
    ):
        return "help" if owner == "click" or any(one.arg == "help" for one in call.keywords) else "option"
    if _EXCEPTION.search(name):
        return "error"
    return "output" if name in _OUTPUT else ""


def _docstrings(node: ast.AST) -> Iterator[tuple[ast.Constant, ast.AST]]:
    """Yield the docstrings of modules, classes, functions and attributes, each with its owner."""
    body = getattr(node, "body", None)
    for number, statement in enumerate(body if isinstance(body, list) else []):
        match statement:
            case ast.Expr(value=ast.Constant(value=str()) as constant):
                yield constant, node if number == 0 and isinstance(node, _DOCUMENTED) else statement
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.stmt, ast.excepthandler, ast.match_case)):  # an expression holds none
            yield from _docstrings(child)


def _strings(node: ast.AST, kind: str, seen: set[ast.AST]) -> Iterator[tuple[int, str, str]]:
    """Yield the line, kind and content of each string expression below a node."""
    for child in ast.iter_child_nodes(node):
        if child in seen:
            continue
        if isinstance(child, ast.expr) and (text := template(child)) is not None:
            yield child.lineno, kind, text
        elif isinstance(child, ast.Call):
            yield from _strings(child, _kind(child) or kind, seen)
        elif isinstance(child, ast.keyword):
            yield from _strings(child, {"doc": "option", "help": "help"}.get(child.arg or "", kind), seen)
        else:
            yield from _strings(child, "text" if isinstance(child, ast.stmt) else kind, seen)


def messages(file: Path) -> list[Text]:
    """Return the messages of a module, in order.

    Args:
        file: the module.
    """
    tree = ast.parse(file.read_text(encoding="utf-8"))
    documented = list(_docstrings(tree))
    found = [
        Text(file, line, kind, text)
        for line, kind, text in _strings(tree, "text", {constant for constant, _ in documented})
        if (_SENTENCE.search(text) if kind == "text" else " " in text.strip()) and not _CODE.match(text)
    ]
    for constant, owner in documented:
        if isinstance(owner, _FUNCTIONS):
            decorators = {_name(one.func if isinstance(one, ast.Call) else one) for one in owner.decorator_list}
            kind = "hook" if "hookspec" in decorators else "help" if decorators & {"command", "group"} else ""
            if kind:
                found.append(Text(file, constant.lineno, kind, ast.get_docstring(owner) or ""))
    return sorted(found, key=lambda one: one.line)


def prose(file: Path) -> list[Text]:
    """Return the docstrings and comments of a module, in order. Consecutive comment lines are one comment.

    Args:
        file: the module.
    """
    source = file.read_text(encoding="utf-8")
    found = [Text(file, one.lineno, "docstring", str(one.value)) for one, _ in _docstrings(ast.parse(source))]
    comments: list[Text] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and not token.string.startswith("#!"):
            text = token.string.lstrip("#").strip()
            last = comments[-1] if comments else None
            whole = not token.line[: token.start[1]].strip()
            if whole and last and last.kind == "block" and last.line + len(last.text.splitlines()) == token.start[0]:
                comments[-1] = last._replace(text=f"{last.text}\n{text}")
            else:
                comments.append(Text(file, token.start[0], "block" if whole else "comment", text))
    found += [one._replace(kind="comment") for one in comments]
    return sorted(found, key=lambda one: one.line)


def main(arguments: list[str] | None = None) -> int:
    """Print the messages or prose of each file.

    Args:
        arguments: those of the command line.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(prog="python -m tools.messages", description="List the texts of the code.")
    parser.add_argument("paths", nargs="*", type=Path, help="files and folders; the core and all plugins if omitted")
    parser.add_argument("--prose", action="store_true", help="docstrings and comments instead of messages")
    chosen = parser.parse_args(arguments)
    for file in sources(path.resolve() for path in chosen.paths):
        texts = prose(file) if chosen.prose else messages(file)
        if texts:
            print(f"\n{file.relative_to(ROOT)}")
        for one in texts:
            body = textwrap.indent(textwrap.dedent(one.text).strip("\n"), " " * 17).strip()
            print(f"{one.line:5} {one.kind:<10} {body}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
