"""The page in a browser. Needs Chromium and the package playwright; other machines skip these tests."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from page_pipelines import HOSTILE, built, layers, shop, shop_file
from starlake_core_page.plugin import sl_create_page

from starlake_core import Page, Report, StarlakeDependencies, StarlakeDependency, TableDetails, TaskReport, TaskState
from starlake_core.testing import StandIn, Step

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
playwright = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        made = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


class Tab:
    """A page in a browser without a network, which must not report an error."""

    def __init__(self, browser, folder, pipelines, *, runs=(), address="", **context):
        self.file = folder / "page.html"
        self.file.write_text(
            sl_create_page(Page(pipelines, runs, title=context.pop("title", "shop"), made=NOW)), encoding="utf-8"
        )
        self.errors, self.asked = [], []
        self.context = browser.new_context(offline=True, **{"viewport": {"width": 1200, "height": 800}, **context})
        self.page = self.context.new_page()
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.errors.append(dialog.message), dialog.dismiss()))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(self.file.as_uri() + address)
        self.page.wait_for_selector("#tabs button")

    def state(self, expression):
        return self.page.evaluate(f"() => {{ const page = window.starlakePage; return {expression}; }}")

    def drawn(self):
        return self.state(
            "page.drawn().items.map((item) => item.node === undefined ? item.card ?? item.text : page.graph.nodes.name[item.node])"
        )

    def classes(self, name):
        return self.state(
            f"page.cy().nodes().filter((one) => one.data('node') === page.graph.nodes.name.indexOf('{name}'))[0].classes()"
        )

    def search(self, text):
        self.page.fill("#search", text)
        self.page.wait_for_selector("#results li")

    def close(self):
        self.context.close()
        assert not self.errors
        assert all(url.startswith(("file:", "data:", "blob:")) for url in self.asked)


@pytest.fixture
def opened(browser, tmp_path):
    tabs = []

    def open_tab(pipelines, **values):
        tabs.append(Tab(browser, tmp_path, pipelines, **values))
        return tabs[-1]

    yield open_tab
    for tab in tabs:
        tab.close()


def failed_run(pipeline, failing):
    tasks = []
    for index, task in enumerate(pipeline.tasks()):
        failed = failing in task.id
        state = TaskState.FAILED if failed else TaskState.SUCCEEDED
        started = NOW + timedelta(seconds=index)
        tasks.append(TaskReport(task.path, state, "exit code 1" if failed else "", duration=1 + index, started=started))
    ended = NOW + timedelta(seconds=60)
    return Report(pipeline.id, "run-1", TaskState.FAILED, tuple(tasks), started=NOW, ended=ended)


def test_a_small_graph_is_drawn_whole_and_a_click_shows_details(opened):
    tab = opened(shop())
    assert sorted(tab.drawn()) == ["kpi.overview", "kpi.sales", "shop.customers", "shop.orders"]
    place = tab.state("page.cy().nodes().filter((one) => one.data('label') === 'kpi.sales')[0].renderedPosition()")
    tab.page.mouse.click(place["x"], tab.page.locator("#canvas").bounding_box()["y"] + place["y"])
    assert tab.page.inner_text("#panel h2") == "kpi.sales"
    assert "2 direct, 2 in all" in tab.page.inner_text("#panel")
    assert "dim" not in tab.classes("shop.orders")


def test_search_lists_and_highlights_and_enter_opens(opened):
    tab = opened(shop())
    tab.search("order")
    assert tab.page.locator("#results .hit").all_inner_texts() == ["shop.orders\nload"]
    tab.page.wait_for_timeout(50)
    assert tab.state("page.cy().nodes('.hit').length") == 1
    tab.page.press("#search", "Enter")
    assert tab.page.inner_text("#panel h2") == "shop.orders"
    tab.search("nothing like that")
    assert "Nothing is named nothing like that" in tab.page.inner_text("#results")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("+kpi.sales", {"kpi.sales", "shop.customers", "shop.orders"}),
        ("kpi.sales+", {"kpi.sales", "kpi.overview"}),
        ("1+kpi.overview", {"kpi.sales", "kpi.overview"}),
        ("shop.orders -> kpi.overview", {"shop.orders", "kpi.sales", "kpi.overview"}),
        ("kind:load", {"shop.customers", "shop.orders"}),
        ("domain:kpi over", {"kpi.overview"}),
        ("tag:nope", set()),
    ],
)
def test_the_words_of_the_search(opened, query, names):
    tab = opened(shop())
    assert set(tab.state(f"page.find({query!r}).nodes.map((node) => page.graph.nodes.name[node])")) == names


def test_a_large_graph_begins_with_cards_and_focuses_on_a_table(opened):
    tab = opened(layers(300))
    assert sorted(tab.drawn()) == ["d0", "d1", "d2", "d3", "d4"]
    tab.search("d0.t100")
    tab.page.press("#search", "Enter")
    drawn = tab.drawn()
    assert "d0.t100" in drawn
    assert len(drawn) <= 62
    tab.page.click("#hops >> text=1 hop")
    assert len(tab.drawn()) < len(drawn)
    tab.page.click("#hops >> text=all")
    assert any("more" in name for name in tab.drawn())
    tab.page.click("#back")
    assert sorted(tab.drawn()) == ["d0", "d1", "d2", "d3", "d4"]
    tab.page.click("text=show all")
    assert len(tab.drawn()) == 300


def test_cards_are_by_domain_or_by_pipeline_and_can_be_opened_and_closed(opened):
    tab = opened(shop())
    tab.page.select_option("select[aria-label=Cards]", "domain")
    assert sorted(tab.drawn()) == ["kpi", "shop"]
    tab.state("page.go({ card: 'kpi' })")
    assert sorted(tab.drawn()) == ["kpi.overview", "kpi.sales", "shop"]
    tab.page.press("body", "Escape")
    tab.page.select_option("select[aria-label=Cards]", "pipeline")
    assert len(tab.drawn()) == 2


def test_filters_by_kind_and_pipeline_are_in_the_address(opened):
    tab = opened(shop())
    tab.page.click(".legend >> text=load")
    assert sorted(tab.drawn()) == ["kpi.overview", "kpi.sales"]
    assert "hidden=load" in tab.page.url
    tab.page.go_back()
    assert len(tab.drawn()) == 4
    tab.page.select_option("select[aria-label=pipeline]", index=1)
    assert len(tab.drawn()) == 2


def test_everything_works_from_the_keyboard(opened):
    tab = opened(shop())
    tab.page.keyboard.press("/")
    tab.page.keyboard.type("kpi.sales")
    tab.page.wait_for_selector("#results .hit")
    tab.page.keyboard.press("Tab")
    tab.page.keyboard.press("Enter")
    assert tab.page.inner_text("#panel h2") == "kpi.sales"
    tab.page.keyboard.press("ArrowLeft")
    assert tab.page.inner_text("#panel h2") == "shop.customers"
    tab.page.keyboard.press("ArrowRight")
    tab.page.keyboard.press("ArrowRight")
    assert tab.page.inner_text("#panel h2") == "kpi.overview"
    assert "kpi.overview, transform, 1 upstream, 0 downstream" in tab.page.inner_text("#live")
    tab.page.keyboard.press("Escape")
    assert tab.page.is_hidden("#panel")
    tab.page.keyboard.press("?")
    assert tab.page.is_visible("#help")


@pytest.mark.parametrize("keys", [["Enter"], ["Tab", "Enter"], ["ArrowDown", "Enter"]], ids=" ".join)
def test_keys_that_follow_at_once_are_about_what_was_typed(opened, keys):
    """The results are shown after a short pause, and nobody waits for it."""
    tab = opened(shop())
    tab.page.keyboard.press("/")
    tab.page.keyboard.type("kpi.sale")
    tab.page.wait_for_selector("#results .hit")
    tab.page.evaluate(
        """() => {
            const search = document.getElementById("search");
            search.value = "kpi.over";
            search.dispatchEvent(new InputEvent("input", { bubbles: true }));
        }"""
    )
    for key in keys:
        tab.page.keyboard.press(key)
    assert tab.page.inner_text("#panel h2") == "kpi.overview"


def test_the_list_says_the_same_and_sorts(opened):
    tab = opened(shop())
    tab.page.click("#tabs >> text=List")
    names = tab.page.locator("#list tbody td:first-child").all_inner_texts()
    assert names == ["kpi.overview", "kpi.sales", "shop.customers", "shop.orders"]
    tab.page.click("#list th >> text=name")
    assert tab.page.locator("#list tbody td:first-child").all_inner_texts() == names[::-1]
    assert tab.page.get_attribute("#list th:first-child", "aria-sort") == "descending"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_follow_the_system_and_the_button(opened, scheme):
    tab = opened(shop(), color_scheme=scheme)
    other = {"light": "dark", "dark": "light"}[scheme]
    assert tab.page.get_attribute("html", "data-theme") == scheme
    tab.page.click("#theme-button")
    assert tab.page.get_attribute("html", "data-theme") == other
    text, page = (
        re.findall(r"\d+", tab.page.evaluate(f"() => getComputedStyle(document.body).{name}"))
        for name in ("color", "backgroundColor")
    )
    assert contrast(text, page) > 7


def contrast(one, other):
    """The contrast ratio of two colours, by WCAG 2.2."""

    def light(colour):
        parts = [int(part) / 255 for part in colour[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    brighter, darker = sorted((light(one), light(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def test_a_phone_shows_everything_without_scrolling_sideways(opened):
    tab = opened(
        shop(), viewport={"width": 390, "height": 780}, has_touch=True, is_mobile=True, address="#node=kpi.sales"
    )
    assert tab.page.evaluate("() => document.documentElement.scrollWidth") <= 390
    panel, canvas = tab.page.locator("#panel").bounding_box(), tab.page.locator("#canvas").bounding_box()
    assert panel["y"] >= canvas["y"] + canvas["height"] - 1
    assert canvas["height"] > 150


def test_names_and_texts_that_look_like_code_stay_text(opened):
    node = StarlakeDependency(f"shop.{HOSTILE}")

    def build(orchestration):
        with orchestration.sl_create_pipeline(
            name="p", cron="0 1 * * *", dependencies=StarlakeDependencies([node]), description=HOSTILE
        ) as pipeline:
            pipeline.add_lineage()
        return [pipeline]

    pipelines = built(build)
    task = next(task for task in pipelines[0].tasks() if task.is_work)
    task.details = TableDetails("x.y", sql=f"SELECT '{HOSTILE}'", description=HOSTILE, owners=(HOSTILE,))
    run = Report("p", HOSTILE, TaskState.FAILED, (TaskReport(task.path, TaskState.FAILED, HOSTILE),), reason=HOSTILE)
    tab = opened(pipelines, runs=[run], title=HOSTILE)
    tab.state("page.go({ node: 0 })")
    assert "onerror=alert(1)" in tab.page.inner_text("#panel")
    tab.page.click("#tabs >> text=List")
    tab.page.click("#tabs >> text=Runs")
    tab.state("page.go({ run: page.runs()[0].id })")
    assert "onerror=alert(1)" in tab.page.inner_text("#timeline")
    assert tab.page.locator("img").count() == 0


def test_no_name_is_taken_for_a_command_or_a_property(opened):
    names = [
        "__proto__.constructor",
        "constructor.__proto__",
        "my shop.all orders",
        "x.->",
        "x.a+b",
        'x."y"',
        "x.status:failed",
    ]

    def build(orchestration):
        nodes = [StarlakeDependency(name) for name in names]
        with orchestration.sl_create_pipeline(
            name="__proto__",
            cron="0 1 * * *",
            dependencies=StarlakeDependencies(nodes),
            tags=["__proto__", "two words"],
        ) as pipeline:
            pipeline.add_lineage()
        return [pipeline]

    pipelines = built(build)
    tab = opened(pipelines, runs=[failed_run(pipelines[0], "constructor")])
    for name in names:
        assert (
            tab.page.evaluate(
                "(name) => { const page = starlakePage; return page.graph.nodes.name[page.find(name).nodes[0]]; }", name
            )
            == name
        )
        tab.page.evaluate("(name) => starlakePage.go({ node: starlakePage.graph.nodes.name.indexOf(name) })", name)
        tab.page.evaluate("() => dispatchEvent(new PopStateEvent('popstate'))")  # the address is read again
        assert tab.page.inner_text("#panel h2") == name
    counts = {
        "constructor:x": 0,
        "__proto__:x": 0,
        "tag:__proto__": 7,
        'tag:"two words"': 7,
        'domain:"my shop"': 1,
        "++": 0,
        "->": 1,
    }
    assert {
        query: tab.page.evaluate("(query) => starlakePage.find(query).nodes.length", query) for query in counts
    } == counts
    tab.page.evaluate("() => starlakePage.go({ node: -1, group: 'domain' })")
    assert {"__proto__", "constructor", "my shop"} < set(tab.drawn())


def test_a_long_chain_begins_readable_and_prints(opened):
    tab = opened(layers(20, width=1), address="#node=d0.t10")
    assert tab.state("page.cy().zoom()") >= 0.6
    seen = tab.state("page.cy().getElementById('n' + page.state.node).renderedPosition('x')")
    assert 0 < seen < tab.page.locator("#canvas").bounding_box()["width"]
    tab.page.keyboard.press("0")
    assert tab.state("page.cy().zoom()") < 0.6
    tab.page.emulate_media(media="print")
    assert tab.page.locator("#map").bounding_box()["height"] > 300
    assert tab.page.locator("#panel").bounding_box()["y"] >= tab.page.locator("#map").bounding_box()["height"]


def test_a_run_of_many_tasks_begins_with_some_and_counts_what_still_runs(opened):
    pipelines = layers(600, width=50)
    run = failed_run(pipelines[0], "t7")
    began = NOW - timedelta(seconds=30)
    going = TaskReport(run.tasks[0].id, TaskState.RUNNING, attempts=1, started=began)
    tab = opened(
        pipelines,
        runs=[replace(run, state=TaskState.RUNNING, tasks=(going, *run.tasks[1:]))],
        address="#view=runs&run=run-1",
    )
    assert tab.page.locator("#timeline .lanes tbody tr").count() == 500
    assert tab.page.locator("#timeline .bar.running").count() == 1
    assert "30 s" in tab.page.inner_text("#timeline .lanes tbody tr:first-child")
    tab.page.click("#timeline >> text=Show all 602 tasks")
    assert tab.page.locator("#timeline .lanes tbody tr").count() == 602


def test_a_failed_run_marks_what_failed_and_shows_why(opened):
    pipelines = shop()
    tab = opened(pipelines, runs=[failed_run(pipelines[1], "sales")])
    assert "failed" in tab.classes("kpi.sales")
    tab.state("page.go({ node: page.graph.nodes.name.indexOf('kpi.sales') })")
    assert "exit code 1" in tab.page.inner_text("#panel")
    tab.page.click("#tabs >> text=Runs")
    tab.page.click("#timeline >> text=run-1")
    assert "Critical path" in tab.page.inner_text("#timeline")
    assert tab.page.locator("#timeline .bar.failed").count() == 1
    tab.page.check("#timeline input[type=checkbox]")
    assert tab.page.locator("#timeline .lanes tbody tr").count() == 1


def test_columns_show_where_they_come_from(opened):
    from starlake_core import Column

    pipelines = shop()
    tasks = {task.id: task for pipeline in pipelines for task in pipeline.tasks()}
    tasks["kpi_sales"].details = TableDetails(
        "kpi.sales", columns=(Column("amount", "decimal", sources=("shop.orders.price",)),)
    )
    tasks["kpi_overview"].details = TableDetails(
        "kpi.overview", columns=(Column("total", sources=("kpi.sales.AMOUNT",)),)
    )
    tab = opened(pipelines, address="#node=kpi.overview")
    tab.page.click("#panel >> text=total")
    shown = tab.page.inner_text(".column-lineage")
    assert "kpi.sales amount" in shown
    assert "shop.orders price" in shown
    assert "dim" in tab.classes("shop.customers")


def test_data_of_another_format_is_refused_in_words(opened):
    tab = opened(shop())
    text = tab.file.read_text(encoding="utf-8").replace('{"format":1,', '{"format":9,')
    tab.file.write_text(text, encoding="utf-8")
    tab.page.reload()
    assert "reads data of format 1, not 9" in tab.page.inner_text("#message")
    tab.errors.clear()


def test_what_is_drawn_stays_small(opened):
    tab = opened(layers(1500, width=50, domains=50))
    assert tab.page.evaluate("() => document.querySelectorAll('*').length") < 2000
    assert len(tab.drawn()) == 50
    assert tab.file.stat().st_size < 3_000_000


def test_the_live_page_follows_a_run_that_is_killed_and_resumed(browser, tmp_path):
    stand_in = StandIn(tmp_path / "bin")
    file = shop_file(tmp_path, stand_in)
    stand_in.script("load:shop.customers", Step(goes_on=True))
    program = [sys.executable, "-m", "starlake_core"]
    with ExitStack() as stack:
        server = stack.enter_context(subprocess.Popen([*program, "ui", str(file)], stdout=subprocess.PIPE, text=True))
        stack.callback(server.terminate)
        address = re.search(r"http://\S+", server.stdout.readline())[0]
        context = stack.enter_context(browser.new_context())
        page = context.new_page()
        page.goto(address)
        page.wait_for_selector("#tabs button")
        assert "token" not in page.url
        page.evaluate("() => starlakePage.go({ node: starlakePage.graph.nodes.name.indexOf('shop.orders') })")
        page.click("#panel summary")

        def wait_for(expression):
            """Wait until something is so on the page, whose policy forbids the evaluation of strings."""
            for _ in range(600):
                if page.evaluate(f"() => {{ const runs = window.starlakePage.runs(); return {expression}; }}"):
                    return
                page.wait_for_timeout(100)
            raise AssertionError(expression)

        run = stack.enter_context(subprocess.Popen([*program, "run", str(file)], stdout=subprocess.DEVNULL))
        stack.callback(run.kill)
        wait_for(
            "runs.some((run) => run.tasks.state.filter((one) => one !== 'waiting').toSorted().join() === 'running,success,success')"
        )
        assert page.evaluate("() => window.starlakePage.cy().nodes('.running').length") == 1
        run.kill()
        wait_for("runs.some((run) => run.state === 'interrupted')")
        stand_in.script("load:shop.customers", Step())
        assert subprocess.run([*program, "resume", str(file)], stdout=subprocess.DEVNULL, check=False).returncode == 0
        wait_for("runs.length === 2 && runs.every((run) => run.state === 'success')")
        assert page.evaluate("() => window.starlakePage.cy().nodes('.success').length") == 4
        # The reader is still where they were, although what they read has changed.
        assert "success" in page.inner_text("#panel")
        assert page.evaluate("() => [document.activeElement.tagName, document.activeElement.parentElement.open]") == [
            "SUMMARY",
            True,
        ]
        server.terminate()
        server.wait()
        page.wait_for_selector("#message:has-text('The server has ended')")
