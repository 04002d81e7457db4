"""Opens pages of 60, 1 500 and 5 000 tables in a browser: paint, frames while panning and zooming, and search. The page takes
turns with the prototype that its limits come from. See README.md in this folder."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from importlib.resources import files as files_of
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table
from starlake_core_page.plugin import sl_create_page

from starlake_core import Orchestration, Page, Pipeline, StarlakeDependencies, StarlakeDependency

SIZES = (60, 1500, 5000)
PAINT_TARGET = 2.0
"""How much longer the page of 1 500 may take to paint than that of 60."""
PROTOTYPE_TARGET = 1.5
"""How much more CPU a search and a frame while panning may take than those of the prototype."""
LARGEST_MEGABYTES = 3.0
_FRAMES = 40
_SEARCHES = ("table_1", "table_12", "table_3", "")
_TICKS = os.sysconf("SC_CLK_TCK")


def pipelines_of(count: int) -> list[Pipeline]:
    """Return a lineage of transforms in twelve layers, with about 2.7 edges each, 30 of them in a domain."""
    domains = max(4, count // 30)
    nodes: list[StarlakeDependency] = []
    width = max(1, count // 12)
    for index in range(count):
        first = index // width * width - width
        near = [first + (index * step + shift) % width for step, shift in ((1, 0), (7, 3), (11, 5))[: 2 + index % 2]]
        parents = [nodes[at] for at in dict.fromkeys(near)] if first >= 0 else []
        nodes.append(StarlakeDependency(f"domain_{index % width % domains}.table_{index}", dependencies=parents))
    options = {"sl_env_var": {"SL_ROOT": "/"}}
    with (
        Orchestration(orchestrator="local", environment="shell", options=options) as made,
        made.sl_create_pipeline(name="p", cron="0 1 * * *", dependencies=StarlakeDependencies(nodes)) as pipeline,
    ):
        pipeline.add_lineage()
    return [pipeline]


def browser_cpu(marker: str) -> float:
    """Return the CPU seconds of the browser's processes that draw: those of the renderer and of the GPU.

    Args:
        marker: a part of the command line of this browser's processes, such as its profile folder.
    """
    total = 0
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace")
            if marker not in words or ("--type=renderer" not in words and "--type=gpu-process" not in words):
                continue
            numbers = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        total += int(numbers[11]) + int(numbers[12])
    return total / _TICKS


class Measured:
    """The page of one size in the browser.

    Args:
        context: a browser context.
        file: the page.
        marker: see :func:`browser_cpu`.
    """

    def __init__(self, context: Any, file: Path, marker: str) -> None:
        self._marker = marker
        self._page = context.new_page()
        self.paint_cpu = self._cpu(lambda: self._open(file))
        self.paint = self._page.evaluate("() => performance.now()")

    def _open(self, file: Path) -> None:
        self._page.goto(file.as_uri())
        self._page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def _cpu(self, action: Callable[[], object]) -> float:
        before = browser_cpu(self._marker)
        action()
        return browser_cpu(self._marker) - before

    def frames(self, script: str) -> float:
        """Return the CPU milliseconds of a frame.

        Args:
            script: what happens in each frame, with ``cy`` for the drawing.
        """
        loop = f"""() => new Promise((done) => {{
            const cy = starlakePage.cy();
            let left = {_FRAMES};
            const step = () => (left-- > 0 ? ({script}, requestAnimationFrame(step)) : done());
            requestAnimationFrame(step);
        }})"""
        return self._cpu(lambda: self._page.evaluate(loop)) / _FRAMES * 1000

    def search(self) -> float:
        """Return the CPU milliseconds of a search, with the highlight of what it finds."""

        def look() -> None:
            for word in _SEARCHES:
                self._page.fill("#search", word)
                self._page.wait_for_timeout(160)  # the page waits for the next key before it searches

        return self._cpu(look) / len(_SEARCHES) * 1000

    def scene(self) -> Any:
        """Return what the page draws, for the prototype."""
        return self._page.evaluate(
            """() => {
                const { drawn, graph } = starlakePage, ids = new Set(drawn().items.map((item) => item.id));
                const name = (item) => graph.nodes.name[item.node];
                const group = (node) => (drawn().kind === "cards" ? graph.domains[graph.nodes.domain[node]] : graph.nodes.name[node]);
                const links = drawn().links.filter((link) => !link.weak && ids.has(link.from) && ids.has(link.to));
                return {
                    names: graph.nodes.name,
                    groups: graph.nodes.name.map((_, node) => group(node)),
                    items: drawn().items.map((item) => ({
                        ...item, nodes: undefined, group: item.card ?? name(item), text: item.text ?? name(item),
                    })),
                    links: links.map((link) => ({ id: `e${link.id}`, from: link.from, to: link.to, number: link.number ?? 1 })),
                };
            }"""
        )

    def close(self) -> None:
        """Close the page."""
        self._page.close()


def main() -> int:
    """Measure, print a table, and return 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds, in which the sizes take turns (default: 3)")
    rounds = parser.parse_args().rounds
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        sys.exit("the package playwright is not installed: pip install playwright")
    if chromium is None:
        sys.exit("Chromium is not installed: apt-get install chromium")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as driver:
        folder = Path(name)
        files = {str(count): folder / f"{count}.html" for count in SIZES}
        for count in SIZES:
            files[str(count)].write_text(sl_create_page(Page(pipelines_of(count))), encoding="utf-8")
        sizes = {name: file.stat().st_size / 1e6 for name, file in files.items()}
        profile = folder / "profile"
        context = driver.chromium.launch_persistent_context(
            str(profile), executable_path=chromium, args=["--no-sandbox"], viewport={"width": 1400, "height": 900}
        )
        for count in (60, 1500):
            shown = Measured(context, files[str(count)], str(profile))
            files[f"{count}, prototype"] = folder / f"{count}-prototype.html"
            files[f"{count}, prototype"].write_text(prototype(shown.scene()), encoding="utf-8")
            shown.close()
        found: dict[str, list[tuple[float, ...]]] = {name: [] for name in files}
        for name in track([*files] * (rounds + 1), description="pages", console=Console(stderr=True)):
            measured = Measured(context, files[name], str(profile))
            pan = measured.frames("cy.panBy({x: left % 2 ? 9 : -8, y: 3})")
            zoom = measured.frames("cy.zoom(cy.zoom() * (left % 2 ? 1.1 : 0.92))")
            found[name].append((measured.paint, measured.paint_cpu * 1000, pan, zoom, measured.search()))
            measured.close()
        context.close()
    table = Table("page", "MB", "paint ms", "paint CPU ms", "pan CPU ms", "zoom CPU ms", "search CPU ms", box=None)
    medians = {}
    for name in files:  # the first round warms up
        medians[name] = [statistics.median(values) for values in zip(*found[name][1:], strict=True)]
        size = f"{sizes[name]:.2f}" if name in sizes else ""
        table.add_row(name, size, *(f"{value:.0f}" for value in medians[name]))
    page, its = medians["1500"], medians["1500, prototype"]
    ratios = {
        "paint, CPU, 1 500 against 60": (page[1] / medians["60"][1], PAINT_TARGET),
        "frame while panning, CPU, against the prototype": (page[2] / its[2], PROTOTYPE_TARGET),
        "search, CPU, against the prototype": (page[4] / its[4], PROTOTYPE_TARGET),
        "MB of 1 500": (sizes["1500"], LARGEST_MEGABYTES),
    }
    print_to = Console()
    print_to.print(table)
    for what, (value, target) in ratios.items():
        print_to.print(f"{what}: {value:.2f} (at most {target})")
    return 0 if all(value <= target for value, target in ratios.values()) else 1


def prototype(scene: Any) -> str:
    """Return the page of the prototype, with the same cards or tables as ours.

    Args:
        scene: what ours draws.
    """
    text = Path(__file__).with_name("page_reference.html").read_text(encoding="utf-8")
    script = files_of("starlake_core_page").joinpath("static", "vendor", "cytoscape.min.js").read_text(encoding="utf-8")
    data = json.dumps(scene).replace("<", "\\u003c")
    return text.replace("@DATA@", data).replace("@CYTOSCAPE@", script)


if __name__ == "__main__":
    sys.exit(main())
