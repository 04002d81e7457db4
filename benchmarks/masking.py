"""Measures how long it takes to mask a line of a megabyte, with ordinary text and with worst cases, compared with a
quarter of it.

Four times the text takes about four times as long (ratio 4). If the time were quadratic, it would take sixteen times as
long.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from starlake_core.masking import mask_text
from starlake_core.plain_text import plain

MEGABYTE = 1024 * 1024

LINES: dict[str, Callable[[int], str]] = {
    "hexadecimal with an @": lambda n: "a" * (n - 1) + "@",
    "a scheme without an end": lambda n: "a://" + "b" * (n - 6) + " @",
    "many schemes": lambda n: "a://b@" * (n // 6),
    "schemes without users": lambda n: "a://" * (n // 4) + "@",
    "names without a sign": lambda n: "password" * (n // 8),
    "names and spaces": lambda n: "password  " * (n // 10),
    "names and signs": lambda n: "password=" * (n // 9),
    "quotes that stay open": lambda n: 'password="' * (n // 10),
    "both kinds of quotes": lambda n: "password=\"token='" * (n // 16),
    "colons": lambda n: "password:" * (n // 9),
    "quoted names": lambda n: '"token":' * (n // 8),
    "bearers": lambda n: "Bearer " * (n // 7),
    "JSON": lambda n: '{"a": "me@example.com", "b": 12345, "c": "https://h/x"}, ' * (n // 57),
    "control characters": lambda n: "\x1b[2J" * (n // 4),
    "unfinished colours": lambda n: "\x1b[" + "1;" * (n // 2),
}


def seconds(text: str) -> float:
    """Return the best of several measurements."""
    best = float("inf")
    for _ in range(3):
        started = time.process_time()
        plain(mask_text(text, ("hunter22", "abc")))
        best = min(best, time.process_time() - started)
    return best


def ratios() -> dict[str, tuple[float, float]]:
    """Return the seconds for a megabyte, and the ratio to a quarter of it."""
    found = {}
    for name, make in LINES.items():
        whole = seconds(make(MEGABYTE))
        found[name] = whole, whole / max(seconds(make(MEGABYTE // 4)), 1e-6)
    return found


def main() -> None:
    """Print the table."""
    rows = [f"| {name} | {whole * 1000:.0f} ms | {ratio:.1f} |" for name, (whole, ratio) in ratios().items()]
    sys.stdout.write("\n".join(["| a line of 1 MB | masked in | ratio to 0.25 MB |", "|---|---|---|", *rows]) + "\n")


if __name__ == "__main__":
    main()
