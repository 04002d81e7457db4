// Joins the parts: the state of the page is in its address, and every change goes through go().
const VIEWS = [["map", "Graph"], ["list", "List"], ["runs", "Runs"]];

function say(text) {
  one("live").textContent = text;
}

function notice(text, ...more) {
  one("message").hidden = !text;
  one("message").replaceChildren(text, ...more);
}

function address() {
  const words = new URLSearchParams();
  const put = (name, value) => value && words.set(name, value);
  put("view", state.view === "map" ? "" : state.view);
  put("group", state.group);
  put("card", state.card);
  put("node", state.node >= 0 ? nameOf(state.node) : "");
  put("from", state.path ? nameOf(state.path[0]) : "");
  put("to", state.path ? nameOf(state.path[1]) : "");
  put("found", state.found);
  put("hops", state.hops === usualHops() ? "" : String(state.hops));
  put("everything", state.everything ? "1" : "");
  put("hidden", [...state.hidden].join(" "));
  put("pipeline", state.pipeline >= 0 ? graph.pipelines[state.pipeline].id : "");
  put("tag", state.tag);
  put("status", state.status);
  put("run", state.run);
  put("column", state.column);
  put("theme", state.theme);
  return `#${words}`;
}

const usualHops = () => (small() ? 0 : 2);
const nodeNamed = (name) => byName.get(name?.toLowerCase()) ?? -1;

function readAddress() {
  const words = new URLSearchParams(location.hash.slice(1));
  const ends = [nodeNamed(words.get("from")), nodeNamed(words.get("to"))];
  Object.assign(state, {
    view: VIEWS.some(([view]) => view === words.get("view")) ? words.get("view") : "map",
    group: ["domain", "pipeline"].includes(words.get("group")) ? words.get("group") : "",
    card: words.get("card") ?? "",
    node: nodeNamed(words.get("node")),
    path: ends.every((node) => node >= 0) ? ends : null,
    found: words.get("found") ?? "",
    hops: words.has("hops") ? Number(words.get("hops")) || 0 : usualHops(),
    everything: words.has("everything"),
    hidden: new Set((words.get("hidden") ?? "").split(" ").filter((kind) => graph.kinds.includes(kind))),
    pipeline: graph.pipelines.findIndex((pipeline) => pipeline.id === words.get("pipeline")),
    tag: words.get("tag") ?? "",
    status: words.get("status") ?? "",
    run: words.get("run") ?? "",
    column: words.get("column") ?? "",
    theme: ["light", "dark"].includes(words.get("theme")) ? words.get("theme") : "",
  });
}

// A page within a page, such as a preview, may not be allowed to have addresses of its own.
function remember(wanted) {
  try {
    history.pushState(null, "", wanted === "#" ? location.pathname + location.search : wanted);
  } catch {}
}

function go(changes) {
  Object.assign(state, changes);
  if ("query" in changes) one("search").value = state.query;
  const wanted = address();
  if (wanted !== (location.hash || "#")) remember(wanted);
  show();
}

// ---- moves

function choose(node) {
  if (node < 0) return go({ node: -1, column: "" });
  go({ view: "map", node, path: null, everything: false, column: "", query: "" });
  const found = runOf(node);
  say(`${nameOf(node)}, ${kindOf(node)}, ${before[node].length} upstream, ${after[node].length} downstream${found ? `, ${found[0].tasks.state[found[1]]}` : ""}`);
}

const pick = (node) => {
  state.found = "";
  choose(node);
  one("panel").focus();
};
const openCard = (card) => go({ view: "map", card, node: -1, found: "", path: null, everything: false });
const setHops = (hops) => go({ hops, found: "", path: null });
const back = () => {
  if (state.query) return { query: "" };
  if (state.path || state.found) return { path: null, found: "" };
  if (state.node >= 0) return { node: -1, column: "" };
  if (state.card) return { card: "" };
  if (state.everything) return { everything: false };
  return { pipeline: -1, tag: "", status: "" };
};

function neighbour(direction) {
  if (state.node < 0) return all().length ? choose(drawn.items.find((item) => item.node !== undefined)?.node ?? all()[0]) : undefined;
  const next = direction === "left" ? before[state.node] : direction === "right" ? after[state.node] : siblings(direction === "up");
  if (next.length) choose(next[0]);
}

// The table above or below in the drawing, in the same column.
function siblings(up) {
  const here = drawn.items.find((item) => item.node === state.node);
  if (!here) return [];
  const column = drawn.items.filter((item) => item.node !== undefined && Math.abs(item.x - here.x) < NODE_WIDTH / 2 && (up ? item.y < here.y : item.y > here.y));
  return column.sort((a, b) => Math.abs(a.y - here.y) - Math.abs(b.y - here.y)).map((item) => item.node);
}

// ---- what is shown

function show() {
  applyTheme();
  applyRun();
  for (const [view] of VIEWS) one(view === "runs" ? "timeline" : view).hidden = state.view !== view;
  for (const tab of one("tabs").children) tab.setAttribute("aria-current", tab.dataset.view === state.view ? "page" : "false");
  one("filters").hidden = state.view === "runs";
  showFilters();
  showRunChoice();
  showPanel();
  if (state.view === "list") showList();
  else if (state.view === "runs") showRuns();
  else {
    draw();
    showPlace();
  }
  showResults();
}

function showPlace() {
  const node = state.node >= 0;
  const where = state.path ? `${nameOf(state.path[0])} → ${nameOf(state.path[1])}` : state.found ? `${state.found}: ${several(together().length, "table")}` : drawn.kind === "focus" ? nameOf(state.node) : state.card || "";
  const goBack = one("back");
  goBack.hidden = !where && !state.everything && !(drawn.kind === "whole" && node);
  goBack.textContent = "← Back";
  goBack.onclick = () => go(back());
  one("crumb").textContent = where || (drawn.kind === "cards" ? `${several(drawn.items.length, grouping())}, ${several(count, "table")}` : `${several(drawn.items.length, "table")}`);
  if (drawn.hiddenCards) one("crumb").textContent += `; ${drawn.hiddenCards} smaller ones are in the list`;
  const steps = [...(small() ? [[0, "whole"]] : []), [1, "1 hop"], [2, "2"], [3, "3"], [99, "all"]];
  one("hops").replaceChildren(...(node && !state.path && !state.found ? steps.map(([hops, text]) => button(text, () => setHops(hops), { "aria-pressed": String(state.hops === hops) })) : []));
  one("zoom").replaceChildren(button("+", () => zoomBy(1.3), { "aria-label": "Zoom in" }), button("−", () => zoomBy(1 / 1.3), { "aria-label": "Zoom out" }), button("⤢", () => fit(), { "aria-label": "Fit" }));
  const none = drawn.items.length === 0;
  one("empty").hidden = !none;
  one("empty").textContent = count ? "Nothing passes the filters." : "There is no load or transform in these pipelines.";
}

function showFilters() {
  const kinds = graph.kinds.filter((kind, index) => graph.nodes.kind.includes(index)).map((kind) => {
    const off = state.hidden.has(kind);
    const toggle = () => {
      const hidden = new Set(state.hidden);
      if (off) hidden.delete(kind);
      else hidden.add(kind);
      go({ hidden });
    };
    return button([make("span", { className: `dot ${kind}` }), kind], toggle, { className: "legend", "aria-pressed": String(!off) });
  });
  const options = (name, values, chosen, change) => {
    if (values.length < 2 && !chosen) return null;
    const choice = make("select", { onchange: (event) => change(event.target.value), "aria-label": name }, make("option", { value: "" }, `every ${name}`), values.map((value) => make("option", { value }, value)));
    choice.value = chosen;
    return choice;
  };
  const tags = [...new Set([...graph.nodes.tags, ...graph.pipelines.map((pipeline) => pipeline.tags ?? [])].flat())].sort();
  const states = [...new Set(graph.nodes.name.map((_, node) => nodeState(node)).filter(Boolean))].sort();
  const pipelineId = state.pipeline >= 0 ? graph.pipelines[state.pipeline].id : "";
  const groupings = [["", small() ? "tables" : "cards"], ["domain", "by domain"], ["pipeline", "by pipeline"]].filter(([value]) => value || small());
  const choice = make("select", { onchange: (event) => go({ group: event.target.value, card: "", node: -1, found: "", path: null, everything: false }), "aria-label": "Cards" }, groupings.map(([value, text]) => make("option", { value }, text)));
  choice.value = small() ? state.group : grouping();
  const everything = small() || count > EVERYTHING ? null : button("show all", () => go({ everything: !state.everything, node: -1, card: "", found: "", path: null }), { "aria-pressed": String(state.everything) });
  one("filters").replaceChildren(...[...kinds, choice, options("pipeline", graph.pipelines.map((pipeline) => pipeline.id), pipelineId, (id) => go({ pipeline: graph.pipelines.findIndex((pipeline) => pipeline.id === id) })), options("tag", tags, state.tag, (tag) => go({ tag })), options("state", states, state.status, (status) => go({ status })), everything].filter(Boolean));
}

let themeNow = "";
function applyTheme() {
  const dark = state.theme ? state.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const wanted = dark ? "dark" : "light";
  one("theme-button").textContent = dark ? "☀" : "☾";
  if (wanted === themeNow) return;
  themeNow = wanted;
  document.documentElement.dataset.theme = wanted;
  if (cy) cy.style(styles());
}

// ---- keys

const KEYS = [
  ["/", "search"],
  ["← →", "upstream, downstream"],
  ["↑ ↓", "the table above, below"],
  ["Enter", "to the details"],
  ["+ − 0", "zoom in, zoom out, fit"],
  ["Esc", "back"],
  ["?", "this help"],
];

function showHelp() {
  const row = ([key, text]) => make("tr", {}, make("th", { scope: "row" }, make("kbd", {}, key)), make("td", {}, text));
  const words = [["orders", "a part of a name"], ["kind:load status:failed domain:x pipeline:x tag:x", "filters, together"], ["+kpi.revenue+", "all that it needs and feeds; 2+name+1 for so many hops"], ["sales.orders -> kpi.revenue", "what lies between"]].map(row);
  const licences = read("licences").map(([name, text]) => make("details", {}, make("summary", {}, name), make("pre", {}, text)));
  one("help").replaceChildren(make("h2", { id: "help-title" }, "Keys"), make("table", {}, make("tbody", {}, KEYS.map(row))), make("h2", {}, "Search"), make("table", {}, make("tbody", {}, words)), make("h2", {}, "About"), make("p", { className: "muted" }, [graph.made ? `Made ${moment(graph.made)}. ` : "", "Drawn with cytoscape.js and dagre, under the MIT licence."]), ...licences, button("Close", () => one("help").close()));
  one("help").showModal();
}

function onKey(event) {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.ctrlKey || event.metaKey || event.altKey || one("help").open) return;
  if (event.key === "Escape") {
    event.preventDefault();
    if (typing) event.target.blur();
    return go(back());
  }
  if (typing) {
    // A key that uses the results comes before the pause after which they are shown, or they would change under the focus.
    if (waiting && event.target.id === "search" && ["Enter", "Tab", "ArrowDown"].includes(event.key)) search();
    if (event.key === "Enter" && event.target.id === "search") {
      const { nodes, exact } = find(state.query);
      if (exact && nodes.length > 1) showFound();
      else if (nodes.length) pick(nodes[0]);
    } else if (event.key === "ArrowDown" && event.target.id === "search") one("results").querySelector("button")?.focus();
    return;
  }
  const onButton = /^(BUTTON|SUMMARY|A)$/.test(event.target.tagName);
  const keys = {
    "/": () => one("search").focus(),
    "?": showHelp,
    "+": () => zoomBy(1.3),
    "=": () => zoomBy(1.3),
    "-": () => zoomBy(1 / 1.3),
    0: () => fit(),
    ...(event.target.id === "canvas" || event.target === document.body || event.target.id === "panel"
      ? { ArrowLeft: () => neighbour("left"), ArrowRight: () => neighbour("right"), ArrowUp: () => neighbour("up"), ArrowDown: () => neighbour("down") }
      : {}),
    ...(onButton ? {} : { Enter: () => one("panel").focus() }),
  };
  if (event.target.id === "panel" && event.key.startsWith("Arrow")) {
    if (event.key === "ArrowUp" || event.key === "ArrowDown") return; // the panel scrolls
  }
  if (keys[event.key] && (state.view === "map" || event.key === "/" || event.key === "?")) {
    event.preventDefault();
    keys[event.key]();
  }
}

// ---- start

let waiting = 0;
function search() {
  clearTimeout(waiting);
  waiting = 0;
  state.query = one("search").value;
  showResults();
  requestAnimationFrame(() => (state.view === "map" ? cy.batch(mute) : state.view === "list" ? showList() : null));
}

function start() {
  load();
  document.title = graph.title;
  one("title").textContent = graph.title;
  one("tabs").replaceChildren(...VIEWS.map(([view, text]) => button(text, () => go({ view }), { dataset: { view } })));
  readAddress();
  one("search").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(search, 90);
  });
  one("theme-button").onclick = () => go({ theme: themeNow === "dark" ? "light" : "dark" });
  one("help-button").onclick = showHelp;
  document.addEventListener("keydown", onKey);
  addEventListener("popstate", () => (readAddress(), show()));
  addEventListener("resize", () => state.view === "map" && fit());
  addEventListener("beforeprint", () => state.view === "map" && fit());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => show());
  show();
  follow();
  // For tests, and for people who look at the page from its console.
  window.starlakePage = { state, drawn: () => drawn, graph, runs: () => runs, cy: () => cy, find, go };
}

try {
  start();
} catch (error) {
  notice(`This page cannot show its data: ${error.message}`);
  throw error;
}
