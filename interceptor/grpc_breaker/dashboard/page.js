'use strict';
// The page of the dashboard: asks the server again and again for what has
// changed since the last answer, and shows it.
//
// Names and messages are whatever others have written: all text gets into the
// document as text, and the page's policy (Content-Security-Policy) lets nothing
// but this script run.
(() => {

// ---- Words and signs -------------------------------------------------------

// From the worst.
const STATES = {
  OPEN: {icon: 'i-open', says: 'calls are rejected'},
  FORCED_OPEN: {icon: 'i-hand-open', says: 'held open by hand: calls are rejected'},
  HALF_OPEN: {icon: 'i-half', says: 'a few calls pass as probes'},
  FORCED_CLOSED: {icon: 'i-hand-closed', says: 'held closed by hand: calls pass, nothing is counted'},
  METRICS_ONLY: {icon: 'i-metrics', says: 'calls pass; what would have been rejected is counted'},
  CLOSED: {icon: 'i-closed', says: 'calls pass'},
};
const ORDER = Object.keys(STATES);
const severity = state => ORDER.length - (ORDER.indexOf(state) + 1 || ORDER.length + 1);
const words = state => state.replace(/_/g, ' ');
const iconOf = state => (STATES[state] || {icon: 'i-unknown'}).icon;

// Of the charts on cards and in details.
const SPAN_MS = 120000;

// ---- The document ----------------------------------------------------------

const $ = id => document.getElementById(id);
const SVG = 'http://www.w3.org/2000/svg';

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.flat().filter(child => child !== null && child !== undefined));
  return node;
}
const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
const icon = id => s('svg', {'aria-hidden': 'true', focusable: 'false', viewBox: '0 0 16 16'}, s('use', {href: '#' + id}));

// Each touches the document only where something is new.
function setText(node, text) {
  if (node.shown === text) return;
  node.shown = text;
  node.textContent = text;
}
function setAttribute(node, name, value) {
  if (value === null || value === undefined || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) {
    node.setAttribute(name, value);
  }
}
const setHidden = (node, hidden) => { if (node.hidden !== hidden) node.hidden = hidden; };
function setIcon(svg, state) { setAttribute(svg.firstChild, 'href', '#' + iconOf(state)); }

// Takes the children that there are to what is wanted, by moving as few as may
// be; what has the focus keeps it.
function setChildren(parent, wanted) {
  const focused = document.activeElement;
  const had = focused !== null && focused !== document.body && parent.contains(focused);
  const keep = new Set(wanted);
  for (const node of [...parent.children]) if (!keep.has(node)) node.remove();
  const place = new Map([...parent.children].map((node, i) => [node, i]));
  const stay = longestRising(wanted.map(node => place.has(node) ? place.get(node) : -1));
  let next = null;
  for (let i = wanted.length - 1; i >= 0; --i) {
    if (!stay.has(i)) parent.insertBefore(wanted[i], next);
    next = wanted[i];
  }
  if (had && document.activeElement !== focused && parent.contains(focused)) {
    focused.focus({preventScroll: true});
  }
}

// The indices of a longest subsequence of `places` that rises, without those
// that are negative.
function longestRising(places) {
  const ends = [];   // The index at which the best one of each length ends.
  const before = []; // The index before each in its best one.
  places.forEach((value, i) => {
    if (value < 0) return;
    let low = 0, high = ends.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (places[ends[middle]] < value) low = middle + 1; else high = middle;
    }
    before[i] = low > 0 ? ends[low - 1] : undefined;
    ends[low] = i;
  });
  const result = new Set();
  for (let i = ends[ends.length - 1]; i !== undefined; i = before[i]) result.add(i);
  return result;
}

// ---- Numbers and times as people read them ---------------------------------

function number(value) {
  if (value >= 1e6) return (value / 1e6).toFixed(value >= 1e7 ? 0 : 1) + 'M';
  if (value >= 1e4) return (value / 1e3).toFixed(value >= 1e5 ? 0 : 1) + 'k';
  if (value >= 10 || Number.isInteger(value)) return String(Math.round(value));
  return value < 0.05 ? (value > 0 ? '<0.1' : '0') : value.toFixed(1);
}
function percent(share) {
  const value = share * 100;
  if (value === 0) return '0';
  if (value < 0.1) return '<0.1';
  return value >= 99.95 ? '100' : value.toFixed(1);
}
function latency(ms) {
  if (ms === null || ms === undefined) return '–';
  if (ms >= 10000) return (ms / 1000).toFixed(0) + ' s';
  if (ms >= 1000) return (ms / 1000).toFixed(1) + ' s';
  return (ms >= 100 ? ms.toFixed(0) : ms >= 10 ? ms.toFixed(1) : ms.toFixed(2)) + ' ms';
}
function duration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return seconds + 's';
  if (seconds < 3600) return Math.floor(seconds / 60) + 'm' + (seconds % 60 > 0 ? ' ' + seconds % 60 + 's' : '');
  if (seconds < 86400) return Math.floor(seconds / 3600) + 'h' + (seconds % 3600 >= 60 ? ' ' + Math.floor(seconds / 60) % 60 + 'm' : '');
  return Math.floor(seconds / 86400) + 'd ' + Math.floor(seconds / 3600) % 24 + 'h';
}
function countOf(count, one, many) { return count + ' ' + (count === 1 ? one : many); }

// "/package.Service/Method" in two parts.
function split(method) {
  const slash = method.lastIndexOf('/');
  return slash > 0 ? {name: method.slice(slash + 1), service: method.slice(1, slash)}
                   : {name: method, service: ''};
}

// ---- What is known ---------------------------------------------------------

// Times are of performance.now(): the server tells ages.
const now = () => performance.now();
let epoch = '';
let version = 0;
let processes = [];
let events = [];          // The newest last.
const rows = new Map();   // By key.
const groups = new Map();
const changesByKey = new Map();  // Transitions of a row, the oldest first.

const keyOf = (process, channel, method) => JSON.stringify([process, channel, method]);

// What a card shows: one breaker, or those of one method together.
class Item {
  constructor(key, channel, method) {
    this.key = key;
    this.channel = channel;
    this.method = method;
    this.parts = split(method);
    this.members = [];   // Rows; of a row, itself.
    this.state = 'UNSPECIFIED';
    this.since = 0;
    this.calls = this.failures = this.rejections = 0;  // Per second.
    this.recent = {calls: 0, failures: 0, rejected: 0, p50: null, p95: null, p99: null};
    this.card = null;
    this.dirty = true;
    this.drawn = {state: '', time: 0};  // What the card has, and since when.
  }
  get share() { return this.recent.calls > 0 ? this.recent.failures / this.recent.calls : 0; }
  get stale() { return this.members.every(row => processes[row.process].failing !== null); }
}

class Row extends Item {
  constructor(data) {
    super(keyOf(data.process, data.channel, data.method), data.channel, data.method);
    this.process = data.process;
    this.members = [this];
    this.points = [];
  }
  // Whether its state is another one than before.
  take(data, base) {
    const changed = this.data !== undefined && this.state !== data.state;
    this.data = data;
    this.state = data.state;
    this.since = base - data.in_state_ms;
    this.received = base;
    this.calls = data.rates.calls;
    this.failures = data.rates.failures;
    this.rejections = data.rates.rejections;
    this.recent = data.recent;
    for (const [age, length, calls, failures, rejections, p50, p99] of data.points) {
      this.points.push({time: base - age, length, calls, failures, rejections, p50, p99});
    }
    const oldest = base - SPAN_MS - 10000;
    let old = 0;
    while (old < this.points.length && this.points[old].time < oldest) ++old;
    if (old > 0) this.points.splice(0, old);
    this.dirty = true;
    return changed;
  }
}

class Group extends Item {
  sum() {
    // What is stale counts only where there is nothing else.
    const fresh = this.members.filter(row => processes[row.process].failing === null);
    const counted = fresh.length > 0 ? fresh : this.members;
    const worst = counted.reduce((a, b) => severity(b.state) > severity(a.state) ? b : a);
    this.state = worst.state;
    this.since = worst.since;
    this.worst = worst;
    this.calls = this.failures = this.rejections = 0;
    const recent = this.recent = {calls: 0, failures: 0, rejected: 0, p50: null, p95: null, p99: null};
    for (const row of counted) {
      this.calls += row.calls;
      this.failures += row.failures;
      this.rejections += row.rejections;
      recent.calls += row.recent.calls;
      recent.failures += row.recent.failures;
      recent.rejected += row.recent.rejected;
      // Percentiles cannot be added; the worst process is what matters.
      for (const p of ['p50', 'p95', 'p99']) {
        if (row.recent[p] !== null) recent[p] = Math.max(recent[p] || 0, row.recent[p]);
      }
    }
    this.dirty = true;
  }
}

function groupOf(row) {
  const key = keyOf('*', row.channel, row.method);
  let group = groups.get(key);
  if (group === undefined) groups.set(key, group = new Group(key, row.channel, row.method));
  return group;
}

function forget(row) {
  rows.delete(row.key);
  if (row.card !== null) forgetCard(row);
  const group = groupOf(row);
  group.members = group.members.filter(member => member !== row);
  if (group.members.length > 0) return;
  groups.delete(group.key);
  if (group.card !== null) forgetCard(group);
}

// Takes an answer of the server; the rows that have changed their state.
function take(view) {
  const base = now();
  const restarted = view.full;
  processes = view.processes.map(process => ({
    name: process.name,
    error: process.error,
    failing: process.failing_ms === null ? null : base - process.failing_ms,
    answered: process.answered,
  }));
  const seen = new Set();
  const changed = [];
  const touched = new Set();
  for (const data of view.rows) {
    const key = keyOf(data.process, data.channel, data.method);
    let row = rows.get(key);
    if (row !== undefined && restarted) row.points = [];
    if (row === undefined) {
      rows.set(key, row = new Row(data));
      groupOf(row).members.push(row);
    }
    if (row.take(data, base)) changed.push(row);
    touched.add(groupOf(row));
    seen.add(key);
  }
  if (restarted) {
    for (const row of [...rows.values()]) if (!seen.has(row.key)) forget(row);
  }
  for (const [process, channel, method] of view.gone) {
    const row = rows.get(keyOf(process, channel, method));
    if (row === undefined) continue;
    touched.add(groupOf(row));
    forget(row);
  }
  for (const group of touched) if (group.members.length > 0) group.sum();
  takeEvents(view.events, base, restarted);
  epoch = view.epoch;
  version = view.version;
  return changed;
}

function takeEvents(added, base, restarted) {
  if (restarted) {
    events = [];
    changesByKey.clear();
  }
  if (added.length === 0) return;
  for (const event of added) {
    event.time = base - event.age_ms;
    if (event.kind !== 'transition') continue;
    const key = keyOf(event.process, event.channel, event.method);
    if (!changesByKey.has(key)) changesByKey.set(key, []);
    const changes = changesByKey.get(key);
    changes.push(event);
    changes.sort((a, b) => a.time - b.time);
    if (changes.length > 50) changes.shift();
  }
  events.push(...added);
  events.sort((a, b) => a.time - b.time);
  if (events.length > 300) events.splice(0, events.length - 300);
  timelineDirty = true;
}

// ---- What is chosen --------------------------------------------------------

const chosen = {text: '', states: new Set(), process: '', sort: 'trouble', group: false};

// They stay in the address, so that it can be kept and sent on.
function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  chosen.text = given.get('q') || '';
  chosen.states = new Set((given.get('state') || '').split(',').filter(state => state in STATES));
  chosen.process = given.get('process') || '';
  chosen.sort = [...$('sort').options].some(option => option.value === given.get('sort')) ? given.get('sort') : 'trouble';
  chosen.group = given.has('group');
  $('text').value = chosen.text;
  $('sort').value = chosen.sort;
  $('group').checked = chosen.group;
}
function writeAddress() {
  const said = new URLSearchParams();
  if (chosen.text) said.set('q', chosen.text);
  if (chosen.states.size > 0) said.set('state', [...chosen.states].join(','));
  if (chosen.process) said.set('process', chosen.process);
  if (chosen.sort !== 'trouble') said.set('sort', chosen.sort);
  if (chosen.group) said.set('group', '1');
  const text = said.toString();
  history.replaceState(null, '', text ? '#' + text : location.pathname);
}

function matchesText(item) {
  if (!chosen.text) return true;
  const text = [item.method, item.channel, ...item.members.map(row => processes[row.process].name)].join(' ').toLowerCase();
  return chosen.text.toLowerCase().split(/\s+/).every(word => text.includes(word));
}
function matchesProcess(item) {
  return !chosen.process || item.members.some(row => processes[row.process].name === chosen.process);
}
function candidates() {
  const all = chosen.group ? groups : rows;
  return [...all.values()].filter(item => matchesText(item) && matchesProcess(item));
}

// Numbers count by their magnitude, so that cards stay where they are while
// nothing much happens.
const magnitude = value => value <= 0 ? 0 : Math.round(2 * Math.log2(1 + value));
const SORTS = {
  trouble: item => [-severity(item.state), -magnitude(item.recent.failures), -magnitude(item.recent.rejected)],
  name: () => [],
  rate: item => [-magnitude(item.recent.calls)],
  share: item => [-magnitude(item.share * 100), -magnitude(item.recent.calls)],
  latency: item => [-magnitude(item.recent.p99 || 0)],
};
const collator = new Intl.Collator('en', {numeric: true});

// The ranks by which cards are in order now. Numbers alone change them only now
// and then: cards that jump about cannot be read.
const REORDER_MS = 10000;
let ranksOf = '';
let ranked = -Infinity;
function reRank(items) {
  const key = JSON.stringify([chosen.sort, chosen.group]);
  const all = key !== ranksOf || now() - ranked > REORDER_MS;
  if (all) {
    ranksOf = key;
    ranked = now();
  }
  for (const item of items) {
    // Those that were not among the items before may have the rank of another
    // order.
    const as = key + item.state;
    if (!all && item.rankedAs === as) continue;
    item.rank = SORTS[chosen.sort](item);
    item.rankedAs = as;
  }
}
function sorted(items) {
  reRank(items);
  return items.sort((a, b) => {
    for (let i = 0; i < a.rank.length; ++i) if (a.rank[i] !== b.rank[i]) return a.rank[i] - b.rank[i];
    return collator.compare(a.method, b.method) || collator.compare(a.channel, b.channel) ||
        collator.compare(a.key, b.key);
  });
}

// ---- Charts ----------------------------------------------------------------

// What an item did, as points over time: per second, and in ms.
function seriesOf(item) {
  if (item.members.length === 1) {
    return item.members[0].points.map(point => ({
      time: point.time,
      calls: point.calls * 1000 / point.length,
      failures: point.failures * 1000 / point.length,
      rejections: point.rejections * 1000 / point.length,
      p50: point.p50,
      p99: point.p99,
    }));
  }
  // What a point counts is spread evenly over its interval.
  const step = 2000, count = SPAN_MS / step;
  // As far as all tell that tell lately, and from where the first one does.
  const lasts = item.members.filter(row => row.points.length > 0).map(row => row.points[row.points.length - 1].time);
  if (lasts.length === 0) return [];
  const latest = Math.max(...lasts);
  const end = Math.min(...lasts.filter(last => last > latest - 5000));
  const first = Math.min(...item.members.filter(row => row.points.length > 0).map(row => row.points[0].time));
  const sums = [];
  for (let i = 0; i < count; ++i) {
    sums.push({time: end - (count - 1 - i) * step, calls: 0, failures: 0, rejections: 0, p50: null, p99: null});
  }
  const begin = end - count * step;
  for (const row of item.members) {
    for (const point of row.points) {
      const from = Math.max(point.time - point.length, begin), to = point.time;
      for (let i = Math.floor((from - begin) / step); i < count && begin + i * step < to; ++i) {
        const part = (Math.min(to, begin + (i + 1) * step) - Math.max(from, begin + i * step)) / point.length;
        if (part <= 0) continue;
        const sum = sums[i];
        sum.calls += point.calls * part * 1000 / step;
        sum.failures += point.failures * part * 1000 / step;
        sum.rejections += point.rejections * part * 1000 / step;
        if (point.p50 !== null) sum.p50 = Math.max(sum.p50 || 0, point.p50);
        if (point.p99 !== null) sum.p99 = Math.max(sum.p99 || 0, point.p99);
      }
    }
  }
  return sums.filter(sum => sum.time >= first);
}

const round = value => Math.round(value * 10) / 10;

// A line through what `of` says of the points, in a box of this size; null makes
// a gap. And the area below a line.
function line(points, of, end, width, height, most) {
  let path = '', gap = true;
  for (const point of points) {
    const value = of(point);
    const x = width * (1 - (end - point.time) / SPAN_MS);
    if (value === null || x < -4) { gap = true; continue; }
    path += (gap ? 'M' : 'L') + round(x) + ' ' + round(height - (height - 1) * Math.min(value, most) / most);
    gap = false;
  }
  return path;
}
function area(points, of, end, width, height, most) {
  const top = line(points, of, end, width, height, most);
  if (top === '' || points.every(point => of(point) === 0)) return '';
  const first = /^M(-?[\d.]+)/.exec(top)[1], last = /([\d.-]+) [\d.-]+$/.exec(top)[1];
  return top + 'L' + last + ' ' + height + 'L' + first + ' ' + height + 'Z';
}
function drawRates(paths, points, width, height) {
  const end = points.length > 0 ? points[points.length - 1].time : now();
  const most = points.reduce((most, point) => Math.max(most, point.calls, point.rejections), 0) * 1.05 || 1;
  const rejected = point => point.rejections > 0 ? Math.min(point.rejections, most) : null;
  setAttribute(paths.calls, 'd', area(points, point => point.calls, end, width, height, most));
  setAttribute(paths.callsLine, 'd', line(points, point => point.calls, end, width, height, most));
  // Rejected calls have failed as well, but for another reason.
  setAttribute(paths.failures, 'd', area(points, point => Math.max(point.failures - point.rejections, 0), end, width, height, most));
  setAttribute(paths.rejectedArea, 'd', area(points, point => point.rejections, end, width, height, most));
  setAttribute(paths.rejected, 'd', line(points, rejected, end, width, height, most));
  return most;
}

// The states of a row within the span of the charts, as far as it is known.
function segments(item, end) {
  const begin = end - SPAN_MS;
  const result = [];
  const row = item.members.length === 1 ? item.members[0] : item.worst;
  const changes = (changesByKey.get(row.key) || []).filter(change => change.time > begin && change.from !== change.to);
  let from = begin;
  let state = changes.length > 0 ? changes[0].from : row.since <= begin ? row.state : 'UNSPECIFIED';
  for (const change of changes) {
    if (change.time > from) result.push({state, from, to: change.time});
    from = change.time;
    state = change.to;
  }
  if (changes.length === 0 && row.since > begin) {
    result.push({state, from, to: row.since});
    from = row.since;
  }
  result.push({state: row.state, from, to: end});
  return result;
}
function drawRibbon(ribbon, item, width) {
  const end = now();
  const parts = segments(item, end);
  while (ribbon.childElementCount < parts.length) ribbon.append(s('rect', {y: 0, height: 4}));
  while (ribbon.childElementCount > parts.length) ribbon.lastChild.remove();
  parts.forEach((part, i) => {
    const rect = ribbon.children[i];
    const x = round(width * (1 - (end - part.from) / SPAN_MS));
    setAttribute(rect, 'x', x);
    setAttribute(rect, 'width', Math.max(round(width * (1 - (end - part.to) / SPAN_MS)) - x, 1));
    setAttribute(rect, 'data-state', part.state);
  });
}

// ---- Cards -----------------------------------------------------------------

const shown = new Set();  // Items whose cards are in sight.
const sight = new IntersectionObserver(entries => {
  for (const entry of entries) {
    const item = entry.target.item;
    if (item === undefined) continue;
    if (entry.isIntersecting) shown.add(item); else shown.delete(item);
  }
  schedule();
}, {rootMargin: '200px'});

let cards = 0;
function makeCard(item) {
  const id = 'b' + ++cards;
  const stat = (label, title) => {
    const value = h('dd');
    return {value, node: h('div', null, h('dt', {title}, label), value)};
  };
  const card = {
    rate: stat('calls/s'), failed: stat('failed', 'Of the calls of the last minute'), rejected: stat('rejected/s'),
    p50: stat('p50'), p95: stat('p95'), p99: stat('p99'),
    button: h('button', {type: 'button', id, tabindex: '-1', 'aria-haspopup': 'dialog', 'aria-describedby': id + 's'}, item.parts.name),
    where: h('p', {class: 'where'}),
    stateIcon: icon('i-unknown'),
    stateText: h('span'),
    disc: s('circle', {class: 'disc h0', cx: 32, cy: 32, r: 28}),
    hatched: s('circle', {class: 'disc hatched', cx: 32, cy: 32, r: 28}),
    cause: h('p', {class: 'cause'}),
    ribbon: s('svg', {class: 'ribbon', viewBox: '0 0 200 4', preserveAspectRatio: 'none', 'aria-hidden': 'true', focusable: 'false'}),
    members: h('ul', {class: 'members', role: 'list', 'aria-label': 'Processes', hidden: true}),
    paths: {
      calls: s('path', {class: 'calls'}), callsLine: s('path', {class: 'calls-line'}),
      rejectedArea: s('path', {class: 'rejected-area'}), failures: s('path', {class: 'failures'}), rejected: s('path', {class: 'rejected'}),
    },
  };
  for (const p of ['p50', 'p95', 'p99']) card[p].value.className = 'small';
  const shape = s('svg', {class: 'shape', viewBox: '0 0 64 64', 'aria-hidden': 'true', focusable: 'false'},
      card.disc, card.hatched, s('circle', {class: 'ring', cx: 32, cy: 32, r: 30.5}));
  const spark = s('svg', {class: 'spark', viewBox: '0 0 200 34', preserveAspectRatio: 'none', 'aria-hidden': 'true', focusable: 'false'},
      s('line', {class: 'base', x1: 0, x2: 200, y1: 34, y2: 34}),
      ...Object.values(card.paths));
  card.node = h('li', {class: 'card'},
      h('div', {class: 'name'},
        h('h3', {title: item.method}, card.button),
        h('span', {class: 'badge', id: id + 's'}, card.stateIcon, card.stateText)),
      card.where,
      h('div', {class: 'numbers'}, shape,
        h('dl', {class: 'stats'}, card.rate.node, card.failed.node, card.rejected.node, card.p50.node, card.p95.node, card.p99.node)),
      spark, card.ribbon, card.cause, card.members);
  card.node.item = item;
  item.card = card;
  sight.observe(card.node);
  return card;
}
function forgetCard(item) {
  sight.unobserve(item.card.node);
  shown.delete(item);
  item.card.node.remove();
  item.card = null;
  if (details !== null && details.item === item) closeDetails();
}

let busiest = 1;  // Calls a second that fill a circle.
function health(item) {
  if (item.recent.calls === 0) return 0;
  return item.share < 0.01 ? 1 : item.share < 0.05 ? 2 : item.share < 0.2 ? 3 : 4;
}
const level = item => health(item) === 4 ? 'bad' : health(item) === 3 ? 'warn' : null;

// Why a row has come into its state. Of what was before the process kept events
// the row's own history tells, which is asked for, one row at a time.
let asking = false;
function lastCause(row) {
  const changes = changesByKey.get(row.key) || [];
  const last = changes[changes.length - 1];
  if (last !== undefined && last.to === row.state) return last.cause;
  if (row.told !== undefined && row.told.transitions === row.data.transitions) return row.told.cause;
  if (!asking) askForCause(row);
  return '';
}
async function askForCause(row) {
  asking = true;
  row.told = {transitions: row.data.transitions, cause: ''};
  try {
    const history = (await askForBreaker(row)).history || [];
    if (history.length > 0) row.told.cause = history[history.length - 1].cause || '';
  } catch (error) { /* Then it is not said. */ }
  asking = false;
  row.dirty = true;
  schedule();
}

// All of a breaker; throws what is wrong, for people.
async function askForBreaker(row) {
  const query = new URLSearchParams({process: processes[row.process].name, channel: row.channel, method: row.method});
  const response = await fetch('api/breaker?' + query, {cache: 'no-store', signal: AbortSignal.timeout(8000)});
  const breaker = await response.json();
  if (!response.ok) throw new Error(breaker.error.message);
  return breaker;
}

// Why it is in its state, in parts of which some are strong.
function causeOf(item, at) {
  const row = item.members.length === 1 ? item.members[0] : item.worst;
  const data = row.data;
  const parts = [];
  const age = 'for ' + duration(at - row.since);
  if (data.manual !== null) {
    const left = data.manual.remaining_ms === null ? 'until somebody ends it'
        : 'for another ' + duration(data.manual.remaining_ms - (at - row.received));
    parts.push('Held by ', [data.manual.actor || 'somebody'], ', ' + left + (data.manual.reason ? ': ' + data.manual.reason : ''));
  } else if (row.state === 'CLOSED') {
    parts.push('Closed ' + age);
    if (data.consecutive_failures > 0) parts.push(' · ' + countOf(data.consecutive_failures, 'failure', 'failures') + ' in a row');
    if (data.ramp_share < 1) parts.push(' · admits ' + percent(data.ramp_share) + '% of the calls');
  } else {
    const cause = lastCause(row);
    parts.push(words(row.state)[0] + words(row.state).slice(1).toLowerCase() + ' ' + age);
    if (cause) parts.push(': ', [cause]);
    if (row.state === 'OPEN' && data.next_probe_ms !== null) {
      const probe = data.next_probe_ms - (at - row.received);
      parts.push(probe > 0 ? ' · probe in ' + duration(probe) : ' · next call is a probe');
    }
    if (row.state === 'HALF_OPEN') parts.push(' · ' + countOf(data.permits_in_use, 'probe', 'probes') + ' under way');
  }
  return parts;
}
function setParts(node, parts) {
  const text = JSON.stringify(parts);
  if (node.shown === text) return;
  node.shown = text;
  node.replaceChildren(...parts.map(part => Array.isArray(part) ? h('b', null, part[0]) : part));
}

function updateCard(item) {
  const card = item.card || makeCard(item);
  const at = now();
  const several = item.members.length > 1;
  setAttribute(card.node, 'data-state', item.state);
  setAttribute(card.node, 'data-stale', item.stale ? '' : null);
  setIcon(card.stateIcon, item.state);
  setText(card.stateText, words(item.state));
  const where = several ? countOf(item.members.length, 'process', 'processes')
      : processes.length > 1 ? processes[item.members[0].process].name : '';
  setText(card.where, [item.parts.service, item.channel, where].filter(text => text).join(' · ') + (item.stale ? ' · not answering' : ''));
  setText(card.rate.value, number(item.calls));
  setText(card.failed.value, item.recent.calls > 0 ? percent(item.share) + '%' : '–');
  setAttribute(card.failed.value, 'data-level', level(item));
  setText(card.rejected.value, number(item.rejections));
  for (const p of ['p50', 'p95', 'p99']) setText(card[p].value, latency(item.recent[p]));
  const scale = item.calls > 0 ? Math.max(Math.sqrt(Math.min(item.calls / busiest, 1)), 0.16) : 0.16;
  const transform = 'scale(' + scale.toFixed(3) + ')';
  if (card.scale !== transform) {
    card.scale = transform;
    card.disc.style.transform = transform;
    card.hatched.style.transform = transform;
  }
  setAttribute(card.disc, 'class', 'disc h' + health(item));
  drawRates(card.paths, seriesOf(item), 200, 34);
  drawRibbon(card.ribbon, item, 200);
  setParts(card.cause, causeOf(item, at));
  setHidden(card.members, !several);
  if (several) updateStates(card.members, item);
  item.dirty = false;
  item.drawn = {state: item.state, time: at};
}

// In which processes a breaker is in which state, the worst first. Few are
// named.
function updateStates(list, item) {
  const byState = ORDER.map(state => [state, item.members.filter(row => row.state === state)]).filter(([, members]) => members.length > 0);
  while (list.childElementCount < byState.length) list.append(h('li', null, icon('i-unknown'), h('span')));
  while (list.childElementCount > byState.length) list.lastChild.remove();
  byState.forEach(([state, members], i) => {
    const node = list.children[i];
    setAttribute(node, 'data-state', state);
    setIcon(node.firstChild, state);
    const names = members.map(row => processes[row.process].name);
    setText(node.lastChild, words(state) + ' in ' + (names.length === item.members.length ? 'all' : names.length <= 2 && byState.length > 1 ? names.join(', ') : names.length));
  });
}

// ---- What is on the page ---------------------------------------------------

let listDirty = true;
let timelineDirty = true;
let scheduled = false;
let visibleItems = [];
let current = null;  // The item that Tab leads to.

function schedule() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(render);
}

// What is in sight first, and the rest as far as a frame has time for it: at once
// where the state is another one, else now and then, since nobody looks at it.
const FRAME_MS = 7;
const LEAST_CARDS = 4;
const OUT_OF_SIGHT_MS = 5000;
function render() {
  scheduled = false;
  if (listDirty) {
    listDirty = false;
    updateList();
  }
  if (timelineDirty) {
    timelineDirty = false;
    updateTimeline();
  }
  if (details !== null && details.item.dirty) updateDetails();
  // Whatever that took, some cards get their turn in each frame.
  const begin = now();
  let drawn = 0;
  const due = [...shown].filter(item => item.dirty && item.card !== null);
  for (const item of visibleItems) {
    if (!item.dirty || shown.has(item)) continue;
    if (item.state !== item.drawn.state || begin - item.drawn.time > OUT_OF_SIGHT_MS) due.push(item);
  }
  for (const item of due) {
    if (drawn++ >= LEAST_CARDS && now() - begin > FRAME_MS) {
      schedule();
      return;
    }
    updateCard(item);
  }
}

function updateList() {
  const all = candidates();
  // What is old says nothing of now.
  const fresh = all.filter(item => !item.stale);
  const counts = {};
  for (const item of fresh) counts[item.state] = (counts[item.state] || 0) + 1;
  updateChips(counts);
  const items = sorted(chosen.states.size === 0 ? all : all.filter(item => chosen.states.has(item.state)));
  const top = items.reduce((most, item) => Math.max(most, item.calls), 0);
  // By steps, so that all circles do not change with the busiest one.
  const step = Math.pow(2, Math.ceil(Math.log2(Math.max(top, 1))));
  if (step !== busiest) {
    busiest = step;
    for (const item of items) item.dirty = true;
  }
  for (const item of items) if (item.card === null) makeCard(item);
  visibleItems = items;
  setChildren($('breakers'), items.map(item => item.card.node));
  if (current === null || !items.includes(current)) current = items.length > 0 ? items[0] : null;
  for (const item of items) setAttribute(item.card.button, 'tabindex', item === current ? 0 : -1);
  const whole = chosen.group ? groups.size : rows.size;
  setText($('count'), items.length === whole ? String(whole) : items.length + ' of ' + whole);
  const empty = $('empty');
  setHidden(empty, items.length > 0);
  if (items.length === 0) {
    setText($('empty-text'), whole > 0 ? 'No breaker matches what you have chosen.'
        : version === 0 ? 'Asking for breakers …'
        : 'No breakers yet: each appears when its method is called for the first time.');
    setHidden($('clear'), whole === 0);
  }
  const totals = fresh.reduce((sum, item) => {
    sum.calls += item.calls;
    sum.rejections += item.rejections;
    sum.recent += item.recent.calls;
    sum.failed += item.recent.failures;
    return sum;
  }, {calls: 0, rejections: 0, recent: 0, failed: 0});
  setText($('total-rate'), number(totals.calls));
  setText($('total-failed'), totals.recent > 0 ? percent(totals.failed / totals.recent) : '–');
  setText($('total-rejected'), number(totals.rejections));
  const open = (counts.OPEN || 0) + (counts.FORCED_OPEN || 0);
  document.title = (open > 0 ? '(' + open + ' open) ' : '') + 'Circuit breakers';
}

const chips = new Map();
function makeChips() {
  for (const state of ORDER) {
    const count = h('b', null, '0');
    const chip = h('button', {type: 'button', class: 'chip', 'data-state': state, 'aria-pressed': 'false', title: STATES[state].says},
        icon(iconOf(state)), h('span', null, words(state)), ' ', count);
    chip.addEventListener('click', () => {
      if (!chosen.states.delete(state)) chosen.states.add(state);
      choose();
    });
    chips.set(state, {chip, count});
    $('chips').append(chip);
    $('legend').append(h('li', {'data-state': state}, icon(iconOf(state)), h('b', null, words(state)), h('span', null, STATES[state].says)));
  }
}
function updateChips(counts) {
  for (const [state, {chip, count}] of chips) {
    setText(count, String(counts[state] || 0));
    setAttribute(chip, 'aria-pressed', chosen.states.has(state));
    setAttribute(chip, 'data-none', counts[state] ? null : '');
  }
}

function updateProcesses() {
  const select = $('process');
  const names = processes.map(process => process.name);
  // Before the first answer nobody knows which there are.
  if (names.length > 0 && !names.includes(chosen.process)) chosen.process = '';
  setHidden($('process-field'), names.length < 2 && !chosen.process);
  setHidden($('group-field'), names.length < 2 && !chosen.group);
  const key = JSON.stringify(names);
  if (select.shown !== key) {
    select.shown = key;
    select.replaceChildren(h('option', {value: ''}, 'All ' + names.length), ...names.map(name => h('option', {value: name}, name)));
  }
  if (select.value !== chosen.process) select.value = chosen.process;
  const failing = processes.filter(process => process.failing !== null);
  setHidden($('stale'), failing.length === 0);
  if (failing.length === 0) return;
  const parts = [];
  failing.slice(0, 3).forEach((process, i) => {
    parts.push(i > 0 ? '; ' : '', [process.name], (process.answered ? ' has not answered for ' + duration(now() - process.failing)
        : ' does not answer') + (process.error ? ' (' + process.error + ')' : ''));
  });
  if (failing.length > 3) parts.push('; and ' + (failing.length - 3) + ' more');
  parts.push(failing.some(process => process.answered) ? '. What is shown of it is old.' : '.');
  setParts($('stale'), parts);
}

// ---- The timeline ----------------------------------------------------------

const AUDITED = {
  ForceOpen: {icon: 'i-hand-open', did: 'held open', asked: 'hold it open'},
  ForceClose: {icon: 'i-hand-closed', did: 'held closed', asked: 'hold it closed'},
  SetMetricsOnly: {icon: 'i-metrics', did: 'set to metrics only', asked: 'set it to metrics only'},
  Reset: {icon: 'i-closed', did: 'reset', asked: 'reset it'},
  UpdatePolicy: {icon: 'i-pen', did: 'changed the policy of', asked: 'change its policy'},
};

function matchesEvent(event) {
  if (chosen.process && processes[event.process].name !== chosen.process) return false;
  if (!chosen.text) return true;
  const text = [event.method, event.channel, processes[event.process].name, event.actor].join(' ').toLowerCase();
  return chosen.text.toLowerCase().split(/\s+/).every(word => text.includes(word));
}

function eventNode(event) {
  if (event.node !== undefined) return event.node;
  event.timeNode = h('time');
  const from = [event.channel, processes.length > 1 ? processes[event.process].name : ''].filter(text => text).join(' · ');
  if (event.kind === 'transition') {
    event.node = h('li', {class: 'event', 'data-state': event.to}, icon(iconOf(event.to)),
        h('span', {class: 'title', title: event.method}, split(event.method).name), event.timeNode,
        h('p', {class: 'what'}, words(event.from) + ' → ', h('b', null, words(event.to)), event.cause ? ': ' + event.cause : ''),
        h('p', {class: 'what'}, from));
    return event.node;
  }
  const audited = AUDITED[event.rpc] || {icon: 'i-pen', did: event.rpc, asked: event.rpc};
  const target = event.method !== '' ? split(event.method).name : event.prefix + '*';
  const lasting = event.ttl_ms === null ? '' : ' for ' + duration(event.ttl_ms);
  const who = (event.actor || 'Somebody') + (event.ok ? ' ' + audited.did + ' ' + countOf(event.count, 'breaker', 'breakers') + lasting
      : ' was refused to ' + audited.asked);
  event.node = h('li', {class: 'event', 'data-state': event.ok ? 'FORCED_OPEN' : 'UNSPECIFIED'}, icon(audited.icon),
      h('span', {class: 'title', title: event.method || event.prefix}, target), event.timeNode,
      h('p', {class: 'what'}, who + (event.reason ? ': ' + event.reason : '')),
      event.ok ? null : h('p', {class: 'what'}, event.error),
      h('p', {class: 'what'}, from));
  return event.node;
}
function updateTimeline() {
  const list = events.filter(matchesEvent).slice(-100).reverse();
  const at = now();
  const nodes = list.map(eventNode);
  for (const event of list) setText(event.timeNode, duration(at - event.time) + ' ago');
  setChildren($('timeline'), nodes);
  setHidden($('no-events'), list.length > 0);
}

// ---- Details ---------------------------------------------------------------

const mayChange = document.querySelector('meta[name="dashboard-changes"]').content === 'yes';
const token = document.querySelector('meta[name="dashboard-token"]').content;
let details = null;

function stateNode(state) { return h('span', {class: 'state', 'data-state': state}, icon(iconOf(state)), words(state)); }
function mark(path, text) {
  return h('span', null, s('svg', {viewBox: '0 0 18 8', class: 'chart', 'aria-hidden': 'true', focusable: 'false'}, path), text);
}

function openDetails(item) {
  if (details !== null) closeDetails(false);
  const panel = $('details');
  const stat = label => {
    const value = h('dd');
    return {value, node: h('div', null, h('dt', null, label), value)};
  };
  const one = item.members.length === 1;
  const d = details = {
    item, transitions: -1,
    say: h('p', {class: 'say'}), badge: h('span', {class: 'badge'}, icon('i-unknown'), h('span')),
    where: h('p', {class: 'where'}),
    stats: ['calls/s', 'failed/s', 'rejected/s', 'failed, last minute', 'p50', 'p95', 'p99', 'calls in all'].map(stat),
    most: s('text', {x: 0, y: 9}),
    mostLatency: s('text', {x: 0, y: 9}),
    paths: {calls: s('path', {class: 'calls'}), callsLine: s('path', {class: 'calls-line'}), rejectedArea: s('path', {class: 'rejected-area'}), failures: s('path', {class: 'failures'}), rejected: s('path', {class: 'rejected'})},
    p50: s('path', {class: 'p50'}), p99: s('path', {class: 'p99'}),
    ribbon: s('svg', {class: 'ribbon', viewBox: '0 0 500 4', preserveAspectRatio: 'none', 'aria-hidden': 'true', focusable: 'false'}),
    facts: h('dl', {class: 'pairs'}), members: h('tbody'), policy: h('div'), history: h('div'),
  };
  const close = h('button', {type: 'button', 'aria-label': 'Close the details'}, '✕');
  close.addEventListener('click', () => closeDetails());
  const chart = (label, ...paths) => s('svg', {class: 'chart', viewBox: '0 0 500 110', preserveAspectRatio: 'none', role: 'img', 'aria-label': label},
      s('line', {class: 'rule', x1: 0, x2: 500, y1: 110, y2: 110}), s('line', {class: 'rule', x1: 0, x2: 500, y1: 55, y2: 55}),
      s('line', {class: 'rule', x1: 0, x2: 500, y1: 0, y2: 0}), ...paths);
  const axis = () => h('div', {class: 'axis', 'aria-hidden': 'true'}, h('span', null, '2 min ago'), h('span', null, 'now'));
  d.topRate = h('span');
  d.topLatency = h('span');
  panel.replaceChildren(
      h('header', null,
        h('div', null, h('h2', {id: 'details-title', title: item.method}, item.parts.name), d.where), d.badge, close),
      d.say,
      h('dl', {class: 'stats'}, d.stats.map(stat => stat.node)),
      h('section', null, h('h3', null, 'Calls per second ', d.topRate),
        chart('Calls, failures and rejections per second in the last two minutes', ...Object.values(d.paths)),
        d.ribbon, axis(),
        h('div', {class: 'marks'}, mark(s('path', {class: 'calls-line', d: 'M0 4h18'}), 'calls'), mark(s('path', {class: 'failures', d: 'M0 1h18v6h-18z'}), 'failed'),
          mark(s('path', {class: 'rejected', d: 'M0 4h18'}), 'rejected'))),
      h('section', null, h('h3', null, 'Latency ' + (one ? '' : 'of the slowest process '), d.topLatency),
        chart('50th and 99th percentile of latency in the last two minutes', d.p50, d.p99), axis(),
        h('div', {class: 'marks'}, mark(s('path', {class: 'p50', d: 'M0 4h18'}), 'p50'), mark(s('path', {class: 'p99', d: 'M0 4h18'}), 'p99'))),
      one ? '' : h('section', null, h('h3', null, 'Processes'),
        h('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Processes'}, h('table', {class: 'table', 'aria-label': 'Processes'},
          h('thead', null, h('tr', null, ['Process', 'State', 'calls/s', 'failed', 'p99'].map((text, i) => h('th', {scope: 'col', class: i > 1 ? 'right' : null}, text)))),
          d.members))),
      mayChange ? changeForm(item) : '',
      one ? h('section', null, h('h3', null, 'Now'), d.facts) : '',
      one ? h('section', null, h('h3', null, 'Policy'), d.policy) : '',
      one ? h('section', null, h('h3', null, 'History'), d.history) : '');
  setAttribute(panel, 'aria-labelledby', 'details-title');
  setHidden(panel, false);
  setAttribute(item.card.node, 'data-open', '');
  panel.scrollTop = 0;
  updateDetails();
  panel.focus({preventScroll: true});
}

function closeDetails(back = true) {
  if (details === null) return;
  const item = details.item;
  details = null;
  const panel = $('details');
  const had = panel.contains(document.activeElement);
  setHidden(panel, true);
  setAttribute(panel, 'aria-labelledby', null);
  panel.replaceChildren();
  if (item.card !== null) {
    setAttribute(item.card.node, 'data-open', null);
    if (back && had) item.card.button.focus();
  }
}

function updateDetails() {
  const d = details, item = d.item, at = now();
  const row = item.members[0];
  const one = item.members.length === 1;
  setAttribute(d.badge, 'data-state', item.state);
  setIcon(d.badge.firstChild, item.state);
  setText(d.badge.lastChild, words(item.state));
  setText(d.where, [item.parts.service, 'channel ' + item.channel, one && processes.length > 1 ? processes[row.process].name : ''].filter(text => text).join(' · '));
  setParts(d.say, causeOf(item, at));
  const total = item.members.reduce((sum, row) => sum + row.data.calls, 0);
  const stats = [number(item.calls), number(item.failures), number(item.rejections),
    item.recent.calls > 0 ? percent(item.share) + '%' : '–',
    latency(item.recent.p50), latency(item.recent.p95), latency(item.recent.p99), number(total)];
  stats.forEach((text, i) => setText(d.stats[i].value, text));
  setAttribute(d.stats[3].value, 'data-level', level(item));
  const points = seriesOf(item);
  const most = drawRates(d.paths, points, 500, 110);
  setText(d.topRate, points.length > 0 ? '· up to ' + number(most / 1.05) : '');
  const end = points.length > 0 ? points[points.length - 1].time : at;
  const slowest = points.reduce((most, point) => Math.max(most, point.p99 || 0), 0) * 1.05 || 1;
  setText(d.topLatency, points.some(point => point.p99 !== null) ? '· up to ' + latency(slowest / 1.05) : '');
  setAttribute(d.p50, 'd', line(points, point => point.p50, end, 500, 110, slowest));
  setAttribute(d.p99, 'd', line(points, point => point.p99, end, 500, 110, slowest));
  drawRibbon(d.ribbon, item, 500);
  if (one) {
    updateFacts(d.facts, row, at);
    // The policy too is another one, mostly, when something has happened.
    if (d.transitions !== row.data.transitions) {
      d.transitions = row.data.transitions;
      loadDetails(d, row);
    }
  } else {
    updateMembers(d.members, item);
  }
}

function updateMembers(body, item) {
  while (body.childElementCount < item.members.length) {
    body.append(h('tr', null, h('td'), h('td', null, h('span', {class: 'state'}, icon('i-unknown'), h('span'))), h('td', {class: 'right'}), h('td', {class: 'right'}), h('td', {class: 'right'})));
  }
  while (body.childElementCount > item.members.length) body.lastChild.remove();
  item.members.forEach((row, i) => {
    const cells = body.children[i].children;
    setText(cells[0], processes[row.process].name + (row.stale ? ' (not answering)' : ''));
    const state = cells[1].firstChild;
    setAttribute(state, 'data-state', row.state);
    setIcon(state.firstChild, row.state);
    setText(state.lastChild, words(row.state));
    setText(cells[2], number(row.calls));
    setText(cells[3], row.recent.calls > 0 ? percent(row.share) + '%' : '–');
    setText(cells[4], latency(row.recent.p99));
  });
}

function setPairs(list, pairs) {
  const key = JSON.stringify(pairs);
  if (list.shown === key) return;
  list.shown = key;
  list.replaceChildren(...pairs.flatMap(([label, value]) => [h('dt', null, label), h('dd', null, value)]));
}

function updateFacts(list, row, at) {
  const data = row.data;
  const window = data.window;
  const counted = window.successes + window.failures;
  const pairs = [['State', words(row.state) + ' for ' + duration(at - row.since)]];
  if (data.manual !== null) {
    pairs.push(['Held by', data.manual.actor || 'unknown'], ['Reason', data.manual.reason || 'none given'],
        ['Until', data.manual.remaining_ms === null ? 'somebody ends it' : 'in ' + duration(data.manual.remaining_ms - (at - row.received))]);
  }
  pairs.push(['Window', countOf(counted, 'call', 'calls') + ', ' + window.failures + ' failed (' + percent(window.failure_rate) + '%), ' + window.slow + ' slow']);
  pairs.push(['Failures in a row', String(data.consecutive_failures)]);
  pairs.push(['Rejections', String(data.rejections)], ['Changes of state', String(data.transitions)]);
  if (row.state === 'METRICS_ONLY') pairs.push(['Would be', words(data.shadow_state) + '; would have rejected ' + data.would_have_rejected]);
  if (data.ramp_share < 1) pairs.push(['Ramp', 'admits ' + percent(data.ramp_share) + '% of the calls']);
  if (data.throttle > 0) pairs.push(['Throttle', 'refuses ' + percent(data.throttle) + '% of the calls']);
  if (data.budget_tokens !== null) pairs.push(['Retry budget', data.budget_tokens.toFixed(1) + ' tokens left']);
  const error = data.last_error;
  if (error !== null) {
    pairs.push(['Last error', [error.code, error.category, error.severity].filter(text => text).join(', ') + ', ' +
      duration(error.age_ms + at - row.received) + ' ago' + (error.message ? ': ' + error.message : '')]);
  }
  setPairs(list, pairs);
}

async function loadDetails(d, row) {
  let breaker;
  try {
    breaker = await askForBreaker(row);
  } catch (error) {
    if (details === d) d.policy.replaceChildren(h('p', {class: 'muted note'}, 'It could not be asked for: ' + error.message));
    return;
  }
  if (details !== d) return;
  const pairs = policyPairs(breaker);
  d.policy.replaceChildren(h('dl', {class: 'pairs'}, pairs.flatMap(([label, value]) => [h('dt', null, label), h('dd', null, value)])));
  const history = (breaker.history || []).slice().reverse();
  d.history.replaceChildren(history.length === 0 ? h('p', {class: 'muted note'}, 'Its state has not changed yet.')
      : h('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'History'}, h('table', {class: 'table', 'aria-label': 'Changes of state'},
          h('thead', null, h('tr', null, ['When', 'To', 'Why'].map(text => h('th', {scope: 'col'}, text)))),
          h('tbody', null, history.map(change => h('tr', null,
            h('td', {title: change.time}, duration(seconds(change.age) * 1000) + ' ago'),
            h('td', null, stateNode((change.to || '').replace(/^STATE_/, ''))), h('td', null, change.cause || '')))))));
}

// "1.5s", as protocol buffers write it.
const seconds = text => text === undefined ? 0 : parseFloat(text);
const time = text => seconds(text) >= 1 ? number(seconds(text)) + ' s' : latency(seconds(text) * 1000);

// What the policy means, in lines.
function policyPairs(breaker) {
  const policy = breaker.policy || {};
  const b = policy.breaker || {}, retry = policy.retry || {}, hedging = policy.hedging || {};
  const pairs = [];
  if (b.enabled === false) {
    pairs.push(['Breaker', 'off']);
  } else {
    const rules = [];
    if (b.consecutiveFailures > 0) rules.push(countOf(b.consecutiveFailures, 'failure', 'failures') + ' in a row');
    if (b.lastCalls > 0) rules.push(b.lastCallsFailures + ' of the last ' + b.lastCalls + ' calls failed');
    const within = ' of at least ' + (b.minimumCalls || 1) + ' calls in ' + time(b.window);
    if (b.failureRate > 0) rules.push(percent(b.failureRate) + '%' + within + ' failed');
    if (b.slowRate > 0 && b.slowCall !== undefined) rules.push(percent(b.slowRate) + '%' + within + ' took ' + time(b.slowCall) + ' or longer');
    if (b.openOnCritical) rules.push('a critical failure');
    if (b.throttleK > 0) rules.push('never: sheds load by chance, k = ' + b.throttleK);
    pairs.push(['Opens after', rules.join('; or ') || 'nothing']);
    let open = time(b.openDuration);
    if (b.openMultiplier > 1) open += ', × ' + b.openMultiplier + ' each time up to ' + time(b.maxOpenDuration);
    pairs.push(['Stays open', open]);
    pairs.push(['Recovers by', countOf(b.halfOpenPermits || 0, 'probe', 'probes') + ' at once; ' +
      countOf(b.halfOpenSuccesses || 0, 'success closes', 'successes close')]);
    if ((b.ramp || []).length > 0) pairs.push(['Ramp', b.ramp.map(share => percent(share) + '%').join(', ') + ', each for ' + time(b.rampStep)]);
    if (b.maxConcurrentCalls > 0) pairs.push(['At once', countOf(b.maxConcurrentCalls, 'call', 'calls') + ' at most']);
  }
  if (hedging.maxHedges > 0) {
    pairs.push(['Hedges', hedging.maxHedges + ' more, each after ' + (hedging.delayPercentile > 0 ? 'the ' + hedging.delayPercentile + 'th percentile' : time(hedging.delay))]);
  } else {
    pairs.push(['Retries', retry.maxRetries > 0 ? countOf(retry.maxRetries, 'time', 'times') + ', after ' + time(retry.baseDelay) + ' × ' +
      (retry.exponentialBase || 1) + ' up to ' + time(retry.maxDelay) : 'none']);
  }
  pairs.push(['Repeatable', breaker.repeatable ? 'yes' : 'only what no server has seen']);
  pairs.push(['Time limit', policy.timeout ? time(policy.timeout) + ' for a call' : 'as the caller says']);
  if (policy.attemptTimeout) pairs.push(['Per attempt', time(policy.attemptTimeout)]);
  const fallback = policy.fallback || {};
  if (policy.fallback !== undefined) {
    const when = [fallback.onExhaustion ? 'retries are used up' : '', fallback.onNotRetryable ? 'no retry would help' : '', fallback.onRejection ? 'the breaker refuses' : ''].filter(text => text);
    pairs.push(['Fallback', (fallback.name ? fallback.name + ', ' : '') + 'when ' + (when.join(', or ') || 'never')]);
  }
  if (breaker.policyUpdates > 0) pairs.push(['Updates', countOf(breaker.policyUpdates, 'update is', 'updates are') + ' in force']);
  return pairs;
}

// ---- Changes ---------------------------------------------------------------

function stored(name, value) {
  try {
    if (value === undefined) return localStorage.getItem(name) || '';
    localStorage.setItem(name, value);
  } catch (error) { /* Where nothing may be stored, nothing is. */ }
  return '';
}

function changeForm(item) {
  const option = (value, text) => h('option', {value}, text);
  const action = h('select', {name: 'action'}, option('open', 'Hold open'), option('close', 'Hold closed'), option('reset', 'Reset to CLOSED'));
  const ttl = h('select', {name: 'ttl'}, option('300', '5 minutes'), option('900', '15 minutes'), option('3600', '1 hour'), option('0', 'until somebody ends it'));
  const reason = h('input', {name: 'reason', maxlength: '200', required: true, autocomplete: 'off', placeholder: 'why'});
  const actor = h('input', {name: 'actor', maxlength: '100', autocomplete: 'name', placeholder: 'who you are'});
  actor.value = stored('actor');
  const said = h('p', {role: 'status'});
  const go = h('button', {type: 'submit', class: 'primary'}, 'Change');
  const lasting = h('label', null, 'How long', ttl);
  action.addEventListener('change', () => setHidden(lasting, action.value === 'reset'));
  const form = h('form', {class: 'change', 'aria-label': 'Change'},
      h('label', null, 'What', action), lasting,
      h('label', {class: 'wide'}, 'Reason', reason), h('label', {class: 'wide'}, 'Who', actor),
      h('div', {class: 'go'}, go, said));
  form.addEventListener('submit', async event => {
    event.preventDefault();
    stored('actor', actor.value);
    go.disabled = true;
    let failed = 0, message = '';
    for (const row of item.members) {
      const error = await change({
        process: processes[row.process].name, channel: row.channel, method: row.method,
        action: action.value, ttl_seconds: action.value === 'reset' ? 0 : Number(ttl.value), reason: reason.value, actor: actor.value,
      });
      if (error === '') continue;
      ++failed;
      message = (item.members.length > 1 ? processes[row.process].name + ': ' : '') + error;
    }
    go.disabled = false;
    setAttribute(said, 'data-bad', failed > 0 ? '' : null);
    setText(said, failed > 0 ? 'Refused: ' + message : 'Done.');
  });
  return h('section', null, h('h3', null, item.members.length > 1 ? 'Change in all processes' : 'Change'), form);
}

// What is wrong; empty: nothing.
async function change(what) {
  try {
    const response = await fetch('api/change', {
      method: 'POST', cache: 'no-store', signal: AbortSignal.timeout(15000),
      headers: {'Content-Type': 'application/json', 'X-Dashboard-Token': token}, body: JSON.stringify(what),
    });
    if (response.ok) return '';
    return (await response.json()).error.message;
  } catch (error) {
    return error.message;
  }
}

// ---- Keys and controls -----------------------------------------------------

function choose() {
  writeAddress();
  listDirty = timelineDirty = true;
  schedule();
}

function columns() {
  const nodes = $('breakers').children;
  let count = 1;
  while (count < nodes.length && nodes[count].offsetTop === nodes[0].offsetTop) ++count;
  return count;
}
function focusOn(item) {
  if (current !== null && current.card !== null) setAttribute(current.card.button, 'tabindex', -1);
  current = item;
  setAttribute(item.card.button, 'tabindex', 0);
  item.card.button.focus();
  item.card.node.scrollIntoView({block: 'nearest'});
}
function moveBy(event) {
  const at = visibleItems.indexOf(current);
  const steps = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns(), ArrowUp: -columns(), Home: -at, End: visibleItems.length - 1 - at};
  if (!(event.key in steps) || at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  const to = at + steps[event.key];
  if (to >= 0 && to < visibleItems.length) focusOn(visibleItems[to]);
}

const THEMES = {system: '◐', dark: '●', light: '○'};
const prefersLight = matchMedia('(prefers-color-scheme: light)');
function setTheme(theme) {
  const light = theme === 'light' || (theme === 'system' && prefersLight.matches);
  document.documentElement.dataset.theme = light ? 'light' : 'dark';
  setText($('theme-icon'), THEMES[theme]);
  setText($('theme-text'), 'Theme: ' + theme);
}
function theme() { return stored('theme') in THEMES ? stored('theme') : 'system'; }

function listen() {
  $('bar').addEventListener('submit', event => event.preventDefault());
  $('text').addEventListener('input', () => { chosen.text = $('text').value.trim(); choose(); });
  $('sort').addEventListener('change', () => { chosen.sort = $('sort').value; choose(); });
  $('process').addEventListener('change', () => { chosen.process = $('process').value; choose(); });
  $('group').addEventListener('change', () => { chosen.group = $('group').checked; closeDetails(); choose(); });
  $('clear').addEventListener('click', () => {
    chosen.text = $('text').value = '';
    chosen.process = $('process').value = '';
    chosen.states.clear();
    choose();
    $('text').focus();
  });
  $('breakers').addEventListener('click', event => {
    const node = event.target.closest('.card');
    if (node === null) return;
    current = node.item;
    openDetails(node.item);
  });
  $('breakers').addEventListener('keydown', moveBy);
  $('breakers').addEventListener('focusin', event => {
    const node = event.target.closest('.card');
    if (node !== null && node.item !== current) focusOn(node.item);
  });
  $('help-open').addEventListener('click', () => $('help').showModal());
  let chosenTheme = theme();
  $('theme').addEventListener('click', () => {
    const names = Object.keys(THEMES);
    chosenTheme = names[(names.indexOf(chosenTheme) + 1) % names.length];
    stored('theme', chosenTheme);
    setTheme(chosenTheme);
  });
  prefersLight.addEventListener('change', () => setTheme(chosenTheme));
  document.addEventListener('keydown', event => {
    if (event.ctrlKey || event.metaKey || event.altKey || $('help').open) return;
    const typing = event.target.closest('input, select, textarea') !== null;
    if (event.key === 'Escape') {
      if (details !== null) closeDetails();
      else if (event.target === $('text') && $('text').value !== '') { chosen.text = $('text').value = ''; choose(); }
      else if (typing) event.target.blur();
    } else if (!typing && event.key === '/') {
      event.preventDefault();
      $('text').focus();
      $('text').select();
    } else if (!typing && event.key === '?') {
      $('help').showModal();
    } else if (event.target === $('text') && event.key === 'ArrowDown' && current !== null) {
      event.preventDefault();
      focusOn(current);
    }
  });
  addEventListener('hashchange', () => { readAddress(); updateProcesses(); listDirty = timelineDirty = true; schedule(); });
  document.addEventListener('visibilitychange', () => { if (!document.hidden && wake !== null) wake(); });
}

// ---- Following the server --------------------------------------------------

let wake = null;
function pause(ms) {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, ms);
    wake = () => { clearTimeout(timer); resolve(); };
  }).then(() => { wake = null; });
}
const becomeVisible = () => new Promise(resolve => { wake = resolve; }).then(() => { wake = null; });

let lostSince = null;
function setLink(live, why) {
  if (live) lostSince = null; else if (lostSince === null) lostSince = now();
  setAttribute($('link'), 'data-link', live ? 'live' : 'lost');
  setText($('link-text'), live ? 'Live' : 'Reconnecting');
  setHidden($('lost'), live);
  if (!live) setText($('lost'), 'The server of this page does not answer (' + why + '). What is shown is old; it is tried again.');
}

// Tells screen readers, in one sentence, what has opened and what has recovered.
let toSay = [];
let sayTimer = null;
function say(changed) {
  toSay.push(...changed.filter(row => row.state !== 'HALF_OPEN'));
  if (toSay.length === 0 || sayTimer !== null) return;
  sayTimer = setTimeout(() => {
    sayTimer = null;
    const last = [...new Set(toSay)];
    toSay = [];
    const sentences = last.slice(0, 3).map(row => row.parts.name + (processes.length > 1 ? ' in ' + processes[row.process].name : '') + ' is ' + words(row.state).toLowerCase());
    if (last.length > 3) sentences.push((last.length - 3) + ' more have changed');
    $('live').textContent = sentences.join('. ') + '.';
  }, 300);
}

// Between two requests: what comes faster comes together.
const BETWEEN_MS = 200;
async function follow() {
  let backoff = 250;
  for (;;) {
    if (document.hidden && version !== 0) await becomeVisible();
    try {
      const response = await fetch('api/view?since=' + version + '&epoch=' + encodeURIComponent(epoch), {cache: 'no-store', signal: AbortSignal.timeout(10000)});
      const view = await response.json();
      if (!response.ok) throw new Error(view.error.message);
      setLink(true);
      backoff = 250;
      if (view.changed) {
        // Its token is another one, and perhaps its page.
        if (epoch !== '' && view.epoch !== epoch && mayChange) { location.reload(); return; }
        const changed = take(view);
        for (const row of changed) {
          if (row.state !== 'OPEN' || row.card === null) continue;
          const node = row.card.node;
          node.classList.add('opened');
          setTimeout(() => node.classList.remove('opened'), 1500);
        }
        say(changed);
        updateProcesses();
        listDirty = true;
        schedule();
      }
      await pause(view.retry_ms || BETWEEN_MS);
    } catch (error) {
      setLink(false, error.name === 'TimeoutError' ? 'timed out' : error.message);
      await pause(backoff);
      backoff = Math.min(backoff * 2, 4000);
    }
  }
}

// Times go on where nothing else happens.
setInterval(() => {
  if (document.hidden) return;
  for (const item of shown) if (item.state !== 'CLOSED' || item.stale) item.dirty = true;
  if (details !== null) details.item.dirty = true;
  timelineDirty = true;
  updateProcesses();
  schedule();
}, 1000);

makeChips();
readAddress();
setTheme(theme());
listen();
updateProcesses();
schedule();
follow();

})();
