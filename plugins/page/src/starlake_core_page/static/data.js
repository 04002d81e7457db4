// The data of the page, and questions about the graph.
const read = (name) => JSON.parse(document.getElementById(`data-${name}`).textContent);
const FORMAT = 1;
let graph = { format: 0, nodes: { name: [] }, edges: [], pipelines: [], domains: [], tasks: { path: [] }, kinds: [] };
let runs = [];
let detailsRead = null;
const details = (node) => (detailsRead ??= read("details"))[node] ?? {};

let count = 0;
let before = [];
let after = [];
let ordered = new Set(); // edges that carry no data, as "from to"
let byName = new Map();
let lower = []; // names, for searching

function load() {
  graph = read("graph");
  if (graph.format !== FORMAT) throw new Error(`this page reads data of format ${FORMAT}, not ${graph.format}`);
  runs = read("runs");
  index();
}

function index() {
  count = graph.nodes.name.length;
  before = Array.from({ length: count }, () => []);
  after = Array.from({ length: count }, () => []);
  ordered = new Set();
  for (let at = 0; at < graph.edges.length; at += 3) {
    const [one, other, reads] = graph.edges.slice(at, at + 3);
    after[one].push(other);
    before[other].push(one);
    if (!reads) ordered.add(`${one} ${other}`);
  }
  lower = graph.nodes.name.map((name) => name.toLowerCase());
  byName = new Map(graph.nodes.name.map((name, node) => [name.toLowerCase(), node]));
  placeTasks();
}

const nameOf = (node) => graph.nodes.name[node];
const kindOf = (node) => graph.kinds[graph.nodes.kind[node]];
const domainOf = (node) => graph.domains[graph.nodes.domain[node]];
const pipelinesOf = (node) => graph.nodes.pipelines[node];
const tagsOf = (node) => [...graph.nodes.tags[node], ...pipelinesOf(node).flatMap((pipeline) => graph.pipelines[pipeline].tags ?? [])];

// ---- runs

const STATES = {
  success: "success",
  failed: "failed",
  interrupted: "failed",
  cancelled: "failed",
  "upstream failed": "blocked",
  skipped: "skipped",
  excluded: "skipped",
  running: "running",
  "up for retry": "running",
  "up for reschedule": "running",
  queued: "waiting",
  waiting: "waiting",
  planned: "waiting",
};
const statusOf = (state) => STATES[state] ?? "waiting";

let places = new Map(); // "pipeline path" of a task to the nodes that it makes
let nodeRun = []; // node to [run, index of the task in it]

function placeTasks() {
  const tasks = graph.tasks;
  places = new Map();
  graph.nodes.tasks.forEach((made, node) => {
    for (const index of made) {
      const key = `${tasks.pipeline[index]} ${tasks.path[index]}`;
      if (places.has(key)) places.get(key).push(node);
      else places.set(key, [node]);
    }
  });
  overlay([]);
}

function overlay(chosen) {
  lastFound = { query: null, result: null }; // status: finds others
  nodeRun = Array.from({ length: count }, () => null);
  for (const run of [...chosen].reverse())
    run.tasks.path.forEach((path, index) => {
      if (run.tasks.state[index] === "excluded") return;
      for (const node of places.get(`${run.pipeline} ${path}`) ?? []) nodeRun[node] = [run, index];
    });
}

const runOf = (node) => nodeRun[node];
const nodeState = (node) => (nodeRun[node] ? statusOf(nodeRun[node][0].tasks.state[nodeRun[node][1]]) : "");

function latestRuns() {
  const found = new Map(); // runs come with the newest first
  for (const run of runs) if (!found.has(run.pipeline)) found.set(run.pipeline, run);
  return [...found.values()];
}

// ---- the graph

function reach(start, next, most = Infinity) {
  const distance = new Map([[start, 0]]);
  const todo = [start];
  for (let at = 0; at < todo.length; at++) {
    const far = distance.get(todo[at]) + 1;
    if (far > most) continue;
    for (const other of next[todo[at]])
      if (!distance.has(other)) {
        distance.set(other, far);
        todo.push(other);
      }
  }
  return distance;
}
const upstream = (node, most) => reach(node, before, most);
const downstream = (node, most) => reach(node, after, most);

function between(one, other) {
  const on = (a, b) => {
    const up = upstream(b);
    return up.has(a) ? [...downstream(a).keys()].filter((node) => up.has(node)) : [];
  };
  const found = on(one, other);
  return found.length ? found : on(other, one);
}

// ---- the words of the search: names, filters, and the graph operators of dbt and Dagster

const FILTERS = Object.assign(Object.create(null), {
  kind: (node, value) => kindOf(node) === value,
  domain: (node, value) => domainOf(node).toLowerCase() === value,
  status: (node, value) => nodeState(node) === value || (runOf(node) && runOf(node)[0].tasks.state[runOf(node)[1]] === value),
  pipeline: (node, value) => pipelinesOf(node).some((pipeline) => graph.pipelines[pipeline].id.toLowerCase() === value),
  tag: (node, value) => tagsOf(node).some((tag) => tag.toLowerCase() === value),
});

let lastFound = { query: null, result: null };
function find(text) {
  const query = text.trim().toLowerCase();
  if (lastFound.query !== query) lastFound = { query, result: findNew(query) };
  return lastFound.result;
}

function findNew(query) {
  if (!query) return { nodes: [], exact: false };
  const ends = byName.has(query) ? [] : query.split("->").map((part) => byName.get(part.trim()));
  if (ends.length === 2 && ends.every((node) => node !== undefined)) return { nodes: between(...ends), exact: true, path: ends };
  const hops = /^(?:(\d*)(\+))?(.+?)(?:(\+)(\d*))?$/.exec(query);
  if (!byName.has(query) && hops && (hops[2] || hops[4]) && byName.has(hops[3])) {
    const node = byName.get(hops[3]);
    const far = (digits) => (digits ? Number(digits) : Infinity);
    const found = new Set([node]);
    if (hops[2]) for (const other of upstream(node, far(hops[1])).keys()) found.add(other);
    if (hops[4]) for (const other of downstream(node, far(hops[5])).keys()) found.add(other);
    return { nodes: [...found], exact: true, node };
  }
  let nodes = graph.nodes.name.map((_, node) => node);
  let exact = false;
  const words = byName.has(query) ? [query] : query.match(/(?:[a-z]+:)?"[^"]+"|\S+/g); // quotes hold a value with spaces together
  for (const quoted of words) {
    const word = byName.has(query) ? quoted : quoted.replace(/^([a-z]+:)?"([^"]+)"$/, "$1$2");
    const [, key, value] = (byName.has(query) ? null : /^([a-z]+):(.+)$/.exec(word)) ?? [];
    if (FILTERS[key]) exact = true;
    nodes = nodes.filter((node) => (FILTERS[key] ? FILTERS[key](node, value) : lower[node].includes(word)));
  }
  const start = words.at(-1);
  const best = [[], [], []]; // the name itself, the beginning of a word of it, the rest
  for (const node of nodes) {
    const name = lower[node];
    const at = name.indexOf(start);
    best[name === query ? 0 : at === 0 || (at > 0 && "._".includes(name[at - 1])) ? 1 : 2].push(node);
  }
  return { nodes: best.flat(), exact };
}
