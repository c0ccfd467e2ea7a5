// The line to the daemon: events as long as it lives, and words where it does not.

let events;
let heard;
let lostAt;
let retry;

const address = (path) => new URL(path, location.origin);

function connect() {
  clearTimeout(retry);
  events?.close();
  heard = Date.now();
  events = new EventSource(address("/v1/events"));
  events.addEventListener("state", ({ data }) => {
    state = JSON.parse(data);
    heard = Date.now();
    ahead = state.now_ms - heard;
    version ??= state.status.version;
    // Another daemon has another page.
    if (version !== state.status.version) return location.reload();
    found();
    show();
  });
  events.onerror = () => {
    lose("The daemon does not answer.");
    // Browsers try again by themselves after a broken line, but not after a refusal.
    if (events.readyState === EventSource.CLOSED) {
      retry = setTimeout(connect, AGAIN);
      explain();
    }
  };
}

// Why there are no events.
async function explain() {
  try {
    const answer = await fetch(address("/v1/status"), { cache: "no-store" });
    if (answer.ok) return lose("The daemon answers, but has no room for one more page: close another one.");
    const { error } = await answer.json();
    lose(`The daemon refuses: ${oneLine(error)}.`);
  } catch { /* it is away, as was said */ }
}

function found() {
  lostAt = undefined;
  id("lost").hidden = true;
  main.classList.remove("stale");
  setLine("live", "live");
}

function lose(why) {
  lostAt ??= Date.now();
  const since = state ? `What is below was so at ${clock(heard)}. ` : "";
  const text = `Disconnected. ${why} ${since}Trying again.`;
  if (id("lost").textContent !== text) id("lost").textContent = text;
  id("lost").hidden = false;
  main.classList.add("stale");
  setLine("lost", `disconnected for ${lasting(Math.max(1000, Date.now() - lostAt))}`);
  if (!state) {
    id("verdict").className = "connecting";
    id("verdict").querySelector("h2").textContent = "Nothing is known";
  }
  showMark([], true);
}

function setLine(kind, text) {
  const line = id("line");
  if (line.className !== kind) line.className = kind;
  if (line.textContent !== text) line.textContent = text;
}

// Every second: ages go on, and a line that has died in silence is noticed.
function everySecond() {
  document.querySelectorAll("time[data-ms]").forEach(tick);
  if (lostAt !== undefined) setLine("lost", `disconnected for ${lasting(Math.max(1000, Date.now() - lostAt))}`);
  if (Date.now() - heard > DEAD) {
    lose(`Nothing was heard for ${lasting(Date.now() - heard)}.`);
    connect();
  }
}

for (const button of document.querySelectorAll("#hosts th button")) {
  button.addEventListener("click", () => {
    const { by } = button.dataset;
    const up = sorting.by === by ? !sorting.up : by === "server";
    Object.assign(sorting, { by, up });
    for (const head of document.querySelectorAll("#hosts th")) head.removeAttribute("aria-sort");
    button.closest("th").setAttribute("aria-sort", up ? "ascending" : "descending");
    if (state) show();
  });
}
id("all").addEventListener("click", () => {
  sorting.all = !sorting.all;
  if (state) show();
});
new ResizeObserver(() => { if (state) showPlot(); }).observe(body("changes"));
addEventListener("pageshow", (event) => { if (event.persisted) connect(); });
addEventListener("online", connect);
setInterval(everySecond, 1000);
connect();
