// The page: what an event says goes to its places; what has not changed stays as it is.

const id = (name) => document.getElementById(name);
const main = id("main");

// Nothing is heard for longer than this only if the line is dead: the daemon speaks every ten seconds.
const DEAD = 25 * 1000;
const AGAIN = 3 * 1000;
const FEW = 12;
const LINES = 5;

let state;
let version;
const before = new Map();

// Whether this part of the state is news; while something in its place is selected, it waits.
function changed(place, ...parts) {
  const text = JSON.stringify(parts);
  const chosen = getSelection();
  const busy = chosen && !chosen.isCollapsed && id(place).contains(chosen.anchorNode);
  if (before.get(place) === text || busy) return false;
  before.set(place, text);
  return true;
}

const body = (place) => id(place).querySelector(".body");
const small = (place, text) => { id(place).querySelector("h2 small").textContent = text; };
const none = (text) => h("p", { class: "none" }, text);
const leftOut = (many, how) => (many > 0 ? h("p", { class: "more" }, `${count(many)} more; ${how} has them all`) : "");
const column = (text, kind) => h("th", { scope: "col", class: kind }, text);
const table = (columns, rows) => h("table", {}, h("thead", {}, h("tr", {}, columns)), h("tbody", {}, rows));
const numeral = (...children) => h("td", { class: "n" }, ...children);

function showHead({ status }) {
  id("name").textContent = oneLine(status.server_name);
  const upstream = status.upstream ? ` of ${oneLine(status.upstream.host)}` : "";
  const parts = [`${status.role}${upstream}, ${oneLine(status.program)} ${oneLine(status.version)}, up `];
  id("role").replaceChildren(...parts, age(status.started_ms, ""));
}

function showVerdict(all) {
  const of = (level) => all.filter((trouble) => trouble.level === level).length;
  const [alarms, warnings] = [of("alarm"), of("warning")];
  const words = [alarms && number(alarms, "alarm"), warnings && number(warnings, "warning")].filter(Boolean);
  const verdict = id("verdict");
  verdict.className = alarms ? "alarms" : warnings ? "warnings" : "good";
  verdict.querySelector("h2").textContent = words.join(", ") || "All is well";
  const marks = { alarm: "\u25a0", warning: "\u25b2", note: "\u2022" };
  verdict.querySelector("ul").replaceChildren(...all.map(({ level, text, where }) => {
    const mark = h("i", { class: "mark", role: "img", "aria-label": level }, marks[level]);
    return h("li", { class: level }, mark, h("a", { href: `#${where}` }, text));
  }));
}

// The window's title and mark: they are all that is seen of a page behind others.
function showMark(all, lost) {
  const level = lost ? "lost" : all.some((trouble) => trouble.level === "alarm") ? "alarm"
    : all.some((trouble) => trouble.level === "warning") ? "warning" : "good";
  const words = { lost: "disconnected", alarm: "ALARM", warning: "warnings", good: "ok" }[level];
  document.title = `${words} \u2013 ${state ? oneLine(state.status.server_name) : "mupdate"}`;
  const form = {
    good: "<circle cx='8' cy='8' r='6' fill='%231a9a3f'/>",
    warning: "<path d='M8 1 15 15H1z' fill='%23e0a100'/>",
    alarm: "<path d='M1 1h14v14H1z' fill='%23d1242f'/>",
    lost: "<circle cx='8' cy='8' r='6' fill='none' stroke='%23888' stroke-width='3'/>",
  }[level];
  const icon = `data:image/svg+xml,<svg xmlns='${SVG}' viewBox='0 0 16 16'>${form}<%2fsvg>`;
  const link = document.querySelector("link[rel=icon]");
  if (link.getAttribute("href") !== icon) link.setAttribute("href", icon);
}

function showFigures({ status }) {
  const figure = (term, value, more, warning) => h("div", {}, h("dt", {}, term),
    h("dd", { class: warning && "warning" }, value), more && h("dd", {}, more));
  const { writer, map, upstream } = status;
  const draining = status.draining.length;
  const all = [
    figure("mailboxes", count(status.active), `${count(status.reserved)} reserved`),
    figure("hosts", count(status.servers), draining ? `${count(draining)} draining` : "none draining"),
    figure("frontends", count(status.subscribers),
      status.behind ? `at most ${number(status.behind, "name")} behind` : "in step"),
    figure("connections", count(status.connections)),
    figure("changes", count(writer.changes), `of ${count(writer.actions)} asked for`),
    figure("refused", count(writer.refused), `${count(writer.denied)} for who asked, ${count(writer.held)} by a fuse`),
    figure("database", `${percent(map)} %`, `${octets(map.used)} of ${octets(map.size)}`, percent(map) > 80),
    status.disk_free !== undefined && figure("disk", octets(status.disk_free), "free"),
  ];
  if (upstream) {
    const lag = upstream.lag_ms === undefined ? "" : `lag ${lasting(upstream.lag_ms)}, `;
    const is = PARTS[upstream.state] ?? upstream.state;
    all.unshift(figure("follows", is, `${lag}for ${lasting(ago(upstream.since_ms))}`, upstream.state !== "following"));
  }
  id("figures").replaceChildren(...all.filter(Boolean));
}

function part(speaker) {
  const words = speaker.leads ? "leads" : "echoes";
  if (!speaker.stranger) return h("span", { class: `part ${words}` }, words);
  return h("span", { class: "part stranger" }, speaker.leads ? "leads, a stranger" : "a stranger");
}

function showPair(pair) {
  const said = pairTroubles(pair);
  const { lag, lead_changed_ms: since } = pair;
  const is = said.length ? "\u25b2 wants looking at" : lag ? "in step" : "no echo yet, and none is missing";
  const line = (kind, ...text) => h("p", { class: kind }, ...text);
  const parts = [
    h("h3", {}, name(pair.server), h("span", { class: "state" }, is), pair.declared && h("small", {}, "declared")),
    since !== undefined && line("", "the lead changed ", age(since), `, at ${clock(since)}`),
    ...said.map((text) => line("warning", text)),
    pair.waiting?.length > 0 && line("warning", pair.waiting.map(shown).join(", ")),
  ];
  if (lag) {
    const [half, most, all, last] = [lag.p50_ms, lag.p99_ms, lag.max_ms, lag.last_ms].map(lasting);
    const echoes = number(lag.count, "echo");
    parts.push(line("dim", `${echoes}: half within ${half}, 99 % within ${most}, all within ${all}; the last ${last}`));
  }
  const columns =
    [column("user"), column("part"), column("changes", "n wide"), column("echoes", "n wide"), column("last", "n")];
  const rows = pair.speakers.map((speaker) => h("tr", {},
    h("td", {}, who(speaker.user, speaker.address)), h("td", {}, part(speaker)),
    ...[speaker.changes, speaker.echoes].map((many) => h("td", { class: "n wide" }, count(many))),
    numeral(age(speaker.last_ms))));
  parts.push(rows.length ? table(columns, rows) : none("nobody has spoken for it since the start"));
  return h("article", { class: said.length ? "pair troubled" : "pair" }, ...parts);
}

function showPairs({ pairs, pairs_left_out: more }) {
  if (!pairs.length) {
    body("pairs").replaceChildren(none("no pair is declared, and none has been seen since the start"));
    return;
  }
  body("pairs").replaceChildren(h("div", { class: "pairs" }, pairs.map(showPair)), leftOut(more, "mupdatectl pairs"));
}

function showStreams({ streams, streams_left_out: more, status }) {
  small("streams", status.subscribers ? `${number(status.subscribers, "stream")}, the farthest behind first` : "");
  if (!streams.length) {
    body("streams").replaceChildren(none("no frontend is connected"));
    return;
  }
  const columns =
    [column("frontend"), column("follows", "wide"), column("behind", "n"), column("connected for", "n wide")];
  const rows = streams.map((client) => {
    const { servers, behind, lag_ms: lag } = client.stream;
    const late = lag > LATE;
    const follows = servers.length ? servers.map(shown).join(", ") : "all";
    const is = behind ? `${late ? "\u25b2 " : ""}${number(behind, "name")} for ${lasting(lag)}` : "in step";
    return h("tr", {}, h("td", {}, who(client.user ?? "-", client.peer)), h("td", { class: "wide" }, follows),
      h("td", { class: late ? "n warning" : "n" }, is), h("td", { class: "n wide" }, age(client.since_ms, "")));
  });
  body("streams").replaceChildren(table(columns, rows), leftOut(more, "mupdatectl clients"));
}

const sorting = { by: "active", up: false, all: false };

function showHosts({ hosts, hosts_left_out: more, status }) {
  const section = id("hosts");
  const names = (host) => host.active + host.reserved;
  // What is being emptied stands before what is full.
  const weight = (host) => (host.draining ? Number.MAX_SAFE_INTEGER : names(host));
  const key = {
    server: (host) => shown(host.server), active: weight, reserved: (host) => host.reserved,
    heard_ms: (host) => host.heard_ms ?? 0,
  }[sorting.by];
  const compare = (a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0) * (sorting.up ? 1 : -1);
  const sorted = [...hosts].sort(compare);
  const seen = sorting.all ? sorted : sorted.slice(0, FEW);
  const most = Math.max(1, ...hosts.map(names));
  section.querySelector("tbody").replaceChildren(...seen.map((host) => {
    const share = h("span", { class: "share" });
    share.style.width = `${(names(host) / most) * 100}%`;
    const draining = host.draining && h("span", { class: "tag" }, " draining");
    const heard = host.heard_ms === undefined ? "-" : age(host.heard_ms);
    return h("tr", {}, h("td", {}, name(host.server), draining, share), numeral(count(host.active)),
      h("td", { class: "n wide" }, count(host.reserved)), numeral(heard));
  }));
  const all = `${number(status.servers, "server")}, ${number(status.active + status.reserved, "name")}`;
  small("hosts", hosts.length ? all : "");
  section.querySelector("table").hidden = !hosts.length;
  section.querySelector(".none").hidden = hosts.length > 0;
  const toggle = id("all");
  toggle.hidden = hosts.length <= FEW;
  toggle.textContent = sorting.all ? "show fewer" : `show all ${count(hosts.length)}`;
  toggle.setAttribute("aria-expanded", String(sorting.all));
  section.querySelector(".more").hidden = hosts.length <= FEW && !more;
  const fewer = `${count(more)} with fewer names are left out; mupdatectl hosts has them all`;
  section.querySelector(".more span").textContent = more ? fewer : "";
}

function what({ state: is, location }, cut) {
  if (is === "deleted") return "-";
  if (cut) return `${is} (too long to be kept)`;
  return `${is === "active" ? "" : `${is} `}${shown(location)}`;
}

// The last of something: when, what, and the rest in a line of its own. Most of them wait until they are wanted.
function showLog(place, since, entries, nothing, said) {
  small(place, since ? `${count(since)} since the start` : "");
  if (!entries.length) {
    body(place).replaceChildren(none(nothing));
    return;
  }
  const time = (ms) => h("time", { datetime: new Date(ms).toISOString() }, clock(ms));
  const items = entries.map((entry) => {
    const [head, rest] = said(entry);
    return h("li", {}, time(entry.at_ms), head, h("span", { class: "what" }, rest, who(entry.user, entry.peer)));
  });
  const parts = [h("ol", { class: "log" }, items.slice(0, LINES))];
  if (items.length > LINES) {
    const open = body(place).querySelector("details")?.open ?? false;
    const summary = h("summary", {}, `${count(items.length - LINES)} before that`);
    parts.push(h("details", { open }, summary, h("ol", { class: "log" }, items.slice(LINES))));
  }
  body(place).replaceChildren(...parts);
}

function showTakeovers({ takeovers, status }) {
  showLog("takeovers", status.writer.takeovers, takeovers, "the journal has no takeover", (entry) =>
    [name(entry.mailbox), `${what(entry.before, entry.cut)} \u2192 ${what(entry.after, entry.cut)}, by `]);
}

function showRefusals({ refusals, status }) {
  showLog("refusals", status.writer.refused, refusals, "nothing was refused since the start", (entry) =>
    [[`${entry.deed ?? "read"} `, entry.mailbox !== undefined && name(entry.mailbox)],
      `${escaped(entry.reason)}; asked by `]);
}

function showPlot() {
  const place = body("changes");
  const width = Math.max(280, Math.floor(place.clientWidth));
  if (changed("changes", state.minutes, width)) {
    place.replaceChildren(plot(state.minutes, state.status.started_ms, width));
  }
}

function show() {
  const { status } = state;
  const all = troubles(state);
  if (changed("role", status.server_name, status.role, status.upstream?.host, status.started_ms)) showHead(state);
  if (changed("verdict", all)) showVerdict(all);
  showMark(all, false);
  if (changed("figures", status)) showFigures(state);
  if (changed("pairs", state.pairs, state.pairs_left_out)) showPairs(state);
  showPlot();
  if (changed("streams", state.streams, status.subscribers)) showStreams(state);
  if (changed("hosts", state.hosts, state.hosts_left_out, sorting)) showHosts(state);
  if (changed("takeovers", state.takeovers, status.writer.takeovers)) showTakeovers(state);
  if (changed("refusals", state.refusals, status.writer.refused)) showRefusals(state);
}
