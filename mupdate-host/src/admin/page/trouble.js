// What wants looking at, by the same measures as the alerts for Prometheus (dist/prometheus/alerts.yml).

const RECENT = 15 * 60 * 1000;
const LATE = 60 * 1000;

const PARTS = { away: "no connection", merging: "merging its list", following: "in step" };

// The sentences about a pair that is not as it should be.
function pairTroubles(pair) {
  const said = [];
  if (pair.missing > 0) {
    const oldest = pair.oldest_missing_ms === undefined ? "" : `, the oldest for ${lasting(pair.oldest_missing_ms)}`;
    said.push(`no echo yet of ${number(pair.missing, "change")}${oldest}`);
  }
  if (pair.left > 0) said.push(`never echoed: ${number(pair.left, "change")} of who led before`);
  if (pair.silent?.length) said.push(`nothing was heard yet of ${pair.silent.map(oneLine).join(", ")}`);
  if (pair.blind) said.push("its members cannot be told apart: what is missing is not known");
  const strangers = pair.speakers.filter((speaker) => speaker.stranger);
  if (strangers.length) said.push(`not declared: ${strangers.map((speaker) => oneLine(speaker.user)).join(", ")}`);
  return said;
}

// A list that is no longer than people read.
function some(items, most) {
  const more = items.length - most;
  return more <= 0 ? items.join(", ") : `${items.slice(0, most).join(", ")} and ${count(more)} more`;
}

function troubles(state) {
  const { status, pairs, streams, minutes } = state;
  const all = [];
  const say = (level, text, where) => all.push({ level, text, where });
  for (const { part, reason } of status.not_ready) {
    say("alarm", `not ready: ${oneLine(part)}: ${oneLine(reason)}`, "figures");
  }
  if (status.fuses_blown.length) {
    const users = some(status.fuses_blown.map(oneLine), 3);
    say("alarm", `a fuse has blown: ${users}; further changes are held until mupdatectl fuse release`, "refusals");
  }
  const upstream = status.upstream;
  if (upstream && upstream.state !== "following") {
    const why = upstream.last_error ? `; last error: ${oneLine(upstream.last_error)}` : "";
    const is = PARTS[upstream.state] ?? upstream.state;
    say("warning", `this replica does not follow ${oneLine(upstream.host)}: ${is}${why}`, "figures");
  } else if (upstream?.lag_ms > LATE) {
    say("warning", `this replica is ${lasting(upstream.lag_ms)} behind ${oneLine(upstream.host)}`, "figures");
  }
  for (const pair of pairs) {
    for (const said of pairTroubles(pair)) say("warning", `${shown(pair.server)}: ${said}`, "pairs");
    if (pair.lead_changed_ms !== undefined && ago(pair.lead_changed_ms) < 4 * RECENT) {
      const leader = pair.speakers.find((speaker) => speaker.leads);
      const to = leader ? `: ${oneLine(leader.user)} at ${oneLine(leader.address)} leads now` : "";
      say("note", `${shown(pair.server)}: the lead changed at ${clock(pair.lead_changed_ms)}${to}`, "pairs");
    }
  }
  const late = streams.filter((client) => client.stream?.lag_ms > LATE);
  for (const client of late.slice(0, 5)) {
    const { behind, lag_ms } = client.stream;
    const frontend = `${oneLine(client.user ?? "-")} at ${oneLine(client.peer)}`;
    say("warning", `${frontend} is ${number(behind, "name")} behind for ${lasting(lag_ms)}`, "streams");
  }
  if (late.length > 5) say("warning", `${count(late.length - 5)} more frontends are late`, "streams");
  if (status.map.used > 0.8 * status.map.size) {
    say("warning", `the database is ${percent(status.map)} % full: raise map_size and restart`, "figures");
  }
  const taken = state.takeovers.filter((entry) => ago(entry.at_ms) < RECENT).length;
  if (taken) {
    // As many as are told; there may be more.
    say("warning", `${number(taken, "active mailbox")} taken over within 15 minutes`, "takeovers");
  }
  const refused = minutes.refused.slice(-15).reduce((sum, more) => sum + more, 0);
  if (refused) say("note", `${number(refused, "change")} refused within 15 minutes`, "refusals");
  if (status.draining.length) say("note", `draining: ${some(status.draining.map(oneLine), 5)}`, "hosts");
  if (ago(status.started_ms) < RECENT) {
    const at = clock(status.started_ms);
    say("note", `started at ${at}: who spoke and what was refused before is not known`, "figures");
  }
  const order = ["alarm", "warning", "note"];
  return all.sort((a, b) => order.indexOf(a.level) - order.indexOf(b.level));
}

const percent = ({ used, size }) => (size > 0 ? Math.floor((used * 100) / size) : 0);
