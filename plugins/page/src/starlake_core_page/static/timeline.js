// Runs: a table of them, and one of them as bars over time.
const MOST_RUNS = 200;
let onlyTrouble = false;
let tasksShown = ROWS;

function chosenRun() {
  return runs.find((run) => run.id === state.run) ?? null;
}

function runTable() {
  const rows = runs.slice(0, MOST_RUNS).map((run) => {
    const tally = new Map();
    for (const word of run.tasks.state) tally.set(word, (tally.get(word) ?? 0) + 1);
    return make("tr", { className: run.id === state.run ? "current" : "" },
      make("td", {}, button(run.id, () => go({ run: run.id }), { className: "link" })),
      make("td", {}, graph.pipelines[run.pipeline].id),
      make("td", {}, badge(run.state)),
      make("td", {}, moment(run.until)),
      make("td", {}, moment(run.started)),
      make("td", {}, took(run)),
      make("td", {}, [...tally].map(([word, number]) => `${number} ${word}`).join(", ")),
      make("td", {}, run.reason));
  });
  const head = ["run", "pipeline", "state", "scheduled date", "started", "time", "tasks", "reason"].map((name) => make("th", { scope: "col" }, name));
  return make("table", { className: "wide" }, make("thead", {}, make("tr", {}, head)), make("tbody", {}, rows));
}

const milliseconds = (iso) => (iso ? Date.parse(iso) : NaN);
const took = (run) => (run.started && run.ended ? seconds((milliseconds(run.ended) - milliseconds(run.started)) / 1000) : run.started ? "unfinished" : "");

function showRuns() {
  const run = chosenRun();
  const parts = runs.length ? [make("h2", {}, "Runs"), runTable()] : [make("p", {}, "No run is recorded. Start one with: starlake-orchestrate run PATHS")];
  if (graph.mayRun) parts.unshift(button("Run all pipelines now", startRun));
  if (run) parts.unshift(...oneRun(run), make("hr"));
  one("timeline").replaceChildren(...parts);
}

const largest = (numbers) => numbers.reduce((most, number) => Math.max(most, number), -Infinity); // any number of them
// What runs has taken until now, or until this page was made.
const lookedAt = () => (graph.live ? Date.now() : milliseconds(graph.made));

function oneRun(run) {
  const tasks = run.tasks;
  const starts = tasks.started.map(milliseconds);
  const times = tasks.seconds.map((value, index) => (tasks.state[index] === "running" && starts[index] ? Math.max(0, (lookedAt() - starts[index]) / 1000) : value));
  const began = starts.filter((at) => !Number.isNaN(at)); // a run is recorded when it is planned, maybe long before
  const begin = began.length ? -largest(began.map((at) => -at)) : 0;
  const end = largest(starts.map((at, index) => (Number.isNaN(at) ? 0 : at + times[index] * 1000)).concat(milliseconds(run.ended) || 0, begin + 1));
  const critical = new Set(run.critical);
  const trouble = (index) => !["success", "skipped", "excluded"].includes(tasks.state[index]) || tasks.reason[index] !== undefined;
  const rank = tasks.path.map((_, index) => index).filter((index) => !onlyTrouble || trouble(index));
  rank.sort((a, b) => (Number.isNaN(starts[a]) ? Infinity : starts[a]) - (Number.isNaN(starts[b]) ? Infinity : starts[b]) || a - b);
  const rows = rank.slice(0, tasksShown).flatMap((index) => {
    const state_ = tasks.state[index];
    const known = !Number.isNaN(starts[index]);
    const bar = make("span", { className: `bar ${statusOf(state_)}${critical.has(tasks.path[index]) ? " critical" : ""}`, style: { left: `${known ? ((starts[index] - begin) / (end - begin)) * 100 : 0}%`, width: `${Math.max(0.3, ((times[index] * 1000) / (end - begin)) * 100)}%` } });
    const node = places.get(`${run.pipeline} ${tasks.path[index]}`)?.[0];
    const groups_ = tasks.path[index].split(".");
    const name = groups_.pop();
    const title = [node === undefined ? make("span", {}, name) : button(name, () => pick(node), { className: "link" }), groups_.length ? make("small", { className: "muted" }, groups_.join(" / ")) : null].filter(Boolean);
    const log = tasks.log[index];
    const logRow = log ? make("tr", { className: "log" }, make("td", { colSpan: 6 }, make("details", {}, make("summary", {}, `End of the log of ${name}`), make("pre", { tabIndex: 0 }, log)))) : null;
    const row = make("tr", { className: critical.has(tasks.path[index]) ? "on-critical" : "" },
      make("td", { className: "task", title: tasks.path[index] }, title),
      make("td", {}, badge(state_)),
      make("td", { className: "lane" }, times[index] ? bar : ""),
      make("td", { className: "number" }, times[index] ? seconds(times[index]) : ""),
      make("td", { className: "number" }, tasks.attempts[index] > 1 ? `${tasks.attempts[index]} attempts` : ""),
      make("td", { className: "why" }, tasks.reason[index] ?? ""));
    return logRow ? [row, logRow] : [row];
  });
  const toggle = make("input", { type: "checkbox", checked: onlyTrouble, onchange: (event) => ((onlyTrouble = event.target.checked), showRuns()) });
  const path = run.critical.length ? `Critical path: ${run.critical.map((name) => name.split(".").at(-1)).join(" → ")}` : "";
  return [
    make("h2", {}, `${graph.pipelines[run.pipeline].id} `, badge(run.state)),
    make("p", {}, [run.id, run.until ? `for ${moment(run.from)} to ${moment(run.until)}` : "", run.started ? `started ${moment(run.started)}` : "", took(run)].filter(Boolean).join(" · ")),
    run.reason ? make("p", { className: "reason" }, run.reason) : null,
    path ? make("p", { className: "muted" }, path) : null,
    make("label", { className: "check" }, toggle, " only what failed, was skipped or waits"),
    make("table", { className: "wide lanes" }, make("thead", {}, make("tr", {}, ["task", "state", "when", "time", "", "why"].map((name) => make("th", { scope: "col" }, name)))), make("tbody", {}, rows)),
    rank.length > tasksShown ? button(`Show all ${rank.length} tasks`, () => ((tasksShown = Infinity), showRuns())) : null,
  ].filter(Boolean);
}

function applyRun() {
  const run = chosenRun();
  overlay(run ? [run] : latestRuns());
}

function showRunChoice() {
  const place = one("run-choice");
  if (!runs.length) return place.replaceChildren();
  const options = [make("option", { value: "" }, "last runs"), ...runs.slice(0, MOST_RUNS).map((run) => make("option", { value: run.id }, `${graph.pipelines[run.pipeline].id} ${moment(run.started).slice(0, 19)} ${run.state}`))];
  const choice = make("select", { onchange: (event) => go({ run: event.target.value }), "aria-label": "Run" }, options);
  choice.value = chosenRun() ? state.run : "";
  place.replaceChildren(choice);
}
