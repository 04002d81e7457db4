// What is drawn: a scene is a list of items and of links between them, made from the state of the page alone.
const WHOLE = 150; // up to this many nodes, the whole graph is drawn first
const CAP = 60; // and this many at most around one node
const EVERYTHING = 5000; // the most that "everything" draws
const CARDS = 150;
const NEAR = 12; // cards beside the tables of a card
const [NODE_WIDTH, NODE_HEIGHT, CARD_WIDTH, CARD_HEIGHT] = [204, 34, 210, 62];

// The order in which a person looks for names: 2 before 10.
const inOrder = new Intl.Collator("en", { numeric: true }).compare;

const state = {
  view: "map",
  group: "", // cards of "domain" or "pipeline"; empty to draw tables
  card: "",
  node: -1,
  path: null,
  found: "", // a query of which all hits are drawn
  hops: 2,
  everything: false,
  hidden: new Set(), // kinds
  pipeline: -1,
  tag: "",
  status: "",
  query: "",
  column: "", // of the chosen node
  run: "",
  theme: "",
};

const shownNode = (node) =>
  !state.hidden.has(kindOf(node)) &&
  (state.pipeline < 0 || pipelinesOf(node).includes(state.pipeline)) &&
  (!state.tag || tagsOf(node).includes(state.tag)) &&
  (!state.status || nodeState(node) === state.status || (state.status === "failed" && nodeState(node) === "blocked"));
const all = () => graph.nodes.name.map((_, node) => node).filter(shownNode);
const small = () => count <= WHOLE;
const grouping = () => state.group || (small() ? "" : "domain");

const together = () => find(state.found).nodes;

function scene() {
  if (state.path) return around(between(...state.path), "path");
  if (state.found) return around(together().slice(0, CAP), "set", together().length - CAP);
  if (state.node >= 0 && (!small() || state.hops > 0)) return focus();
  if (state.everything) return whole(true);
  if (grouping() && state.card) return inCard();
  if (grouping()) return cards();
  return whole(false);
}

const item = (node, x = 0, y = 0) => ({ id: `n${node}`, node, x, y, width: NODE_WIDTH, height: NODE_HEIGHT });
const link = (one, other) => ({ id: `${one}-${other}`, from: `n${one}`, to: `n${other}`, order: ordered.has(`${one} ${other}`) });

function linksAmong(nodes) {
  const among = new Set(nodes);
  return nodes.flatMap((node) => after[node].filter((other) => among.has(other)).map((other) => link(node, other)));
}

function whole(everything) {
  const nodes = all().slice(0, EVERYTHING);
  const items = nodes.map((node) => item(node, graph.nodes.x[node], graph.nodes.y[node]));
  return { kind: everything ? "everything" : "whole", items, links: linksAmong(nodes), fixed: true };
}

function around(nodes, kind, more = 0) {
  const kept = nodes.filter(shownNode);
  const made = { kind, items: kept.map((node) => item(node)), links: linksAmong(kept), fixed: false };
  if (more > 0) made.items.push({ id: "more", more, text: `+${more} more in the list`, width: NODE_WIDTH, height: NODE_HEIGHT });
  return made;
}

function focus() {
  const hops = state.hops === 0 ? 2 : state.hops;
  const sides = [upstream(state.node, hops), downstream(state.node, hops)];
  const kept = new Map([[state.node, 0]]);
  const left = [];
  for (const [side, found] of sides.entries()) {
    const room = side === 0 ? Math.max(CAP / 2, CAP - sides[1].size) : CAP - kept.size + 1;
    const near = [...found.keys()].filter((node) => node !== state.node && shownNode(node));
    for (const node of near.slice(0, room)) kept.set(node, found.get(node));
    left.push(near.length - Math.min(near.length, room));
  }
  const nodes = [...kept.keys()];
  const made = { kind: "focus", items: nodes.map((node) => item(node)), links: linksAmong(nodes), fixed: false };
  left.forEach((more, side) => {
    if (!more) return;
    const id = side ? "more-down" : "more-up";
    made.items.push({ id, more, side, text: `+${more} more ${side ? "downstream" : "upstream"}`, width: NODE_WIDTH, height: NODE_HEIGHT });
    made.links.push({ id: `${id}-`, from: side ? `n${state.node}` : id, to: side ? id : `n${state.node}`, order: true });
  });
  return made;
}

// ---- cards of domains or pipelines

const groupsOf = (node) => (grouping() === "pipeline" ? pipelinesOf(node).map((pipeline) => graph.pipelines[pipeline].id) : [domainOf(node)]);
const groupOf = (node) => groupsOf(node)[0] ?? "external";

function groups() {
  const found = new Map();
  for (const node of all()) {
    const name = groupOf(node);
    if (!found.has(name)) found.set(name, []);
    found.get(name).push(node);
  }
  return found;
}

function cardItem(name, nodes) {
  const states = nodes.map(nodeState);
  const failed = states.filter((status) => status === "failed" || status === "blocked").length;
  const status = failed ? "failed" : states.includes("running") ? "running" : states.includes("success") ? "success" : states.find((one) => one) || "";
  const kinds = graph.kinds.map((_, kind) => nodes.filter((node) => graph.nodes.kind[node] === kind).length);
  const text = `${name}\n${nodes.length} table${nodes.length === 1 ? "" : "s"}${failed ? ` · ${failed} failed` : ""}`;
  return { id: `g${name}`, card: name, nodes, text, status, kinds, x: 0, y: 0, width: CARD_WIDTH, height: CARD_HEIGHT };
}

// The other cards that feed a card, or that it feeds.
function cardsBeside(name, next) {
  const found = new Set((groups().get(name) ?? []).flatMap((node) => next[node].filter(shownNode).map(groupOf)));
  found.delete(name);
  return [...found].sort(inOrder);
}

function cards() {
  const found = groups();
  const names = [...found.keys()].sort((one, other) => found.get(other).length - found.get(one).length || inOrder(one, other)).slice(0, CARDS);
  const kept = new Set(names);
  const weight = new Map();
  for (const [name, nodes] of found)
    for (const node of nodes)
      for (const other of after[node]) {
        const to = groupOf(other);
        if (to !== name && kept.has(name) && kept.has(to) && shownNode(other)) weight.set(`${name}\n${to}`, (weight.get(`${name}\n${to}`) ?? 0) + 1);
      }
  const items = names.map((name) => cardItem(name, found.get(name)));
  gridOf(items, weight);
  // Many links would hide the cards: the weaker ones are seen when the pointer is on one of their cards.
  const strong = new Set([...weight].sort((one, other) => other[1] - one[1] || (one[0] < other[0] ? -1 : 1)).slice(0, Math.ceil(names.length * 1.5)).map(([pair]) => pair));
  const links = [...weight].map(([pair, number]) => {
    const [one, other] = pair.split("\n");
    return { id: `c${pair}`, from: `g${one}`, to: `g${other}`, number, weak: !strong.has(pair) };
  });
  return { kind: "cards", items, links, fixed: true, hiddenCards: found.size - names.length };
}

// Columns by how far right the tables of a card are, and rows by the mean row of the cards that a card is linked with.
function gridOf(items, weight) {
  const depth = (card) => card.nodes.reduce((sum, node) => sum + graph.nodes.x[node], 0) / card.nodes.length;
  const wide = Math.max(1, Math.round(Math.sqrt(items.length * 0.55)));
  const high = Math.ceil(items.length / wide);
  const sorted = [...items].sort((one, other) => depth(one) - depth(other) || inOrder(one.card, other.card));
  const row = new Map();
  for (let column = 0; column * high < sorted.length; column++) {
    const cells = sorted.slice(column * high, (column + 1) * high);
    const wanted = (card) => {
      let [sum, total] = [0, 0];
      for (const [pair, number] of weight) {
        const [one, other] = pair.split("\n");
        const near = one === card.card ? other : other === card.card ? one : null;
        if (near !== null && row.has(near)) [sum, total] = [sum + row.get(near) * number, total + number];
      }
      return total ? sum / total : high / 2;
    };
    const rank = new Map(cells.map((card) => [card, wanted(card)]));
    cells.sort((one, other) => rank.get(one) - rank.get(other) || inOrder(one.card, other.card));
    cells.forEach((card, at) => {
      row.set(card.card, at);
      [card.x, card.y] = [column * (CARD_WIDTH + 90), at * (CARD_HEIGHT + 30)];
    });
  }
}

// The tables of one card; what they exchange data with stays in cards.
function inCard() {
  const found = groups();
  const own = found.get(state.card) ?? [];
  const nodes = own.slice(0, CAP);
  const among = new Set(nodes);
  const made = { kind: "card", items: nodes.map((node) => item(node)), links: linksAmong(nodes), fixed: false };
  const near = new Set();
  const links = new Map();
  for (const node of nodes)
    for (const [side, others] of [before[node], after[node]].entries())
      for (const other of others) {
        const name = groupOf(other);
        if (among.has(other) || name === state.card || !shownNode(other)) continue;
        near.add(name);
        const [from, to] = side ? [`n${node}`, `g${name}`] : [`g${name}`, `n${node}`];
        links.set(`${from} ${to}`, { id: `${from} ${to}`, from, to, order: false });
      }
  // More of them than that would be a tangle; the panel has them all.
  if (near.size <= NEAR) {
    for (const name of near) made.items.push(cardItem(name, found.get(name)));
    made.links.push(...[...links.values()].filter((one) => !links.has(`${one.to} ${one.from}`) || one.from.startsWith("g")));
  }
  if (own.length > CAP) made.items.push({ id: "more", more: own.length - CAP, text: `+${own.length - CAP} more in the list`, width: NODE_WIDTH, height: NODE_HEIGHT });
  return made;
}

// ---- positions of what has none: dagre, for at most a few dozen items

function arrange(made) {
  if (made.fixed || !made.items.length) return made;
  const linked = new Set(made.links.flatMap((one) => (one.from === one.to ? [] : [one.from, one.to])));
  const drawing = new dagre.graphlib.Graph();
  drawing.setGraph({ rankdir: "LR", ranker: "tight-tree", nodesep: 14, ranksep: 84 });
  drawing.setDefaultEdgeLabel(() => ({}));
  for (const one of made.items) if (linked.has(one.id)) drawing.setNode(one.id, { width: one.width, height: one.height });
  for (const one of made.links) if (one.from !== one.to) drawing.setEdge(one.from, one.to);
  if (linked.size) dagre.layout(drawing);
  let bottom = -Infinity;
  for (const one of made.items)
    if (linked.has(one.id)) {
      ({ x: one.x, y: one.y } = drawing.node(one.id));
      bottom = Math.max(bottom, one.y + one.height);
    }
  const single = made.items.filter((one) => !linked.has(one.id));
  const wide = Math.max(1, linked.size ? 4 : Math.round(Math.sqrt(single.length / 3)));
  single.forEach((one, at) => {
    one.x = CARD_WIDTH / 2 + (at % wide) * (CARD_WIDTH + 20);
    one.y = (linked.size ? bottom + 30 : 0) + Math.floor(at / wide) * (CARD_HEIGHT - 14);
  });
  return made;
}
