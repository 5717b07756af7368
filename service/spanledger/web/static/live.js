// The event stream as rows. New rows come at the top; while the reader has scrolled down or paused, they wait.
const table = document.querySelector("#events tbody");
const state = document.getElementById("live-state");
const pause = document.getElementById("live-pause");
const waitingLabel = document.getElementById("live-waiting");
const MOST_ROWS = 300;
const MOST_WAITING = 2000;
const waiting = [];
const flights = new Map();
let missed = 0;
let paused = false;
let drawing = false;

const source = new EventSource(document.getElementById("events").dataset.stream);
source.onopen = () => say("connected", "good");
source.onerror = () => say(source.readyState === EventSource.CLOSED ? "ended" : "reconnecting", "bad");
const TYPES = ["workflow_started", "node_started", "node_completed", "model_response", "tool_called", "workflow_progress", "workflow_completed", "workflow_failed", "limit_exceeded", "security", "audit", "health", "usage"];
for (const type of TYPES) source.addEventListener(type, (event) => take(JSON.parse(event.data)));

pause.hidden = false;
pause.addEventListener("click", () => {
  paused = !paused;
  pause.textContent = paused ? "Continue" : "Pause";
  draw();
});
addEventListener("scroll", draw, { passive: true });

function say(text, kind) {
  state.textContent = text;
  state.className = `chip ${kind}`;
}

function take(event) {
  follow(event);
  waiting.push(event);
  if (waiting.length > MOST_WAITING) missed += waiting.splice(0, waiting.length - MOST_WAITING).length;
  draw();
}

function draw() {
  if (drawing) return;
  drawing = true;
  setTimeout(() => {
    drawing = false;
    const held = paused || scrollY > 300;
    const some = waiting.length + missed;
    waitingLabel.textContent = held && some ? `${some} waiting${paused ? "" : "; scroll up to see them"}` : "";
    if (!held && waiting.length) show();
    drawFlights();
  }, 200);
}

function show() {
  document.getElementById("no-events").hidden = true;
  const rows = waiting.splice(0).slice(-MOST_ROWS).reverse().map(row);
  missed = 0;
  table.prepend(...rows);
  while (table.rows.length > MOST_ROWS) table.deleteRow(-1);
}

function row(event) {
  const line = document.createElement("tr");
  line.className = "live-row";
  line.dataset.id = event.span_id ?? event.trace_id ?? "";
  const failed = event.type === "workflow_failed" || event.status === "error" || event.type === "limit_exceeded";
  line.append(
    cell(link(event.at.slice(11, 23), event.trace_id && `/traces/${encodeURIComponent(event.trace_id)}`)),
    cell(chip(event.type.replaceAll("_", " "), failed)),
    cell(link(event.user_id ?? "", event.user_id && `/users/${encodeURIComponent(event.user_id)}`), "opt"),
    cell(link(event.conversation_id ?? "", event.conversation_id && `/conversations/${encodeURIComponent(event.conversation_id)}`), "opt"),
    cell(event.tool ?? event.model ?? event.node ?? event.detail ?? event.workflow ?? "", "wide"),
    cell(event.tokens ?? "", "n"),
    cell(event.cost === undefined ? "" : `$${event.cost}`, "n"),
  );
  return line;
}

function cell(content, kind = "") {
  const made = document.createElement("td");
  made.className = kind;
  made.append(content);
  return made;
}

function link(text, href) {
  if (!href) return text;
  const made = document.createElement("a");
  made.href = href;
  made.textContent = text;
  return made;
}

function chip(text, failed) {
  const made = document.createElement("span");
  made.className = failed ? "chip bad" : "chip";
  made.textContent = text;
  return made;
}

// Workflows that have begun and not ended, with how far they have come.
function follow(event) {
  if (!event.message_id) return;
  if (event.type === "workflow_started") flights.set(event.message_id, { ...event, nodes: 0, tokens: 0 });
  const flight = flights.get(event.message_id);
  if (!flight) return;
  if (event.type === "workflow_progress") Object.assign(flight, { nodes: event.nodes_completed, tokens: event.tokens });
  if (event.type === "workflow_completed" || event.type === "workflow_failed") flights.delete(event.message_id);
}

function drawFlights() {
  const list = document.getElementById("flights");
  document.getElementById("no-flights").hidden = flights.size > 0;
  list.replaceChildren(
    ...[...flights.values()].slice(-20).map((flight) => {
      const line = document.createElement("li");
      line.append(link(flight.workflow ?? "workflow", `/traces/${encodeURIComponent(flight.trace_id)}`), ` of ${flight.user_id ?? "somebody"}: ${flight.nodes} nodes, ${flight.tokens} tokens, since ${flight.at.slice(11, 19)}`);
      return line;
    }),
  );
}
