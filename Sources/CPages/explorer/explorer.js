// The explorer page: follows the list of one node, and checks again every block that it shows.

const PAGE_BLOCKS = 20;
const POLL_SECONDS = 5;
/** A stream that is silent for so long has lost its node: the node sends a comment at least every 15 s. */
const SILENCE_SECONDS_MAX = 40;
const RETRY_SECONDS_MAX = 30;
/** Who is further behind than this loads the newest page instead of every block in between. */
const CATCH_UP_BLOCKS_MAX = 200;
const EXCERPT_CHARACTERS = 600;
const EXCERPT_LINES = 8;
const RESULTS_MAX = 200;
const SEARCH_PAGE_CHARACTERS = 1 << 20;
const SEARCH_PAGE_BLOCKS_MAX = 1000;
const CHART_SECONDS = 300;
const BUCKET_SECONDS = 10;
const PICTURED_MEMBERS_MAX = 12;
const CHARTED_MEMBERS_MAX = 4;
const [BOX_HEIGHT, BOX_GAP] = [44, 8];
const GENESIS_HASH = '89b5c2eadcfcdbc2661cab5212f78e701af68a8f4881a6272ad5429964fb14f4';

// Texts and elements

const byId = id => document.getElementById(id);
const setText = (id, text) => { byId(id).textContent = text; };
const texts = JSON.parse(byId('texts').textContent);
const language = document.documentElement.lang;

const say = (key, values = {}) => texts[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
const numbers = new Intl.NumberFormat(language, { maximumFractionDigits: 2 });
const grouped = number => numbers.format(number);

function element(name, attributes = {}, ...children) {
  return furnish(document.createElement(name), attributes, children);
}

function shape(name, attributes = {}, ...children) {
  return furnish(document.createElementNS('http://www.w3.org/2000/svg', name), attributes, children);
}

function furnish(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter(child => child !== null && child !== undefined));
  return node;
}

function button(text, act) {
  const node = element('button', { type: 'button' }, text);
  node.addEventListener('click', act);
  return node;
}

const shortened = (text, characters) => text.length <= characters ? text : `${text.slice(0, characters - 1)}…`;
const shortName = name => shortened(String(name), 16);

const quiet = (...children) => element('p', { class: 'quiet' }, ...children);
const notice = (kind, ...children) => element('p', { class: `notice ${kind}` }, ...children);
const announce = text => setText('announcer', text);

function timeText(seconds) {
  const date = new Date(Number(seconds) * 1000);
  if (Number.isNaN(date.getTime())) return say('seconds_since_epoch', { seconds });
  return date.toISOString().replace('T', ' ').replace(/\.\d+Z$/, ' UTC');
}

function timeElement(seconds) {
  const date = new Date(Number(seconds) * 1000);
  if (Number.isNaN(date.getTime())) return element('span', { class: 'time' }, timeText(seconds));
  const local = date.toLocaleString(language, { dateStyle: 'medium', timeStyle: 'long' });
  return element('time', { datetime: date.toISOString(), title: local }, timeText(seconds));
}

const clockText = date => `${date.toISOString().slice(11, 19)} UTC`;

function sizeText(bytes) {
  if (bytes < 1024) return say('bytes', { count: bytes });
  const [amount, unit] = bytes < 1 << 20 ? [bytes / 1024, 'KiB'] : [bytes / (1 << 20), 'MiB'];
  return `${grouped(Math.round(amount * 10) / 10)} ${unit}`;
}

// Requests

/** An answer of the node other than what was asked for. */
class Refusal extends Error {
  constructor(response, content) {
    super(detailOf(content) ?? `HTTP ${response.status}`);
    this.status = response.status;
    this.content = content;
    this.retryAfterSeconds = Number(response.headers.get('Retry-After')) || null;
  }
}

function detailOf(content) {
  const detail = content?.detail;
  if (!Array.isArray(detail)) return detail;
  return detail.map(fault => `${fault.loc.join('.')}: ${fault.msg}`).join('; ');
}

/** What the node's clock is ahead of this browser's, in milliseconds. */
let clockAheadMilliseconds = 0;
const nodeSeconds = () => Math.floor((Date.now() + clockAheadMilliseconds) / 1000);

async function open(path, options = {}) {
  for (;;) {
    const token = sessionStorage.getItem('token');
    const headers = { Accept: 'application/json', ...options.headers };
    if (token) headers.Authorization = `Bearer ${token}`;
    const response = await fetch(path, { cache: 'no-store', ...options, headers });
    const date = Date.parse(response.headers.get('Date'));
    if (date) clockAheadMilliseconds = date - Date.now();
    if (response.ok) return response;
    const isOutdated = token !== sessionStorage.getItem('token');
    if (response.status === 401 && (isOutdated || await askForToken(token !== null))) continue;
    throw new Refusal(response, parse(await response.text().catch(() => '')));
  }
}

const get = async (path, options) => parse(await (await open(path, options)).text());

/** Timestamps are 64 bits wide, which a JavaScript number is not. */
const exactInteger = (key, value, context) =>
  typeof value === 'number' && !Number.isSafeInteger(value) && /^\d+$/.test(context?.source) ? BigInt(context.source) : value;

function parse(json) {
  try {
    return JSON.parse(json, exactInteger);
  } catch {
    return null;
  }
}

/** The question that is open, so that many requests ask once; and whether it was declined. */
let tokenQuestion = null;
let isTokenDeclined = false;

function askForToken(wasRefused) {
  if (isTokenDeclined) return false;
  tokenQuestion ??= new Promise(resolve => {
    const dialog = byId('token-dialog');
    setText('token-reason', say(wasRefused ? 'token_refused' : 'token_reason'));
    byId('token').value = '';
    dialog.returnValue = '';
    dialog.addEventListener('close', () => {
      const token = byId('token').value.trim();
      isTokenDeclined = dialog.returnValue !== 'send' || token === '';
      if (!isTokenDeclined) sessionStorage.setItem('token', token);
      tokenQuestion = null;
      resolve(!isTokenDeclined);
    }, { once: true });
    dialog.showModal();
  });
  return tokenQuestion;
}

function damagedHeight(error) {
  const match = error instanceof Refusal && error.status === 503 && /^block (\d+) is damaged$/.exec(error.message);
  return match ? Number(match[1]) : null;
}

function explain(error) {
  if (!(error instanceof Refusal)) return say('unreachable');
  if (error.status === 401) return say('token_missing');
  const height = damagedHeight(error);
  return height === null ? say('node_says', { detail: error.message }) : say('block_damaged', { height });
}

const isAbort = error => error?.name === 'AbortError';

/** Consecutive blocks, the oldest first, with `{height, damaged: true}` in the place of those that the node cannot read. */
async function readRange(from, limit, signal) {
  if (limit <= 0) return [];
  try {
    const response = await open(`/blocks/?from=${from}&limit=${limit}`, { signal });
    const answer = parse(await response.text().catch(() => ''));
    if (answer) return answer.blocks;
    // A long answer is cut at a damaged block: less of it is refused in words.
    signal?.throwIfAborted();
    if (limit === 1) throw new TypeError('the answer was cut');
    const half = Math.floor(limit / 2);
    return [...await readRange(from, half, signal), ...await readRange(from + half, limit - half, signal)];
  } catch (error) {
    const height = damagedHeight(error);
    if (height === null || height < from || height >= from + limit) throw error;
    return [
      ...await readRange(from, height - from, signal),
      { height, damaged: true },
      ...await readRange(height + 1, from + limit - height - 1, signal),
    ];
  }
}

// The check of a block

const encoder = new TextEncoder();
const bytesOfHex = hex => Uint8Array.from(hex.match(/../g), pair => parseInt(pair, 16));
const hexOfBytes = bytes => Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('');

function bigEndian(number) {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(number));
  return bytes;
}

async function sha256(...parts) {
  const preimage = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    preimage.set(part, offset);
    offset += part.length;
  }
  return hexOfBytes(new Uint8Array(await crypto.subtle.digest('SHA-256', preimage)));
}

const plainHash = (previousHash, timestamp, data) =>
  sha256(bytesOfHex(previousHash), bigEndian(timestamp), encoder.encode(data));

function hashOf({ previous_hash, timestamp, data, origin }) {
  if (!origin) return plainHash(previous_hash, timestamp, data);
  const topBit = 1n << 63n;
  return sha256(
    bytesOfHex(previous_hash), bigEndian(BigInt(timestamp) | topBit), bytesOfHex(origin.hash), bigEndian(origin.height),
    encoder.encode(data));
}

const isExact = timestamp => typeof timestamp === 'bigint' || Number.isSafeInteger(timestamp);

/** Which rule a block breaks, as the key of a text; `null` if it is right as far as that can be told. */
async function brokenRule(block, previous) {
  const { origin } = block;
  if (await hashOf(block) !== block.hash) return 'hash_wrong';
  if (block.height === 0 && block.hash !== GENESIS_HASH) return 'genesis_wrong';
  if (origin && await plainHash(origin.previous_hash, origin.timestamp, block.data) !== origin.hash) return 'origin_wrong';
  if (previous?.hash && previous.hash !== block.previous_hash) return 'link_wrong';
  if (previous?.timestamp > block.timestamp) return 'time_wrong';
  return null;
}

/** @returns {Promise<{state: 'good' | 'bad' | 'open', text: string}>} */
async function check(block, previous) {
  if (!crypto.subtle) return { state: 'open', text: say('check_insecure') };
  if (!isExact(block.timestamp) || block.origin && !isExact(block.origin.timestamp)) {
    return { state: 'open', text: say('check_inexact') };
  }
  const rule = await brokenRule(block, previous);
  if (rule) return { state: 'bad', text: say(rule, { previous: block.height - 1 }) };
  return { state: 'good', text: say(previous?.hash ? 'checked_link' : 'checked', { previous: block.height - 1 }) };
}

/** Is filled when the check has ended; `block` is the row or view that it colours. */
function checkElement(block, previous, container, isLong) {
  const mark = element('span', { class: 'check' });
  check(block, previous).then(({ state, text }) => {
    if (!container.contains(mark)) return;
    mark.classList.add(state);
    container.classList.add(state);
    mark.textContent = isLong || state !== 'good' ? text : say('checked');
    if (!isLong) mark.title = text;
  });
  return mark;
}

// Texts of blocks

/** What would not be seen, or would reorder what is seen: controls, marks of direction, invisible characters. */
const HIDDEN = /[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]+/g;
/** More elements than these would make the page slow. */
const HIDDEN_ELEMENTS_MAX = 1000;

function pictures(hidden) {
  return Array.from(hidden, character => {
    const code = character.codePointAt(0);
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    if (code === 0x7f) return '\u2421';
    return `[U+${code.toString(16).toUpperCase().padStart(4, '0')}]`;
  }).join('');
}

/** The text as nodes in which everything is seen. */
function visible(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(HIDDEN)) {
    if (parts.length > 2 * HIDDEN_ELEMENTS_MAX) break;
    parts.push(text.slice(end, match.index), element('span', { class: 'hidden-character' }, pictures(match[0])));
    end = match.index + match[0].length;
  }
  return [...parts, text.slice(end).replace(HIDDEN, pictures)];
}

function excerptEnd(text) {
  let end = Math.min(text.length, EXCERPT_CHARACTERS);
  for (let line = 0, at = -1; line < EXCERPT_LINES; line++) {
    at = text.indexOf('\n', at + 1);
    if (at < 0 || at >= end) break;
    if (line === EXCERPT_LINES - 1) end = at;
  }
  const splitsPair = /[\ud800-\udbff]/.test(text[end - 1] ?? '') && end < text.length;
  return splitsPair ? end - 1 : end;
}

/** A text as it is, its beginning alone if it is long. */
function textView(text) {
  if (text === '') return element('p', { class: 'data quiet' }, say('empty_text'));
  const end = excerptEnd(text);
  const box = element('pre', { class: 'data', dir: 'auto' }, visible(text.slice(0, end)));
  if (end === text.length) return box;
  const toggle = button('', () => show(!box.classList.contains('whole')));
  const show = isWhole => {
    box.className = isWhole ? 'data whole' : 'data excerpt';
    if (isWhole) furnish(box, { tabindex: 0, role: 'region', 'aria-label': say('text') }, []);
    else for (const name of ['tabindex', 'role', 'aria-label']) box.removeAttribute(name);
    box.replaceChildren(...visible(isWhole ? text : `${text.slice(0, end)}…`));
    toggle.textContent = isWhole ? say('show_less') : say('show_all', { size: sizeText(encoder.encode(text).length) });
    toggle.setAttribute('aria-expanded', isWhole);
  };
  show(false);
  return element('div', {}, box, toggle);
}

// Where the page is

function askedView() {
  const [hash, query] = [location.hash.slice(1), location.search].map(text => new URLSearchParams(text));
  const value = name => hash.get(name) ?? query.get(name);
  const from = value('from') ?? '';
  return { block: value('block')?.trim() || null, from: /^\d{1,15}$/.test(from) ? Number(from) : null };
}

let view = { block: null, from: null };
/** Where the page begins that is shown; `undefined` while none is. */
let pageFrom;
let reading = new AbortController();

function addressOf({ block = null, from = view.from }) {
  const query = new URLSearchParams();
  if (block !== null) query.set('block', block);
  if (from !== null) query.set('from', from);
  return query.size > 0 ? `/?${query}` : '/';
}

const blockLink = (block, ...content) => element('a', { href: addressOf({ block }) }, ...content);
const blockWords = height => blockLink(height, say('block', { block: height }));

function navigate(address) {
  history.pushState(null, '', address);
  return showView(true);
}

async function showView(isChosen) {
  const former = view;
  view = askedView();
  if (!isChosen && view.block === former.block && view.from === pageFrom) return;
  document.title = view.block === null ? pageTitle() : `${say('block', { block: shortName(view.block) })} · ${pageTitle()}`;
  reading.abort();
  reading = new AbortController();
  const { signal } = reading;
  await Promise.all([
    showBlock(signal, isChosen && view.block !== former.block),
    view.from === pageFrom ? null : showPage(signal),
  ]);
}

const pageTitle = () => `chaind ${seen.group ? hostOf(seen.group.our_url) : ''}`.trim();

function followLink(event) {
  const link = event.target.closest('a');
  const isPlain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  if (!link || !isPlain || link.origin !== location.origin || link.pathname !== '/' || link.hash) return;
  event.preventDefault();
  navigate(link.href);
}

// One block

const isBlockName = name => /^(\d{1,18}|[0-9a-f]{64})$/i.test(name);

async function showBlock(signal, isChosen) {
  const panel = byId('block');
  const name = view.block;
  if (name === null) return panel.replaceChildren();
  let content;
  try {
    content = isBlockName(name)
      ? blockView(await get(`/blocks/${name}`, { signal }), signal)
      : [blockTitle(name), notice('bad', say('no_block_name'))];
  } catch (error) {
    if (isAbort(error)) return;
    content = [blockTitle(name), ...refusedBlock(error, name)];
  }
  if (signal.aborted) return;
  panel.className = 'card block-view';
  panel.replaceChildren(...content);
  if (!isChosen) return;
  panel.scrollIntoView({ block: 'nearest' });
  panel.querySelector('h2').focus({ preventScroll: true });
}

function blockTitle(name, ...links) {
  return element('div', { class: 'title-line' },
    element('h2', { tabindex: -1 }, say('block', { block: shortName(name) })),
    element('nav', { class: 'pager', 'aria-label': say('neighbours') }, ...links,
      element('a', { href: addressOf({}) }, say('close'))));
}

function refusedBlock(error, name) {
  const orphan = error.content?.orphan;
  if (orphan?.state === 'moved') {
    return [notice('warn', say('orphan_moved'), ' ', blockLink(orphan.hash, say('block', { block: orphan.height })))];
  }
  if (orphan) return [notice('warn', say('orphan_pending', { height: orphan.height }))];
  if (error.status === 404) return [notice('warn', say('no_block'), ' ', headText())];
  const again = button(say('try_again'), () => showBlock(reading.signal, true));
  return [notice('bad', explain(error)), damagedHeight(error) === null ? again : null].filter(Boolean);
}

const headText = () => seen.head ? say('head_is', { height: seen.head.height }) : '';

function blockView(block, signal) {
  const { height, origin } = block;
  const mark = element('p', { class: 'verdict', role: 'status' });
  readRange(height - 1, height > 0 ? 1 : 0, signal).catch(() => []).then(([previous]) =>
    mark.append(checkElement(block, previous, byId('block'), true)));
  const fields = [
    [say('time'), timeElement(block.timestamp), element('span', { class: 'quiet' }, ` ${block.timestamp}`)],
    [say('hash'), element('code', {}, block.hash)],
    [say('previous_hash'), height === 0 ? element('code', {}, block.previous_hash)
      : blockLink(height - 1, element('code', {}, block.previous_hash))],
    [say('text_size'), sizeText(encoder.encode(block.data).length)],
  ];
  if (origin) {
    fields.push([say('origin'), element('p', {}, say('origin_means', { height: origin.height })),
      element('p', {}, timeElement(origin.timestamp)), element('code', {}, origin.hash)]);
  }
  return [
    blockTitle(height,
      height > 0 ? blockLink(height - 1, say('previous_block')) : null,
      !seen.head || height < seen.head.height ? blockLink(height + 1, say('next_block')) : null,
      element('a', { href: addressOf({ block: height, from: Math.max(0, height - PAGE_BLOCKS / 2) }) }, say('in_list'))),
    mark, fieldList(fields), textView(block.data),
  ];
}

const fieldList = fields => element('dl', { class: 'fields' }, fields.map(([name, ...content]) =>
  element('div', {}, element('dt', {}, name), element('dd', {}, ...content))));

// The list

/** What the stream has told of the newest blocks, the oldest first; one more than is shown, which the oldest continues. */
let newest = [];
/** The height of the head when the list was told to stand still. */
let pausedAt = null;
let renderTimer = null;

async function showPage(signal) {
  byId('pause').hidden = view.from !== null;
  setText('blocks-note', '');
  const { from } = view;
  pageFrom = from === null ? null : undefined;
  if (from === null) return renderNewest();
  try {
    const before = from > 0 ? await readRange(from - 1, 1, signal) : [];
    const blocks = await readRange(from, PAGE_BLOCKS, signal);
    renderRows(blocks, before[0]);
    setPager();
    pageFrom = from;
    if (blocks.length === 0) setText('blocks-note', `${say('no_blocks')} ${headText()}`);
  } catch (error) {
    if (isAbort(error)) return;
    renderRows([]);
    setText('blocks-note', explain(error));
  }
}

async function loadNewest(height, signal) {
  newest = await readRange(Math.max(0, height - PAGE_BLOCKS), PAGE_BLOCKS + 1, signal);
  renderNewest();
}

function takeBlock(block) {
  const last = newest.at(-1);
  const isNext = block.height === last?.height + 1 && block.previous_hash === last.hash;
  if (last && block.height > last.height && !isNext) return loadNewest(block.height, running.signal);
  newest = [...newest.filter(known => known.height < block.height), block].slice(-PAGE_BLOCKS - 1);
  seen.head = block;
  countAppend(block);
  renderSoon();
}

/** The blocks above this height are gone; new ones follow. */
function takeReplacement({ height, hash }) {
  newest = newest.filter(block => block.height <= height);
  seen.head = { height, hash };
  announce(say('list_replaced', { height }));
  renderSoon();
  if (view.from !== null && height < view.from + PAGE_BLOCKS) showPage(reading.signal);
}

/** Blocks may come faster than they can be shown. */
function renderSoon() {
  renderTimer ??= setTimeout(() => {
    renderTimer = null;
    showFacts();
    drawAppends();
    if (view.from === null) renderNewest();
    else if (seen.head.height < view.from + PAGE_BLOCKS) showPage(reading.signal);
  }, 200);
}

function renderNewest() {
  const head = newest.at(-1);
  if (!head || view.from !== null) return;
  if (pausedAt !== null) {
    setText('pause', say('paused', { count: grouped(Math.max(0, head.height - pausedAt)) }));
    return;
  }
  const shown = newest.slice(-PAGE_BLOCKS);
  renderRows(shown, newest.length > shown.length ? newest[0] : null);
}

function togglePause() {
  pausedAt = pausedAt === null ? newest.at(-1)?.height ?? 0 : null;
  byId('pause').setAttribute('aria-pressed', pausedAt !== null);
  setText('pause', pausedAt === null ? say('pause') : say('paused', { count: 0 }));
  renderNewest();
}

/** Changes only the rows that differ, so that what is opened or focused in the others stays so. */
function renderRows(blocks, before = null) {
  const list = byId('blocks');
  const keyOf = block => block.hash ?? `damaged-${block.height}`;
  const wanted = new Set(blocks.map(keyOf));
  for (const row of [...list.children]) if (!wanted.has(row.dataset.key)) row.remove();
  blocks.toReversed().forEach((block, index) => {
    const place = list.children[index] ?? null;
    if (place?.dataset.key === keyOf(block)) return;
    const previous = blocks[blocks.length - index - 2] ?? before;
    const row = block.damaged ? damagedRow(block.height) : blockRow(block, previous);
    row.dataset.key = keyOf(block);
    row.dataset.height = block.height;
    list.insertBefore(row, place);
  });
}

function blockRow(block, previous) {
  const row = element('li', { class: 'block' });
  return furnish(row, {}, [
    element('p', { class: 'block-line' },
      blockLink(block.height, element('span', { class: 'unseen' }, say('block_word'), ' '), String(block.height)),
      timeElement(block.timestamp),
      block.origin ? element('span', { class: 'tag' }, say('moved_from', { height: block.origin.height })) : null,
      checkElement(block, previous, row, false)),
    textView(block.data),
    element('p', { class: 'hash' }, element('code', {}, block.hash)),
  ]);
}

const damagedRow = height => element('li', { class: 'block bad' },
  element('p', { class: 'block-line' }, blockLink(height, String(height)),
    element('span', { class: 'check bad' }, say('block_damaged', { height }))));

/** Its links stay the same elements, so that they keep the focus. */
function setPager() {
  const height = seen.head?.height ?? 0;
  const isNewest = view.from === null;
  const from = view.from ?? Math.max(0, height - PAGE_BLOCKS + 1);
  for (const [kind, address] of [
    ['newest', isNewest ? null : '/'],
    ['newer', isNewest || from + PAGE_BLOCKS > height ? null : addressOf({ from: from + PAGE_BLOCKS })],
    ['older', from > 0 ? addressOf({ from: Math.max(0, from - PAGE_BLOCKS) }) : null],
  ]) {
    for (const link of document.querySelectorAll(`.pages .${kind}`)) {
      link.hidden = address === null;
      if (address !== null) link.href = address;
    }
  }
}

function makePagers() {
  const rel = { newest: null, newer: 'prev', older: 'next' };
  for (const pager of document.querySelectorAll('.pages')) {
    pager.replaceChildren(...Object.keys(rel).map(kind =>
      element('a', { class: kind, rel: rel[kind], href: '/', hidden: '' }, say(kind))));
  }
}

// The stream

/** What was heard of the node last. */
const seen = { status: null, head: null, group: null, orphans: null };
let connectionState = 'connecting';
let lostSince = null;
/** What ends the pauses that are under way. */
const endPauses = new Set();

function setConnection(state, text) {
  const isNew = state !== connectionState;
  connectionState = state;
  byId('connection').dataset.state = state;
  setText('connection-text', text);
  byId('connect-now').hidden = !['lost', 'denied'].includes(state);
  if (isNew && state !== 'connecting') announce(text);
}

/** Follows the list until the signal aborts; whatever fails is tried again, with growing pauses. */
async function follow(signal) {
  for (let failures = 0; !signal.aborted;) {
    let answers = false;
    try {
      await catchUp(signal);
      answers = true;
      await readStream(signal, () => {
        failures = 0;
        lostSince = null;
        setConnection('live', say('live'));
      });
      // The node has ended the stream in order, which is no loss: the next one resumes it.
      await pause(1, signal);
    } catch (error) {
      if (signal.aborted) return;
      failures += 1;
      await waitAfter(error, failures, answers, signal);
    }
  }
}

async function waitAfter(error, failures, answers, signal) {
  if (error instanceof Refusal && error.status === 401) {
    setConnection('denied', say('token_missing'));
    return pause(Infinity, signal);
  }
  const seconds = Math.max(error.retryAfterSeconds ?? 0, Math.min(RETRY_SECONDS_MAX, 2 ** (failures - 1)));
  if (error instanceof Refusal && answers) {
    setConnection('polling', say('polling', { seconds: POLL_SECONDS }));
    return pause(seconds, signal);
  }
  lostSince ??= new Date();
  await pause(seconds * (0.75 + Math.random() / 2), signal, left =>
    setConnection('lost', say('lost', { time: clockText(lostSince), seconds: left })));
  if (!signal.aborted) setText('connection-text', say('lost_trying', { time: clockText(lostSince) }));
}

/** Ends early when the signal aborts or somebody asks to go on now. */
function pause(seconds, signal, tell = () => {}) {
  return new Promise(resolve => {
    let left = Math.ceil(seconds);
    const tick = () => {
      if (left <= 0) end();
      else tell(left--);
    };
    const timer = setInterval(tick, 1000);
    const end = () => {
      clearInterval(timer);
      endPauses.delete(end);
      signal.removeEventListener('abort', end);
      resolve();
    };
    endPauses.add(end);
    signal.addEventListener('abort', end);
    tick();
  });
}

function connectNow() {
  isTokenDeclined = false;
  for (const end of endPauses) end();
}

/** Sees to it that the blocks we have are those that the stream goes on from. */
async function catchUp(signal) {
  const status = await get('/', { signal });
  takeStatus(status);
  seen.head = { height: status.height, hash: status.head_hash };
  const last = newest.at(-1);
  if (!last?.hash || last.height > status.height || status.height - last.height > CATCH_UP_BLOCKS_MAX) {
    await loadNewest(status.height, signal);
  }
  showFacts();
  countAppends(signal).catch(() => {});
}

async function readStream(signal, started) {
  const silence = new AbortController();
  let silenceTimer;
  const heard = () => {
    clearTimeout(silenceTimer);
    silenceTimer = setTimeout(() => silence.abort(), SILENCE_SECONDS_MAX * 1000);
  };
  const last = newest.findLast(block => block.hash);
  const headers = { Accept: 'text/event-stream' };
  if (last) headers['Last-Event-ID'] = `${last.height}-${last.hash}`;
  try {
    heard();
    const response = await open('/blocks/events', { headers, signal: AbortSignal.any([signal, silence.signal]) });
    started();
    for await (const { event, data } of eventsOf(response.body, heard)) {
      if (event === 'block') await takeBlock(data);
      else if (event === 'replaced') takeReplacement(data);
      else if (event === 'dropped') return;
    }
  } finally {
    clearTimeout(silenceTimer);
    silence.abort();
  }
}

async function* eventsOf(body, heard) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    heard();
    const parts = (rest + value).split('\n\n');
    rest = parts.pop();
    for (const part of parts) {
      const fields = Object.fromEntries(part.split('\n').map(line => /^(\w*): ?(.*)$/s.exec(line)?.slice(1) ?? ['', '']));
      if (fields.data) yield { event: fields.event, data: parse(fields.data) };
    }
  }
}

// What the node says of itself

function takeStatus(status) {
  seen.status = status;
  setText('version', say('version', { version: status.version, node: status.node_id }));
}

async function pollStatus(signal) {
  const status = await get('/', { signal });
  takeStatus(status);
  if (connectionState !== 'live' && newest.at(-1)?.hash !== status.head_hash) {
    seen.head = { height: status.height, hash: status.head_hash };
    await loadNewest(status.height, signal);
  }
  showFacts();
}

function showFacts() {
  const { status, head, group } = seen;
  if (!status || !head) return;
  setPager();
  const validated = status.validated_height;
  const isBehind = validated === null || validated < status.height;
  replaceIfChanged(byId('node'), element('dl', { class: 'facts' },
    fact(say('head'), element('p', { class: 'figure' }, blockLink(head.height, String(head.height))),
      element('code', {}, head.hash)),
    fact(say('validated'),
      element('p', { class: 'figure' }, isBehind ? String(validated ?? '–') : String(head.height)),
      isBehind ? validationProgress(status) : element('span', { class: 'good' }, say('validated_all'))),
    fact(say('damaged'), ...damagedFact(status.damaged)),
    group ? fact(say('members'), ...membersFact(group)) : null));
}

function validationProgress({ height, validated_height, damaged }) {
  const next = (validated_height ?? -1) + 1;
  if (damaged.includes(next)) return element('span', { class: 'bad' }, say('validated_stops', { height: next }));
  return element('span', { class: 'quiet' }, say('validating', { share: Math.floor(100 * next / (height + 1)) }));
}

const fact = (name, ...content) => element('div', {}, element('dt', {}, name), element('dd', {}, ...content));

function damagedFact(heights) {
  if (heights.length === 0) {
    return [element('p', { class: 'figure' }, '0'), element('span', { class: 'good' }, say('none_damaged'))];
  }
  const links = heights.slice(0, 12).flatMap(height => [blockLink(height, String(height)), ' ']);
  const more = heights.length > 12 ? say('more', { count: grouped(heights.length - 12) }) : null;
  // The node names 100 heights at most.
  const count = heights.length < 100 ? String(heights.length) : '100+';
  return [element('p', { class: 'figure bad' }, count), element('span', { class: 'bad' }, ...links, more)];
}

function membersFact(group) {
  const { members, consensus } = group;
  const away = members.filter(member => member.state !== 'up');
  const up = members.length - away.length;
  const kind = away.length > 0 ? 'warn' : members.length > 0 ? 'good' : 'quiet';
  const words = away.length === 1 ? `${hostOf(away[0].address)}: ${say(`state_${away[0].state}`)}`
    : say(members.length === 0 ? 'alone' : away.length === 0 ? 'all_up' : 'some_away', { count: away.length });
  return [
    element('p', { class: kind === 'warn' ? 'figure warn' : 'figure' }, `${up + 1} / ${members.length + 1}`),
    element('span', { class: kind }, words),
    consensus ? element('span', { class: 'quiet' }, ` · ${say(`engine_${consensus.state}`)}`) : null,
  ];
}

/** Elements that look the same are left, with the focus and the selection in them. */
function replaceIfChanged(container, content) {
  if (container.firstElementChild?.outerHTML !== content.outerHTML || container.children.length !== 1) {
    container.replaceChildren(content);
  }
}

async function validate() {
  const [start, result] = [byId('validate'), byId('validation')];
  start.disabled = true;
  result.replaceChildren(element('p', {}, say('validation_runs')));
  try {
    result.replaceChildren(...validationResult(await get('/blocks/valid')));
  } catch (error) {
    result.replaceChildren(notice('bad', say('validation_failed'), ' ', explain(error)));
  }
  start.disabled = false;
}

function validationResult({ height, blocks, seconds, fault }) {
  const effort = {
    height, blocks: grouped(blocks), time: clockText(new Date()),
    seconds: seconds < 0.01 ? `< ${grouped(0.01)}` : grouped(seconds),
  };
  if (!fault) return [notice('good', say('valid', effort))];
  return [
    notice('bad', element('strong', {}, say('invalid', { height: fault.height })), ' ', say(`fault_${fault.kind}`)),
    fieldList([
      [say('block_word'), blockLink(fault.height, String(fault.height))],
      [say('fault_kind'), element('code', {}, fault.kind)],
      [say('expected'), element('code', {}, visible(fault.expected))],
      [say('found'), element('code', {}, visible(fault.found))],
    ]),
    quiet(say('good_before', effort)),
  ];
}

// The group

/** The port stays. */
const cutInside = (text, characters) => text.length <= characters ? text : `${text.slice(0, characters - 7)}…${text.slice(-6)}`;
const hostOf = address => address.replace(/^https?:\/\//, '');
/** States are told apart without colours too. */
const STATE_MARKS = { self: '●', up: '●', failing: '◐', removed: '✕', conflict: '!' };

async function pollGroup(signal) {
  const [group, orphans] = await Promise.all([
    get('/sync/', { signal }), get('/sync/orphans?limit=100', { signal }),
  ]);
  Object.assign(seen, { group, orphans });
  setText('address', group.our_url);
  if (view.block === null) document.title = pageTitle();
  sampleLag(group.members);
  showGroup();
  showFacts();
}

function showGroup() {
  const { group, orphans } = seen;
  if (!group) return;
  replaceIfChanged(byId('group-picture'), groupPicture(group, byId('group-picture').clientWidth || 320));
  replaceIfChanged(byId('group-order'), groupOrder(group));
  replaceIfChanged(byId('group-table'), groupTable(group));
  showOrphans(orphans);
  drawLag();
}

function memberFigures({ state, height, lag_blocks }) {
  const parts = state === 'up' && height !== null ? [] : [say(`state_${state}`)];
  if (height !== null) parts.push(height, lag_blocks === 0 ? say('level') : say('behind', { lag: grouped(lag_blocks) }));
  return parts.join(' · ');
}

/** Of too many, first those that somebody has to look after. */
function picturedMembers(members) {
  if (members.length <= PICTURED_MEMBERS_MAX) return members;
  const isUp = member => Number(member.state === 'up');
  return members.toSorted((one, other) => isUp(one) - isUp(other)).slice(0, PICTURED_MEMBERS_MAX);
}

/** This node on the left, a line to each member on the right, and above them the engine where there is one. */
function groupPicture({ our_url, members, consensus }, width) {
  const shown = picturedMembers(members);
  const top = consensus ? 34 : 0;
  const height = top + Math.max(1, shown.length) * (BOX_HEIGHT + BOX_GAP) - BOX_GAP;
  const self = { left: 0, top: (top + height - BOX_HEIGHT) / 2, width: Math.min(155, 0.42 * width) };
  const figures = seen.head ? say('this_node_at', { height: seen.head.height }) : say('this_node');
  const ties = [];
  const boxes = [memberBox({ address: our_url, state: 'self' }, figures, consensus?.leader, self)];
  shown.forEach((member, index) => {
    const memberWidth = Math.min(230, width - self.width - 36);
    const place = { left: width - memberWidth, top: top + index * (BOX_HEIGHT + BOX_GAP), width: memberWidth };
    ties.push(tie(member.state, self, place));
    boxes.push(memberBox(member, memberFigures(member), consensus?.leader, place));
  });
  const engine = consensus ? [shape('text', { class: 'engine', x: 0, y: 14 }, say('picture_engine')),
    shape('line', { class: 'engine-line', x1: 0, x2: width, y1: 22, y2: 22 })] : [];
  const rest = members.length - shown.length;
  return element('div', {},
    shape('svg', { width, height, role: 'img', 'aria-label': groupSummary() }, engine, ties, boxes),
    rest > 0 ? quiet(say('more_in_table', { count: rest })) : null);
}

function tie(state, from, to) {
  const [start, end, middle] = [from.top + BOX_HEIGHT / 2, to.top + BOX_HEIGHT / 2, (from.width + to.left) / 2];
  return shape('path', { class: `tie ${state}`, d: `M${from.width} ${start}C${middle} ${start} ${middle} ${end} ${to.left} ${end}` });
}

function memberBox({ address, state, last_error }, figures, leader, { left, top, width }) {
  const [nameMax, figuresMax] = [Math.floor((width - 32) / 7.3), Math.floor((width - 18) / 6)];
  const leads = address === leader ? `★ ${say('leads')} · ` : '';
  return shape('g', { class: `member ${state}`, transform: `translate(${left} ${top})` },
    shape('title', {}, [address, figures, last_error].filter(Boolean).join(': ')),
    shape('rect', { x: 1, y: 1, width: width - 2, height: BOX_HEIGHT - 2, rx: 6 }),
    shape('text', { class: 'mark', x: 10, y: 19 }, STATE_MARKS[state]),
    shape('text', { class: 'name', x: 25, y: 19 }, cutInside(hostOf(address), nameMax)),
    shape('text', { class: 'figures', x: 10, y: 35 }, shortened(leads + figures, figuresMax)));
}

function groupSummary() {
  const { members } = seen.group;
  const states = members.map(member => `${hostOf(member.address)}: ${memberFigures(member)}`);
  return [say('picture_of_group', { count: members.length + 1 }), ...states].join('. ');
}

function groupOrder({ our_url, members, consensus }) {
  if (!consensus) return quiet(members.length > 0 ? say('order_none') : say('order_alone', { address: our_url }));
  const parts = [say('order_engine', { revision: consensus.revision, height: consensus.final_height }),
    consensus.leader ? say('order_leader', { leader: consensus.leader }) : say('order_no_leader')];
  const state = say(`engine_${consensus.state}`) + (consensus.reason ? `: ${consensus.reason}` : '');
  const kind = { leading: 'good', following: 'good', waiting: 'warn', blocked: 'bad' }[consensus.state];
  return element('div', {}, quiet(parts.join(' ')), element('p', { class: kind }, state));
}

function groupTable({ our_url, members, consensus }) {
  const heads = ['member', 'state', 'height', 'lag', 'last_contact'].map(key => element('th', { scope: 'col' }, say(key)));
  const leaderMark = address => consensus?.leader === address ? ` (${say('leads')})` : '';
  const row = (address, ...cells) => element('tr', {},
    element('th', { scope: 'row' }, hostOf(address) + leaderMark(address)),
    cells.map(cell => element('td', {}, String(cell ?? '–'))));
  const errorRow = ({ last_error }) => last_error
    ? element('tr', {}, element('td', { colspan: 5 }, say('last_error', { error: last_error }))) : null;
  return element('table', {}, element('thead', {}, element('tr', {}, heads)), element('tbody', {},
    row(our_url, say('this_node'), seen.head?.height, 0, null),
    members.flatMap(member => [
      row(member.address, say(`state_${member.state}`), member.height, member.lag_blocks,
        member.last_contact_seconds === null ? null : say('seconds_ago', { seconds: Math.round(member.last_contact_seconds) })),
      errorRow(member),
    ])));
}

function showOrphans({ orphans, next }) {
  const count = `${orphans.length}${next ? '+' : ''}`;
  setText('orphans-summary', orphans.length === 0 ? say('no_orphans') : say('orphans_count', { count }));
  const items = orphans.map(orphan => element('li', {},
    element('p', {}, say('orphan_stood', { height: orphan.height }), ' ',
      ...orphan.block ? [say('orphan_now'), ' ', blockWords(orphan.block.height)] : [say('orphan_waits')]),
    quiet(timeElement(orphan.replaced), ' ', blockLink(orphan.hash, element('code', {}, shortName(orphan.hash))))));
  replaceIfChanged(byId('orphans'), element('ol', { class: 'results' }, items));
}

// Charts

/** Appended blocks by the number of their bucket, and the height up to which they were counted by asking. */
let appendCounts = new Map();
let countedHeight = -1;
let lagSamples = [];

const bucketOf = seconds => Math.floor(Number(seconds) / BUCKET_SECONDS);

function countAppend({ height, timestamp }) {
  if (height <= countedHeight) return;
  const bucket = bucketOf(timestamp);
  appendCounts.set(bucket, (appendCounts.get(bucket) ?? 0) + 1);
}

/** Finds by halves how many blocks each bucket has, from the heights of the first blocks since: no texts of all of them. */
async function countAppends(signal) {
  const counts = new Map();
  const height = seen.head.height;
  countedHeight = height;
  appendCounts = counts;
  const firstHeight = async bucket => {
    const { blocks } = await get(`/blocks/?since=${Math.max(0, bucket * BUCKET_SECONDS)}&limit=1`, { signal });
    return Math.min(blocks[0]?.height ?? Infinity, height + 1);
  };
  const split = async (first, firstBlock, end, endBlock) => {
    if (firstBlock >= endBlock) return;
    if (end - first === 1) return counts.set(first, (counts.get(first) ?? 0) + endBlock - firstBlock);
    const middle = (first + end) >> 1;
    const middleBlock = await firstHeight(middle);
    await split(first, firstBlock, middle, middleBlock);
    await split(middle, middleBlock, end, endBlock);
  };
  const end = bucketOf(nodeSeconds()) + 1;
  const first = end - CHART_SECONDS / BUCKET_SECONDS;
  await split(first, await firstHeight(first), end, height + 1);
  drawAppends();
}

function sampleLag(members) {
  const now = nodeSeconds();
  const lags = new Map(members.map(member => [member.address, member.state === 'removed' ? null : member.lag_blocks]));
  lagSamples = [...lagSamples.filter(sample => sample.seconds > now - CHART_SECONDS), { seconds: now, lags }];
}

function roundScale(value) {
  const unit = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 2, 5, 10].map(step => step * unit).find(scale => scale >= value);
}

/** The frame of a chart of the last minutes; `x` takes seconds ago, `y` what is shown. */
function chartFrame(container, maximum, label) {
  const [width, height, left, bottom] = [container.clientWidth || 320, 104, 40, 18];
  const scale = roundScale(maximum);
  const x = secondsAgo => width - (width - left) * secondsAgo / CHART_SECONDS;
  const y = value => 8 + (height - bottom - 8) * (1 - value / scale);
  const lines = [0, scale / 2, scale].flatMap(value => [
    shape('line', { class: 'grid', x1: left, x2: width, y1: y(value), y2: y(value) }),
    shape('text', { x: left - 6, y: y(value) + 4, 'text-anchor': 'end' }, grouped(value)),
  ]);
  const minutes = CHART_SECONDS / 60;
  const times = [...Array(minutes + 1).keys()].map(minute => shape('text', {
    x: x(60 * minute), y: height - 3, 'text-anchor': minute === 0 ? 'end' : 'middle',
  }, minute === 0 ? say('now') : say('minutes_ago', { minutes: minute })));
  const svg = shape('svg', { width, height, role: 'img', 'aria-label': label }, lines, times);
  return { svg, x, y };
}

function drawAppends() {
  const end = bucketOf(nodeSeconds()) + 1;
  const buckets = Array.from({ length: CHART_SECONDS / BUCKET_SECONDS }, (_, index) => end - 1 - index);
  const rates = buckets.map(bucket => (appendCounts.get(bucket) ?? 0) / BUCKET_SECONDS);
  const blocks = buckets.reduce((sum, bucket) => sum + (appendCounts.get(bucket) ?? 0), 0);
  const label = say('appends_chart', { blocks: grouped(blocks), minutes: CHART_SECONDS / 60, most: grouped(Math.max(...rates)) });
  const { svg, x, y } = chartFrame(byId('appends-chart'), Math.max(...rates), label);
  rates.forEach((rate, index) => {
    if (rate === 0) return;
    const [left, right] = [x((index + 1) * BUCKET_SECONDS), x(index * BUCKET_SECONDS)];
    const top = Math.min(y(rate), y(0) - 1);
    svg.append(shape('rect', { class: 'bar', x: left + 0.5, width: Math.max(1, right - left - 1), y: top, height: y(0) - top },
      shape('title', {}, `${timeText(buckets[index] * BUCKET_SECONDS)}: ${say('per_second', { rate: grouped(rate) })}`)));
  });
  byId('appends-chart').replaceChildren(svg, quiet(label));
}

function drawLag() {
  const container = byId('lag-chart');
  const members = seen.group?.members ?? [];
  if (members.length === 0) return container.replaceChildren(quiet(say('alone')));
  const worst = address => Math.max(0, ...lagSamples.map(sample => sample.lags.get(address) ?? 0));
  const charted = members.map(member => member.address)
    .sort((one, other) => worst(other) - worst(one)).slice(0, CHARTED_MEMBERS_MAX).sort();
  const { svg, x, y } = chartFrame(container, Math.max(...charted.map(worst)), say('lag_chart'));
  charted.forEach((address, index) => svg.append(shape('path', { class: `curve-${index}`, d: lagPath(address, x, y) })));
  container.replaceChildren(svg, element('ul', { class: 'legend' }, charted.map((address, index) => {
    const member = members.find(member => member.address === address);
    const lag = member.state === 'removed' ? say('state_removed') : say('behind', { lag: grouped(member.lag_blocks ?? 0) });
    return element('li', {},
      shape('svg', { width: 22, height: 8, 'aria-hidden': 'true' }, shape('path', { class: `curve-${index}`, d: 'M0 4H22' })),
      ` ${hostOf(address)} `, element('span', { class: 'quiet' }, lag));
  })));
}

/** In steps; with a gap where the lag is not known. */
function lagPath(address, x, y) {
  const now = nodeSeconds();
  let path = '';
  let isDrawing = false;
  for (const { seconds, lags } of lagSamples) {
    const lag = lags.get(address) ?? null;
    const left = x(now - seconds).toFixed(1);
    if (lag !== null) path += isDrawing ? `H${left}V${y(lag).toFixed(1)}` : `M${left} ${y(lag).toFixed(1)}h2`;
    isDrawing = lag !== null;
  }
  return path;
}

// Finding

function findBlock(event) {
  event.preventDefault();
  navigate(addressOf({ block: byId('block-name').value.trim() }));
}

async function findTime(event) {
  event.preventDefault();
  const result = byId('find-result');
  const seconds = Math.max(0, Math.floor(Date.parse(`${byId('time').value}Z`) / 1000));
  try {
    const [block] = (await get(`/blocks/?since=${seconds}&limit=1`)).blocks;
    if (!block) return result.replaceChildren(say('none_since', { time: timeText(seconds) }), ' ', headText());
    await navigate(addressOf({ from: block.height }));
    result.replaceChildren(say('first_since', { time: timeText(seconds) }), ' ', blockWords(block.height));
    const row = document.querySelector(`#blocks [data-height="${block.height}"]`);
    row?.classList.add('found');
    row?.scrollIntoView({ block: 'center' });
  } catch (error) {
    result.replaceChildren(explain(error));
  }
}

let searching = null;

/** Reads the range page by page, for as long as nobody cancels and there are not too many results. */
async function search(event) {
  event.preventDefault();
  searching?.abort();
  searching = new AbortController();
  const { signal } = searching;
  const [first, last] = [Number(byId('search-from').value), Number(byId('search-to').value)];
  const pattern = new RegExp(escaped(byId('search-text').value), byId('search-any-case').checked ? 'iu' : 'u');
  const found = { results: 0, damaged: [], next: first };
  byId('search-results').replaceChildren();
  setSearching(true);
  try {
    await searchRange(pattern, first, last, found, signal);
    endSearch(found.results >= RESULTS_MAX && found.next <= last ? 'search_full' : 'search_done', found, last);
  } catch (error) {
    if (isAbort(error)) endSearch('search_cancelled', found, last);
    else setText('search-state', explain(error));
  }
  if (searching?.signal === signal) setSearching(false);
}

const escaped = text => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');

async function searchRange(pattern, first, last, found, signal) {
  for (let limit = 8; found.next <= last && found.results < RESULTS_MAX;) {
    const blocks = await readRange(found.next, Math.min(limit, last - found.next + 1), signal);
    if (blocks.length === 0) break;
    for (const block of blocks) {
      if (found.results >= RESULTS_MAX) break;
      found.next = block.height + 1;
      if (block.damaged) found.damaged.push(block.height);
      else addResult(block, pattern, found);
    }
    const characters = blocks.reduce((sum, block) => sum + 200 + (block.data?.length ?? 0), 0);
    const fitting = Math.floor(SEARCH_PAGE_CHARACTERS * blocks.length / characters);
    limit = Math.max(1, Math.min(SEARCH_PAGE_BLOCKS_MAX, 4 * limit, fitting));
    byId('search-progress').value = (found.next - first) / Math.max(1, last - first + 1);
  }
}

function addResult(block, pattern, found) {
  const match = pattern.exec(block.data);
  if (!match) return;
  found.results += 1;
  const [start, end] = [match.index, match.index + match[0].length];
  const [before, after] = [block.data.slice(Math.max(0, start - 60), start), block.data.slice(end, end + 120)];
  byId('search-results').append(element('li', {},
    element('p', { class: 'block-line' }, blockWords(block.height), timeElement(block.timestamp)),
    element('p', { class: 'data', dir: 'auto' }, start > 60 ? '…' : '', visible(before),
      element('mark', {}, visible(match[0].slice(0, 200))), visible(after), end + 120 < block.data.length ? '…' : '')));
}

function endSearch(key, { results, damaged, next }, last) {
  const parts = [say(key, { count: grouped(results), height: next - 1 })];
  if (damaged.length > 0) parts.push(say('search_damaged', { heights: damaged.slice(0, 20).join(', ') }));
  setText('search-state', parts.join(' '));
  // So that the same button goes on.
  if (key !== 'search_done' && next <= last) byId('search-from').value = next;
}

function setSearching(isSearching) {
  byId('search-cancel').hidden = !isSearching;
  byId('search-progress').hidden = !isSearching;
  if (isSearching) setText('search-state', say('search_runs'));
}

// Appending

/** What was sent and is not decided: the same text goes with the same key, so that it is appended once. */
let attempt = null;
let isEmptyMeant = false;

function randomKey() {
  return hexOfBytes(crypto.getRandomValues(new Uint8Array(16)));
}

function attemptOf(text, isOntoHead) {
  if (attempt?.text === text && attempt.isOntoHead === isOntoHead) return attempt;
  const body = JSON.stringify(isOntoHead ? { data: text, last_hash: seen.head.hash } : { data: text });
  return { text, isOntoHead, body, key: randomKey() };
}

async function append(event) {
  event.preventDefault();
  const [field, start, result] = [byId('append-text'), byId('append-start'), byId('append-result')];
  if (start.disabled) return;
  if (field.value === '' && !isEmptyMeant) {
    isEmptyMeant = true;
    return result.replaceChildren(notice('warn', say('append_empty')));
  }
  attempt = attemptOf(field.value, byId('append-onto-head').checked);
  start.disabled = true;
  result.replaceChildren(element('p', {}, say('append_runs')));
  try {
    const response = await open('/blocks/', {
      method: 'POST', body: attempt.body, headers: { 'Content-Type': 'application/json', 'Idempotency-Key': attempt.key },
    });
    const [block] = parse(await response.text()).blocks;
    result.replaceChildren(notice('good', say('appended'), ' ', blockWords(block.height),
      element('code', {}, block.hash)));
    if (field.value === attempt.text) field.value = '';
    attempt = null;
  } catch (error) {
    result.replaceChildren(refusedAppend(error));
    // What was refused for good is another append when it is sent again.
    if (error instanceof Refusal && [400, 409, 413, 422].includes(error.status)) attempt = null;
  }
  start.disabled = false;
  isEmptyMeant = false;
  showAppendForm();
}

function refusedAppend(error) {
  if (!(error instanceof Refusal)) return notice('warn', say('append_unknown'), ' ', say('unreachable'));
  const { status, content } = error;
  if (status === 400 && content?.head) return notice('bad', say('append_not_onto', { height: content.head.height }));
  if (status === 413) return notice('bad', say('append_too_large'), ' ', explain(error));
  if (status === 503) {
    return notice('warn', say('append_not_now', { seconds: error.retryAfterSeconds ?? 1 }), ' ', explain(error));
  }
  if (status === 504) return notice('warn', say('append_unknown'), ' ', explain(error));
  if (status === 507) return notice('bad', say('append_full'));
  return notice('bad', say('append_refused'), ' ', explain(error));
}

function showAppendForm() {
  const text = byId('append-text').value;
  const isSame = attempt?.text === text && attempt.isOntoHead === byId('append-onto-head').checked;
  setText('append-start', say(isSame ? 'try_again' : 'append'));
  setText('append-size', sizeText(encoder.encode(text).length));
  if (text !== '') isEmptyMeant = false;
}

// The start

/** What runs while the page is seen. */
let running = null;

async function poll(signal) {
  while (!signal.aborted) {
    if (!isTokenDeclined) await Promise.allSettled([pollStatus(signal), pollGroup(signal)]);
    drawAppends();
    await pause(POLL_SECONDS, signal);
  }
}

function runWhileSeen() {
  running?.abort();
  if (document.hidden) return;
  running = new AbortController();
  follow(running.signal);
  poll(running.signal);
}

function listen(id, event, act) {
  byId(id).addEventListener(event, act);
}

function redraw() {
  drawAppends();
  showGroup();
}

function start() {
  for (const part of document.querySelectorAll('[data-script]')) part.hidden = false;
  makePagers();
  listen('connect-now', 'click', connectNow);
  listen('validate', 'click', validate);
  listen('block-form', 'submit', findBlock);
  listen('time-form', 'submit', findTime);
  listen('search-form', 'submit', search);
  listen('search-cancel', 'click', () => searching?.abort());
  listen('search-text', 'focus', () => { byId('search-to').value ||= seen.head?.height ?? 0; });
  listen('pause', 'click', togglePause);
  listen('append-form', 'submit', append);
  listen('append-text', 'input', showAppendForm);
  listen('append-onto-head', 'change', showAppendForm);
  listen('append-text', 'keydown', event => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) append(event);
  });
  listen('token-cancel', 'click', () => byId('token-dialog').close(''));
  document.addEventListener('click', followLink);
  document.addEventListener('visibilitychange', runWhileSeen);
  addEventListener('popstate', () => showView(false));
  addEventListener('resize', redraw);
  showAppendForm();
  showView(false);
  runWhileSeen();
}

start();
