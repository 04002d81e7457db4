// The panel of details. Text gets into the page only as text.
function make(tag, properties = {}, ...children) {
  const { dataset, style, ...others } = properties;
  const made = Object.assign(document.createElement(tag), others);
  Object.assign(made.dataset, dataset);
  for (const [name, value] of Object.entries(style ?? {})) made.style.setProperty(name, value);
  for (const [name, value] of Object.entries(others)) if (name.startsWith("aria-")) made.setAttribute(name, value);
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}
const one = (id) => document.getElementById(id);
const button = (text, onclick, properties = {}) => make("button", { type: "button", onclick, ...properties }, text);
const seconds = (value) => (value < 60 ? `${Number(value.toPrecision(3))} s` : value < 3600 ? `${Math.floor(value / 60)} min ${Math.round(value % 60)} s` : `${Math.floor(value / 3600)} h ${Math.round((value % 3600) / 60)} min`);
const moment = (iso) => (iso ? iso.replace("T", " ").replace(/(\.\d+)?(\+00:00|Z)$/, " UTC") : "");
const badge = (state) => make("span", { className: `badge ${statusOf(state)}` }, state);
const several = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;

// Fills a part of the page again, and leaves the reader where they were: what is open, scrolled to, and in focus.
function keeping(place, fill) {
  const parts = (selector) => [...place.querySelectorAll(selector)];
  const word = (part) => part.textContent.slice(0, 200);
  const times = (list) => {
    const seen = new Map();
    return list.map((part) => {
      const text = word(part);
      seen.set(text, (seen.get(text) ?? 0) + 1);
      return [`${text} ${seen.get(text)}`, part];
    });
  };
  const summaries = new Map(times(parts("summary")).map(([key, part]) => [key, part.parentElement.open]));
  const focusable = "button, summary, input, select, pre";
  const focused = times(parts(focusable)).find(([, part]) => part === document.activeElement)?.[0];
  const scrolled = [place, ...parts("pre")].map((part) => [part.scrollTop, part.scrollLeft]);
  fill();
  for (const [key, part] of times(parts("summary"))) if (summaries.has(key)) part.parentElement.open = summaries.get(key);
  [place, ...parts("pre")].forEach((part, index) => scrolled[index] && ([part.scrollTop, part.scrollLeft] = scrolled[index]));
  if (focused) times(parts(focusable)).find(([key]) => key === focused)?.[1].focus({ preventScroll: true });
}

function facts(rows) {
  return make("dl", {}, rows.filter(([, value]) => value !== null && value !== undefined && value !== "" && !(Array.isArray(value) && !value.length)).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

const nodeButtons = (title, nodes) => (nodes.length ? make("section", {}, make("h3", {}, title), nodeList(nodes, 40)) : null);

function nodeList(nodes, most) {
  const list = make("ul", { className: "names" });
  const fill = (number) => list.replaceChildren(...nodes.slice(0, number).map((node) => make("li", {}, nodeButton(node))), ...(nodes.length > number ? [make("li", {}, button(`${nodes.length - number} more`, () => fill(Infinity), { className: "link" }))] : []));
  fill(most);
  return list;
}

const nodeButton = (node) => button(nameOf(node), () => choose(node), { className: `node ${kindOf(node)}`, "aria-label": `${nameOf(node)}, ${kindOf(node)}` });

function codeBlock(title, text) {
  if (!text) return null;
  const copy = button("Copy", () => navigator.clipboard?.writeText(text), { className: "link" });
  return make("details", { open: true }, make("summary", {}, title), copy, make("pre", { tabIndex: 0 }, text));
}

function pipelineFacts(pipeline) {
  const { starts, next } = pipeline;
  return facts([
    ["Schedule", pipeline.schedule ? `${pipeline.schedule} (${pipeline.zone})` : starts ? `when ${starts.policy} of its datasets arrive` : "on demand"],
    ["Next runs", (next ?? []).map((date) => make("div", {}, date.slice(0, 16).replace("T", " ")))],
    ["Starts on", starts ? nodeList(starts.nodes, 8) : ""],
    ["Description", pipeline.description],
    ["Tags", (pipeline.tags ?? []).join(", ")],
    ["File", pipeline.file],
    ["Runs on", [pipeline.orchestrator, pipeline.environment].filter(Boolean).join(", ")],
  ]);
}

const KIND_NOTES = { external: ": no task here makes it", step: ": what is before it ends before what is after it starts" };

function nodePanel(node) {
  const found = details(node);
  const [ups, downs] = [upstream(node).size - 1, downstream(node).size - 1];
  const dataset = found.dataset ?? {};
  const about = found.about ?? {};
  const parts = [
    make("h2", {}, nameOf(node)),
    facts([
      ["Kind", make("span", { className: `kind ${kindOf(node)}` }, `${kindOf(node)}${KIND_NOTES[kindOf(node)] ?? ""}`)],
      ["Description", about.description],
      ["Owners", (about.owners ?? []).join(", ")],
      ["Table", [about.warehouse ?? dataset.table, about.warehouseKind ? ` (${about.warehouseKind})` : ""].join("")],
      ["Dataset", dataset.uri],
      ["Strategy", about.strategy],
      ["Freshness", freshness(dataset, about)],
      ["Tags", graph.nodes.tags[node].join(", ")],
      ["File", about.file],
      ["Expected", dataset.cron],
      ["More", Object.entries(dataset.extra ?? {}).map(([name, value]) => make("code", {}, `${name}=${value}`))],
      ["Upstream", `${before[node].length} direct, ${ups} in all`],
      ["Downstream", `${after[node].length} direct, ${downs} in all`],
      ["Starts", (found.starts ?? []).join(", ")],
    ]),
    runPart(node),
    ...pipelinesOf(node).map((index) => make("section", {}, make("h3", {}, "Pipeline ", button(graph.pipelines[index].id, () => go({ pipeline: index, node: -1 }), { className: "link", title: "Show only this pipeline" })), pipelineFacts(graph.pipelines[index]))),
    columnPart(node, about),
    checkPart(about),
    nodeButtons("Upstream", before[node]),
    nodeButtons("Downstream", after[node]),
    codeBlock("SQL", about.sql),
    codeBlock("SQL with Jinja", about.template),
    ...(found.tasks ?? []).map(taskPart),
  ];
  return parts;
}

const freshness = (dataset, about) =>
  [
    about.warnAfter ? `warns after ${seconds(about.warnAfter)}` : "",
    about.errorAfter ? `is an error after ${seconds(about.errorAfter)}` : "",
    dataset.freshness && !about.warnAfter && !about.errorAfter ? seconds(dataset.freshness) : "",
  ]
    .filter(Boolean)
    .join(", ");

function checkPart(about) {
  if (!about.checks?.length) return null;
  return make("section", {}, make("h3", {}, "Checks"), make("ul", { className: "names" }, about.checks.map(([name, text, fails]) => make("li", {}, `${name}${fails ? " (fails the task)" : ""}`, make("code", {}, text)))));
}

function columnPart(node, about) {
  if (!about.columns?.length) return null;
  const rows = about.columns.map((column) => {
    const near = columnLinks(node, column.name);
    const cell = near.length ? button(column.name, () => go({ column: state.column === column.name ? "" : column.name }), { className: "link", "aria-pressed": String(state.column === column.name), title: "Show where it comes from and goes to" }) : column.name;
    const marks = [column.key ? "key" : "", column.required ? "required" : "", ...(column.tags ?? [])].filter(Boolean).join(", ");
    return make("tr", {}, make("td", {}, cell), make("td", {}, column.type ?? ""), make("td", {}, [column.description, marks].filter(Boolean).join(" · ")));
  });
  return make("section", {}, make("h3", {}, "Columns"), make("table", { className: "columns" }, make("tbody", {}, rows)), state.column ? columnLineage(node, state.column) : null);
}

function columnLineage(node, column) {
  const list = (title, found) => (found.length ? [make("h4", {}, title), make("ul", { className: "names" }, found.map(([other, name]) => make("li", {}, nodeButton(other), ` ${name}`)))] : []);
  return make("div", { className: "column-lineage" }, ...list(`${column} comes from`, columnWay(node, column, true)), ...list(`${column} goes to`, columnWay(node, column, false)));
}

// Column lineage comes as [from node, from column, to node, to column]; names of columns ignore case.
const columnKey = (node, column) => `${node} ${column.toLowerCase()}`;
let columnNext = null;
function columnGraph() {
  if (columnNext) return columnNext;
  columnNext = [new Map(), new Map()];
  const put = (map, key, value) => (map.has(key) ? map.get(key).push(value) : map.set(key, [value]));
  for (const [from, one, to, other] of graph.columnEdges ?? []) {
    put(columnNext[0], columnKey(to, other), [from, one]);
    put(columnNext[1], columnKey(from, one), [to, other]);
  }
  return columnNext;
}
const columnLinks = (node, column) => columnGraph().flatMap((side) => side.get(columnKey(node, column)) ?? []);

function columnWay(node, column, up) {
  const side = columnGraph()[up ? 0 : 1];
  const seen = new Set([columnKey(node, column)]);
  const todo = [[node, column]];
  const found = [];
  while (todo.length)
    for (const next of side.get(columnKey(...todo.shift())) ?? [])
      if (!seen.has(columnKey(...next))) {
        seen.add(columnKey(...next));
        found.push(next);
        todo.push(next);
      }
  return found;
}

function runPart(node) {
  const found = runOf(node);
  if (!found) return make("p", { className: "muted" }, runs.length ? "not part of the runs shown" : "no run recorded");
  const [run, index] = found;
  const tasks = run.tasks;
  return make("section", {}, make("h3", {}, "Last run"), facts([
    ["State", badge(tasks.state[index])],
    ["Why", tasks.reason[index]],
    ["Time", tasks.seconds[index] ? seconds(tasks.seconds[index]) : ""],
    ["Attempts", tasks.attempts[index] > 1 ? tasks.attempts[index] : ""],
    ["Started", moment(tasks.started[index])],
    ["Run", button(run.id, () => go({ view: "runs", run: run.id }), { className: "link" })],
  ]), codeBlock("End of the log", tasks.log[index]));
}

function taskPart(task) {
  const variables = Object.entries(task.variables ?? {});
  const params = Object.entries(task.params ?? {});
  return make("details", {}, make("summary", {}, `Task ${task.path}`), facts([
    ["Does", task.summary],
    ["Pipeline", task.pipeline],
    ["Command", (task.arguments ?? []).map((text) => make("code", {}, text))],
    ["Runs with", task.environment],
    ["Variables", variables.map(([name, value]) => make("code", {}, `${name}=${value}`))],
    ["Parameters", params.map(([name, value]) => make("code", {}, `${name}=${value}`))],
    ["Trigger rule", task.trigger],
    ["Retries", task.retries ? `${task.retries}, ${seconds(task.retryDelay ?? 0)} apart` : ""],
    ["Time-out", task.timeout ? seconds(task.timeout) : ""],
    ["Pool", task.pool],
  ]));
}

const cardButtons = (title, names) => (names.length ? make("section", {}, make("h3", {}, title), make("ul", { className: "names" }, names.map((name) => make("li", {}, button(name, () => openCard(name), { className: "link" }))))) : null);

function cardPanel(name) {
  const nodes = groups().get(name) ?? [];
  const pipeline = graph.pipelines.find((candidate) => grouping() === "pipeline" && candidate.id === name);
  return [
    make("h2", {}, name),
    make("p", { className: "muted" }, `${grouping()}, ${several(nodes.length, "table")}`),
    pipeline ? pipelineFacts(pipeline) : null,
    nodeButtons("Tables", nodes),
    cardButtons("Reads from", cardsBeside(name, before)),
    cardButtons("Feeds", cardsBeside(name, after)),
  ];
}

function showPanel() {
  const panel = one("panel");
  const pipeline = state.node < 0 && !state.card && state.pipeline >= 0 ? graph.pipelines[state.pipeline] : null;
  const parts = state.node >= 0 ? nodePanel(state.node) : state.card ? cardPanel(state.card) : pipeline ? [make("h2", {}, pipeline.id), pipelineFacts(pipeline)] : [];
  const was = panel.hidden;
  panel.hidden = !parts.length || state.view !== "map";
  document.body.classList.toggle("with-panel", !panel.hidden);
  panel.replaceChildren(...(parts.length ? [button("×", () => go(back()), { className: "close", "aria-label": "Close the details" })] : []), ...parts.flat().filter(Boolean));
  return was !== panel.hidden;
}
