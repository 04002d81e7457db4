// The list of results below the search field, and the table of everything.
const HITS = 30;
const ROWS = 500;

function showResults() {
  const list = one("results");
  if (!state.query) return list.replaceChildren();
  const { nodes, exact } = find(state.query);
  const items = nodes.slice(0, HITS).map((node) => make("li", {}, button([make("span", { className: `dot ${kindOf(node)}` }), nameOf(node), make("small", {}, kindOf(node))], () => pick(node), { className: "hit" })));
  if (exact && nodes.length > 1) items.unshift(make("li", {}, button(`Show these ${nodes.length} together`, () => showFound(), { className: "hit all" })));
  if (!nodes.length) items.push(make("li", { className: "muted" }, `Nothing is named ${state.query}.`));
  if (nodes.length > HITS) items.push(make("li", { className: "muted" }, `and ${nodes.length - HITS} more; the tab List has all`));
  list.replaceChildren(...items);
  say(nodes.length ? `${several(nodes.length, "result")}` : `Nothing is named ${state.query}`);
}

function showFound() {
  const { path, node } = find(state.query);
  if (path) go({ path, found: "", node: -1, query: "", view: "map" });
  else go({ found: state.query.trim(), path: null, node: node ?? -1, query: "", view: "map" });
}

const COLUMNS = [
  ["name", (node) => nameOf(node)],
  ["kind", (node) => kindOf(node)],
  ["domain", (node) => domainOf(node)],
  ["pipelines", (node) => pipelinesOf(node).map((index) => graph.pipelines[index].id).join(", ")],
  ["upstream", (node) => before[node].length],
  ["downstream", (node) => after[node].length],
  ["state", (node) => (runOf(node) ? runOf(node)[0].tasks.state[runOf(node)[1]] : "")],
  ["seconds", (node) => (runOf(node) ? runOf(node)[0].tasks.seconds[runOf(node)[1]] : "")],
];
let order = { column: 0, down: false };
let rowsShown = ROWS;

function showList() {
  const value = COLUMNS[order.column][1];
  const hits = state.query ? new Set(find(state.query).nodes) : null;
  const nodes = all().filter((node) => !hits || hits.has(node));
  nodes.sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    return ((typeof x === "string" && typeof y === "string" ? inOrder(x, y) : x < y ? -1 : x > y ? 1 : 0) || a - b) * (order.down ? -1 : 1);
  });
  const head = COLUMNS.map(([name], index) => {
    const sorted = order.column === index;
    const cell = make("th", { scope: "col" }, button(`${name}${sorted ? (order.down ? " ▾" : " ▴") : ""}`, () => ((order = { column: index, down: sorted && !order.down }), showList())));
    cell.setAttribute("aria-sort", sorted ? (order.down ? "descending" : "ascending") : "none");
    return cell;
  });
  const body = nodes.slice(0, rowsShown).map((node) => make("tr", {}, COLUMNS.map(([name, text]) => make("td", {}, name === "name" ? nodeButton(node) : name === "state" && text(node) ? badge(text(node)) : name === "seconds" && text(node) !== "" ? seconds(text(node)) : String(text(node))))));
  one("list").replaceChildren(
    make("p", { className: "muted" }, `${several(nodes.length, "table and task", "")}${nodes.length < count ? ` of ${count}` : ""}`),
    make("table", { className: "wide" }, make("thead", {}, make("tr", {}, head)), make("tbody", {}, body)),
    ...(nodes.length > rowsShown ? [button(`Show all ${nodes.length}`, () => ((rowsShown = Infinity), showList()))] : []),
  );
}
