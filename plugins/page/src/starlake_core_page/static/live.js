let lost = false;

// Follows runs as they go. The server sends a run whenever something in it changed.
function follow() {
  if (!graph.live) return;
  if (graph.trouble) notice(graph.trouble);
  const source = new EventSource(`events?version=${graph.version}&since=${graph.number}`);
  source.addEventListener("runs", (event) => {
    for (const run of JSON.parse(event.data)) {
      const at = runs.findIndex((known) => known.id === run.id);
      if (runs[at]?.state !== run.state) say(`${graph.pipelines[run.pipeline].id}: ${run.state}`);
      if (at < 0) runs.unshift(run);
      else runs[at] = run;
    }
    refreshRuns();
  });
  source.addEventListener("forgotten", (event) => {
    runs = runs.filter((run) => run.id !== JSON.parse(event.data));
    refreshRuns();
  });
  source.addEventListener("changed", () => {
    source.close();
    notice("The pipelines have changed. ", button("Show them", () => location.reload()));
  });
  source.addEventListener("trouble", (event) => notice(JSON.parse(event.data)));
  source.addEventListener("told", (event) => notice(JSON.parse(event.data)));
  source.onopen = () => lost && ((lost = false), notice(""));
  source.onerror = () => {
    lost = true;
    notice("The server has ended or cannot be reached; what you see is the last that it said.");
  };
  setInterval(() => state.view === "runs" && chosenRun()?.state === "running" && keeping(one("timeline"), showRuns), 2000);
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
  if (state.view === "runs") keeping(one("timeline"), showRuns);
  else if (state.view === "list") keeping(one("list"), showList);
  else {
    draw(true);
    keeping(one("panel"), showPanel);
  }
  showFilters();
}
