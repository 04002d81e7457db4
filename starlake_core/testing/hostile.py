"""Texts that something between a pipeline file and a process could change."""

from __future__ import annotations

__all__ = ["HOSTILE"]

HOSTILE = {
    "spaces": " two  spaces and a tab\t ",
    "commas": ",a,,b,",
    "single_quotes": "it's 'quoted'",
    "double_quotes": 'say "hi" \\"again\\"',
    "shell": "$HOME `id` $(id) ; rm -rf * & | > < ~ ! #",
    "placeholders": "${HOME} ${not_ours} {{ ds }} {% raw %} %(x)s {0} $$",
    "references": "a$(SL_ROOT)b $(KIT_DB_PASSWORD) $$(SL_ROOT) $SL_ROOT",
    "newlines": "a\nb\r\nc\n",
    "unicode": "größe 日本語 🦆 \u00a0",
    "backslashes": "C:\\temp\\n \\",
    "dashes": "--name=x -- -",
    "empty": "",
}
"""Each by what is special about it."""
