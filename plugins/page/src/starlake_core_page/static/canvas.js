// Draws scenes on the canvas.
let cy = null;
let drawn = { kind: "", items: [], links: [] };
const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// Marks of states differ by shape as well as by colour. They are fixed drawings, so no text of the data is in them.
const MARKS = {
  success: '<path d="M3 8.5l3.5 3.5L13 4.5"/>',
  failed: '<path d="M3.5 3.5l9 9M12.5 3.5l-9 9"/>',
  blocked: '<circle cx="8" cy="8" r="5.6"/><path d="M4 12L12 4"/>',
  skipped: '<path d="M3 8h10"/>',
  running: '<circle cx="8" cy="8" r="5.4" stroke-dasharray="3 2.4"/>',
  waiting: '<path d="M3.4 8h.2M8 8h.2M12.6 8h.2"/>',
};
const mark = (status) => {
  const drawing = `<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 16 16" fill="none" stroke="${colour(status)}" stroke-width="2.2" stroke-linecap="round">${MARKS[status]}</svg>`;
  return `data:image/svg+xml;utf8,${encodeURIComponent(drawing)}`;
};

function kindBar(kinds) {
  const total = kinds.reduce((sum, number) => sum + number, 0) || 1;
  let at = 8;
  const parts = kinds.map((number, kind) => {
    const width = (number / total) * (CARD_WIDTH - 16);
    const part = width ? `<rect x="${at.toFixed(1)}" y="${CARD_HEIGHT - 8}" width="${width.toFixed(1)}" height="4" fill="${colour(graph.kinds[kind])}"/>` : "";
    at += width;
    return part;
  });
  const drawing = `<svg xmlns="http://www.w3.org/2000/svg" width="${CARD_WIDTH}" height="${CARD_HEIGHT}">${parts.join("")}</svg>`;
  return `data:image/svg+xml;utf8,${encodeURIComponent(drawing)}`;
}

function styles() {
  const [text, page, panel, edge, muted] = ["text", "page", "panel", "edge", "muted"].map(colour);
  const base = {
    shape: "round-rectangle",
    width: "data(width)",
    height: "data(height)",
    "background-color": panel,
    "border-width": 1,
    "border-color": colour("line"),
    label: "data(label)",
    color: text,
    "font-family": "system-ui, sans-serif",
    "font-size": 13,
    "text-valign": "center",
    "text-halign": "center",
    "text-wrap": "ellipsis",
    "text-max-width": NODE_WIDTH - 44,
    "min-zoomed-font-size": 5,
  };
  const strip = graph.kinds.map((kind) => ({
    selector: `node.${kind}`,
    style: {
      "background-fill": "linear-gradient",
      "background-gradient-direction": "to-right",
      "background-gradient-stop-colors": [colour(kind), colour(kind), panel, panel],
      "background-gradient-stop-positions": ["0%", "3%", "3%", "100%"],
    },
  }));
  const marks = Object.keys(MARKS).map((status) => ({
    selector: `node.${status}`,
    style: { "background-image": mark(status), "background-width": 15, "background-height": 15, "background-position-x": "97%", "background-position-y": "50%", "background-clip": "none" },
  }));
  return [
    { selector: "node", style: base },
    ...strip,
    { selector: "node.step", style: { "background-fill": "solid", "background-color": page, "border-style": "dashed", color: muted, "font-style": "italic" } },
    { selector: "node.external", style: { "border-style": "dashed", "border-color": colour("external") } },
    ...marks,
    { selector: "node.card", style: { "font-size": 15, "text-wrap": "wrap", "text-max-width": CARD_WIDTH - 44, "line-height": 1.25, "background-image": "data(images)", "background-fit": "none", "background-width": "data(widths)", "background-height": "data(heights)", "background-position-x": "data(xs)", "background-position-y": "data(ys)", "background-clip": "none" } },
    { selector: "node.more", style: { "border-style": "dashed", color: muted, "font-style": "italic" } },
    { selector: "edge", style: { width: 1.4, "line-color": edge, "target-arrow-color": edge, "target-arrow-shape": "triangle", "arrow-scale": 0.8, "curve-style": "unbundled-bezier", "edge-distances": "endpoints", "control-point-distances": (one) => bend(one).distances, "control-point-weights": (one) => bend(one).weights, "source-endpoint": "90deg", "target-endpoint": "270deg" } },
    { selector: "edge.back", style: { "curve-style": "bezier", "source-endpoint": "outside-to-node", "target-endpoint": "outside-to-node" } },
    { selector: "edge.order", style: { "line-style": "dashed" } },
    { selector: "edge.between", style: { width: "data(width)", "curve-style": "straight", "source-endpoint": "outside-to-node", "target-endpoint": "outside-to-node", opacity: 0.28 } },
    { selector: "edge.faint", style: { opacity: 0.35 } },
    { selector: "edge.plain", style: { "curve-style": "haystack", "target-arrow-shape": "none", width: 0.8, opacity: 0.5 } },
    { selector: ".dim", style: { opacity: 0.16 } },
    { selector: "edge.lit", style: { width: 2.2, "line-color": text, "target-arrow-color": text, opacity: 1, "z-index": 9 } },
    { selector: "node.hit", style: { "border-width": 2.5, "border-color": colour("focus") } },
    { selector: "node.chosen", style: { "border-width": 3.5, "border-color": text, "border-style": "solid" } },
    { selector: "core", style: { "active-bg-opacity": 0, "selection-box-opacity": 0 } },
  ];
}

// Two control points that leave the source and reach the target in the direction of the columns.
function bend(edge) {
  const [one, other] = [edge.source(), edge.target()];
  const [dx, dy] = [other.position("x") - other.width() / 2 - one.position("x") - one.width() / 2, other.position("y") - one.position("y")];
  const length = Math.hypot(dx, dy) || 1;
  const half = Math.min(dx * 0.35, 160);
  const away = (-half * dy) / length;
  const along = (half * dx) / (length * length);
  return { distances: [away, -away], weights: [along, 1 - along] };
}

function element(one) {
  if (one.card !== undefined) {
    const images = [kindBar(one.kinds), ...(one.status ? [mark(one.status)] : [])];
    const marked = images.length > 1;
    return {
      group: "nodes",
      data: { id: one.id, label: one.text, width: one.width, height: one.height, card: one.card, images, widths: marked ? [CARD_WIDTH, 15] : [CARD_WIDTH], heights: marked ? [CARD_HEIGHT, 15] : [CARD_HEIGHT], xs: marked ? ["50%", "96%"] : ["50%"], ys: marked ? ["50%", "14%"] : ["50%"] },
      position: { x: one.x, y: one.y },
      classes: "card",
    };
  }
  if (one.more) return { group: "nodes", data: { id: one.id, label: one.text, width: one.width, height: one.height, side: one.side }, position: { x: one.x, y: one.y }, classes: "more" };
  const label = graph.domains.length > 1 && !(drawn.kind === "card" && grouping() === "domain") ? nameOf(one.node) : nameOf(one.node).split(".").slice(1).join(".") || nameOf(one.node);
  return { group: "nodes", data: { id: one.id, label, width: one.width, height: one.height, node: one.node }, position: { x: one.x, y: one.y }, classes: `${kindOf(one.node)} ${nodeState(one.node)}` };
}

function edgeElement(one, places, kind) {
  const [from, to] = [places.get(one.from), places.get(one.to)];
  const back = from && to && to.x <= from.x + from.width / 2 ? "back" : "";
  const faint = kind === "card" && (from?.card ?? to?.card) !== undefined ? "faint" : "";
  const classes = kind === "cards" ? "between" : kind === "everything" ? "plain" : `${back} ${faint} ${one.order ? "order" : ""}`;
  return { group: "edges", data: { id: `e${one.id}`, source: one.from, target: one.to, width: Math.min(1 + Math.sqrt(one.number ?? 1), 6) }, classes };
}

function draw(keepView = false) {
  if (!cy) startCanvas();
  const view = keepView ? { zoom: cy.zoom(), pan: { ...cy.pan() } } : null;
  const same = drawn.kind;
  drawn = arrange(scene());
  const places = new Map(drawn.items.map((one) => [one.id, one]));
  cy.batch(() => {
    cy.elements().remove();
    cy.add(drawn.items.map(element));
    cy.add(drawn.links.filter((one) => !one.weak && places.has(one.from) && places.has(one.to) && one.from !== one.to).map((one) => edgeElement(one, places, drawn.kind)));
    mute();
  });
  if (view && same === drawn.kind) cy.viewport(view);
  else fit(drawn.kind === "cards" || drawn.kind === "everything" ? 0 : READABLE);
}

function startCanvas() {
  cy = cytoscape({ container: document.getElementById("canvas"), style: styles(), minZoom: 0.03, maxZoom: 3, autoungrabify: true, boxSelectionEnabled: false, autounselectify: true, pixelRatio: "auto" });
  cy.on("tap", "node", (event) => {
    const data = event.target.data();
    if (data.node !== undefined) choose(data.node);
    else if (data.card !== undefined) openCard(data.card);
    else if (data.side !== undefined) setHops(99);
    else go({ view: "list" });
  });
  cy.on("tap", (event) => {
    if (event.target === cy && small() && !state.path && !state.found && state.hops === 0) choose(-1);
  });
  cy.on("mouseover", "node", (event) => {
    tip(event.target);
    if (drawn.kind === "cards") showWeak(event.target.id());
    if (["cards", "card", "everything"].includes(drawn.kind)) event.target.connectedEdges().addClass("lit");
  });
  cy.on("mouseout", "node", (event) => {
    tip(null);
    cy.elements(".passing").remove();
    event.target.connectedEdges().removeClass("lit");
  });
}

function showWeak(id) {
  const places = new Map(drawn.items.map((one) => [one.id, one]));
  const weak = drawn.links.filter((one) => one.weak && (one.from === id || one.to === id));
  cy.add(weak.map((one) => edgeElement(one, places, drawn.kind))).addClass("passing");
}

function tip(node) {
  document.getElementById("canvas").title = node && node.data("node") !== undefined ? nameOf(node.data("node")) : "";
}

// What is not found, or not on the way of the chosen table, is dimmed. A change of a style is dear, so only what differs
// is changed; the links between cards are faint as they are.
const WORN = ["dim", "hit", "chosen", "lit"];
function wear(one, ...names) {
  for (const name of WORN) {
    const on = names.includes(name);
    if (one.hasClass(name) !== on) one.toggleClass(name, on);
  }
}

function mute() {
  const chosen = (one) => (state.node >= 0 && one.data("node") === state.node ? "chosen" : "");
  if (state.query) {
    const hits = new Set(find(state.query).nodes);
    const cardsHit = new Set([...hits].map(groupOf));
    cy.nodes().forEach((one) => {
      const data = one.data();
      const found = data.node !== undefined ? hits.has(data.node) : data.card !== undefined && cardsHit.has(data.card);
      wear(one, found ? "hit" : "dim", chosen(one));
    });
    cy.edges().forEach((one) => wear(one, drawn.kind === "cards" ? "" : "dim"));
  } else if (state.node >= 0 && (drawn.kind === "whole" || state.column)) {
    const column = state.column ? [true, false].flatMap((up) => columnWay(state.node, state.column, up).map(([node]) => node)) : null;
    const way = column ? new Set([state.node, ...column]) : new Set([...upstream(state.node).keys(), ...downstream(state.node).keys()]);
    cy.nodes().forEach((one) => wear(one, way.has(one.data("node")) ? "" : "dim", chosen(one)));
    cy.edges().forEach((one) => wear(one, way.has(one.source().data("node")) && way.has(one.target().data("node")) ? "lit" : "dim"));
  } else {
    cy.nodes().forEach((one) => wear(one, chosen(one)));
    cy.edges().forEach((one) => wear(one));
  }
}

const repaint = () => cy && cy.style(styles()) && draw(true);

// Shows everything, beside the controls that lie on the canvas. At a least zoom that is not much: then the chosen table is
// in the middle, or the beginning on the left.
const READABLE = 0.6;
const ROOM = { top: 58, right: 64, bottom: 24, left: 24 };
function fit(least = 0) {
  cy.resize();
  const box = cy.elements().boundingBox({ includeOverlays: false });
  const [wide, high] = [cy.width() - ROOM.left - ROOM.right, cy.height() - ROOM.top - ROOM.bottom];
  if (!cy.nodes().length || wide <= 0 || high <= 0) return;
  const zoom = Math.min(1.25, Math.max(least, Math.min(wide / box.w, high / box.h)));
  const chosen = cy.getElementById(`n${state.node}`);
  const { x, y } = chosen.length ? chosen.position() : { x: box.x1 + Math.min(box.w, wide / zoom) / 2, y: (box.y1 + box.y2) / 2 };
  const middle = (from, to, space, wanted) => (to - from <= space / zoom ? (from + to) / 2 : Math.min(Math.max(wanted, from + space / zoom / 2), to - space / zoom / 2));
  cy.viewport({ zoom, pan: { x: ROOM.left + wide / 2 - middle(box.x1, box.x2, wide, x) * zoom, y: ROOM.top + high / 2 - middle(box.y1, box.y2, high, y) * zoom } });
}

function zoomBy(factor) {
  cy.zoom({ level: cy.zoom() * factor, renderedPosition: { x: cy.width() / 2, y: cy.height() / 2 } });
}
