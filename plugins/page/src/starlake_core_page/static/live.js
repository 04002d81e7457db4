// Follows runs as they go. The server sends a run whenever something in it changed.
function follow() {
  if (!graph.live) return;
  const source = new EventSource("events");
  source.addEventListener("run", (event) => {
    const run = JSON.parse(event.data);
    const at = runs.findIndex((known) => known.id === run.id);
    if (at < 0) runs.unshift(run);
    else runs[at] = run;
    refreshRuns();
    say(`${graph.pipelines[run.pipeline].id}: ${run.state}`);
  });
  source.addEventListener("forgotten", (event) => {
    runs = runs.filter((run) => run.id !== JSON.parse(event.data));
    refreshRuns();
  });
  source.addEventListener("changed", () => location.reload());
  source.onopen = () => notice("");
  source.onerror = () => notice("The server has ended or cannot be reached; what you see is the last that it said.");
}

function startRun() {
  fetch("run", { method: "POST" }).then(
    (answer) => say(answer.status === 409 ? "A run goes on already" : answer.ok ? "A run has started" : "The run cannot be started"),
    () => notice("The server cannot be reached."),
  );
}

function refreshRuns() {
  applyRun();
  showRunChoice();
  if (state.view === "runs") showRuns();
  else if (state.view === "list") showList();
  else {
    draw(true);
    showPanel();
  }
  showFilters();
}
