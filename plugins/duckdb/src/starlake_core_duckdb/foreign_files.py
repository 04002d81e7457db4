"""Which files of an archive are not meant to be loaded: what people and programs add to data files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

__all__ = ["foreign_files"]

_ENDINGS = {
    "DSV": (".csv", ".dsv", ".psv", ".tsv", ".tab"),
    "JSON": (".json", ".jsonl", ".ndjson"),
    "XML": (".xml",),
    "PARQUET": (".parquet", ".parq", ".pq"),
}
"""The endings that only files of one kind have. A ``.txt`` may be anything."""
_TITLES = frozenset(
    ("_committed", "_started", "_success", "changelog", "copying", "copyright", "licence", "license", "liesmich", "lisezmoi", "read_me", "readme")
)  # fmt: skip
_OTHERS = frozenset(
    (
        ".ack", ".asc", ".bat", ".crc", ".doc", ".docx", ".exe", ".gif", ".htm", ".html", ".ini", ".jpeg", ".jpg", ".md",
        ".md5", ".odt", ".pdf", ".png", ".ppt", ".pptx", ".ps1", ".rst", ".rtf", ".sh", ".sha1", ".sha256", ".sha512", ".sig", ".sql",
        ".svg", ".toml", ".url", ".xsd", ".xsl", ".xslt", ".yaml", ".yml", ".dtd", ".css",
    )
)  # fmt: skip


def foreign_files(names: Sequence[str], form: str | None) -> set[str]:
    """Those files of an archive that hold no data of a table.

    Documents and checksums are foreign if there are other files, and files with the ending of another format are if there is one
    with the right ending. All files of an archive that has nothing else are data, whatever they are called.

    Args:
        names: the names of the files.
        form: the format of the table, or None if it is not known yet.

    >>> sorted(foreign_files(["a.csv", "README", "a.csv.md5", "schema.json"], "DSV"))
    ['README', 'a.csv.md5', 'schema.json']
    >>> foreign_files(["readme.csv"], "DSV")
    set()
    """
    documents = {name for name in names if _is_document(name)}
    kind = "JSON" if form is not None and form.startswith("JSON") else form
    right, own = _ENDINGS.get(kind or "", ()), [name for name in names if name not in documents]
    foreign = documents if own else set()
    if any(_ending(name) in right for name in own):
        known = {ending for endings in _ENDINGS.values() for ending in endings}
        foreign = foreign | {name for name in own if _ending(name) in known and _ending(name) not in right}
    return foreign


def _ending(name: str) -> str:
    return PurePosixPath(name.lower().removesuffix(".gz")).suffix


def _is_document(name: str) -> bool:
    title, ending = PurePosixPath(name.lower()).name, _ending(name)
    data = any(ending in endings for endings in _ENDINGS.values())
    return ending in _OTHERS or (not data and title.partition(".")[0] in _TITLES)
