// Changes a minute, as bars.

const SVG = "http://www.w3.org/2000/svg";
const HOUR = 60;

function s(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// The next number that is easy to read.
function ceiling(most) {
  const power = 10 ** Math.floor(Math.log10(Math.max(most, 4)));
  return [1, 2, 4, 5, 6, 8, 10].map((times) => times * power).find((round) => round >= most && round >= 4);
}

function plot(minutes, started, width) {
  const { changes, refused, last_ms: last } = minutes;
  const height = 150;
  const [left, right, top, bottom] = [46, 8, 8, 20];
  const most = Math.max(...changes.map((changed, at) => changed + refused[at]));
  const high = ceiling(most);
  const step = (width - left - right) / (HOUR + 1);
  const y = (value) => top + (1 - value / high) * (height - top - bottom);
  // The minute under way is the last one; `back` counts from it.
  const x = (back) => left + (HOUR - back) * step;
  const peak = changes.indexOf(Math.max(...changes));
  const label = `Changes a minute in the last hour: at most ${count(changes[peak])}, at ` +
    `${clock(last - (changes.length - 1 - peak) * 60000, false)}; ${count(changes.at(-1))} in the minute under way.`;
  const svg = s("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  const lines = [4, 5].find((parts) => high % parts === 0) ?? 3;
  for (let line = 0; line <= lines; line += 1) {
    const value = (high / lines) * line;
    const at = Math.round(y(value)) + 0.5;
    svg.append(s("line", { class: "grid", x1: left, x2: width - right, y1: at, y2: at }));
    if (line % 2 === 0 || lines !== 4) {
      svg.append(s("text", { x: left - 6, y: at + 4, "text-anchor": "end" }, count(value)));
    }
  }
  // Quarters of an hour by the clock; fewer where there is no room.
  const every = width < 420 ? 30 : 15;
  for (let back = 0; back <= HOUR; back += 1) {
    const at = new Date(last - back * 60000);
    const minute = Math.floor(at.getTime() / 60000) * 60000;
    if (new Date(minute).getMinutes() % every !== 0) continue;
    const middle = x(back) + step / 2;
    const anchor = back < 3 ? "end" : back > HOUR - 2 ? "start" : "middle";
    svg.append(s("line", { class: "grid", x1: middle, x2: middle, y1: height - bottom, y2: height - bottom + 4 }));
    svg.append(s("text", { x: middle, y: height - 4, "text-anchor": anchor }, clock(minute, false).slice(-5)));
  }
  changes.forEach((changed, index) => {
    const back = changes.length - 1 - index;
    // One change is to be seen beside thousands.
    const bar = (kind, from, to) => s("rect", {
      class: kind, x: x(back) + 0.5, width: Math.max(1, step - 1), y: Math.min(y(to), y(from) - 1.5),
      height: Math.max(1.5, y(from) - y(to)),
    });
    const under = back === 0 ? " now" : "";
    if (changed) svg.append(bar(`changed${under}`, 0, changed));
    if (refused[index]) svg.append(bar("refused", changed, changed + refused[index]));
    const when = back === 0 ? `since ${clock(last, false)}` : `${clock(last - back * 60000, false)}`;
    const hit = s("rect", { class: "hit", x: x(back), width: step, y: top, height: height - top - bottom });
    hit.append(s("title", {}, `${when}: ${number(changed, "change")}, ${count(refused[index])} refused`));
    svg.append(hit);
  });
  if (changes.length <= HOUR) {
    const at = x(changes.length - 1);
    svg.append(s("line", { class: "start", x1: at, x2: at, y1: top, y2: height - bottom }));
    const room = at - left > 130;
    const place = { x: room ? at - 6 : at + 6, y: top + 12, "text-anchor": room ? "end" : "start" };
    svg.append(s("text", place, `started ${clock(started, false)}`));
  }
  return svg;
}
