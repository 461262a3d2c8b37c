// The conversation. Data arrives as JSON in props.value, one turn at a time, and becomes text nodes only.
const find = (selector) => element.querySelector(selector);
const turns = find('.turns');
const welcome = find('.welcome');
const form = find('.composer');
const box = find('textarea');
const askButton = find('.ask');
const stopButton = find('.stop');
const freshButton = find('.fresh');
const status = find('[role=status]');

const FAR = 120;
const verdicts = {
  supported: ['Supported', 'These words back every sentence that cites them.'],
  partial: ['Partly supported', 'These words back only a part of what is said.'],
  unsupported: ['Not supported', 'These words do not back what is said.'],
};
const notices = {
  partly: 'The articles answer only a part of this question.',
  conflict: 'The articles disagree. Compare the sources and their dates.',
};

let live = null;
let count = 0;
let shown = null;

function make(tag, name, text) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text;
  return node;
}

function isolated(tag, name, text) {
  const node = make(tag, name);
  node.append(make('bdi', '', text));
  return node;
}

function grouped(number) {
  return number.toLocaleString('en');
}

function plural(number, one) {
  return grouped(number) + ' ' + one + (number === 1 ? '' : 's');
}

function readable(published) {
  const [year, month, day] = published.split('-').map(Number);
  const date = new Date(Date.UTC(year, month - 1, day));
  return date.toLocaleDateString('en', { day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' });
}

function byline(item) {
  const line = make('span', 'by');
  item.authors.forEach((author, i) => {
    if (i) line.append(', ');
    line.append(make('bdi', '', author));
  });
  if (item.published) {
    if (item.authors.length) line.append(' · ');
    const time = make('time', '', readable(item.published));
    time.dateTime = item.published;
    line.append(time);
  }
  return line;
}

// Asking

function ask(text) {
  const question = text.trim();
  if (!question || live) return;
  count += 1;
  const turn = { id: Date.now().toString(36) + '-' + count, question, drawn: [], citations: new Map(), openings: [] };
  turn.element = make('article', 'turn');
  turn.element.setAttribute('aria-busy', 'true');
  turn.element.append(isolated('h2', 'question', question));
  turn.answer = make('div', 'answer');
  turn.waiting = make('p', 'waiting', 'Searching the articles');
  turn.element.append(turn.waiting, turn.answer);
  turns.append(turn.element);
  live = turn;
  welcome.hidden = true;
  freshButton.hidden = false;
  busy(true);
  status.textContent = 'Searching the articles.';
  turn.element.scrollIntoView({ block: 'start' });
  trigger('ask', { question, turn: turn.id });
}

function busy(yes) {
  askButton.hidden = yes;
  stopButton.hidden = !yes;
}

function settle() {
  const atButton = document.activeElement === stopButton;
  live.element.removeAttribute('aria-busy');
  live.waiting.remove();
  live = null;
  busy(false);
  // A hidden button drops the focus to the top of the page.
  if (atButton) box.focus({ preventScroll: true });
}

function stop() {
  if (!live) return;
  live.element.append(make('p', 'ending', 'Stopped.'));
  status.textContent = 'Stopped.';
  settle();
  trigger('halt');
}

function grow() {
  box.style.height = 'auto';
  box.style.height = Math.min(box.scrollHeight, 168) + 'px';
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  if (live || !box.value.trim()) return;
  ask(box.value);
  box.value = '';
  grow();
});
box.addEventListener('input', grow);
box.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
});
stopButton.addEventListener('click', stop);
freshButton.addEventListener('click', () => {
  if (live) settle();
  turns.replaceChildren();
  welcome.hidden = false;
  freshButton.hidden = true;
  status.textContent = 'New conversation.';
  window.dispatchEvent(new CustomEvent('footnote:clear'));
  trigger('fresh');
  box.focus();
});

// Drawing. Nodes are only ever added, so that the focus and the reader's selection outlive each update.

function draw() {
  const value = props.value;
  if (!live || !value || value.turn !== live.id) return;
  const page = document.scrollingElement;
  const following = page.scrollHeight - page.scrollTop - page.clientHeight < FAR;
  value.citations.forEach((item) => live.citations.set(item.number, item));
  if (value.pieces.length) live.waiting.remove();
  value.pieces.forEach((piece, i) => {
    const last = live.drawn[i];
    if (!last) {
      if ('cite' in piece) bind(live.answer.lastChild);
      live.drawn[i] = 'cite' in piece ? citation(live, piece.cite) : document.createTextNode(piece.text);
      live.answer.append(live.drawn[i]);
    } else if ('text' in piece && piece.text.length > last.data.length) {
      last.appendData(piece.text.slice(last.data.length));
    }
  });
  const { element } = live;
  if (value.end) finish(live, value.end);
  // Follow the words as they come, but never so far that the question leaves the screen.
  if (following) page.scrollTop += Math.min(page.scrollHeight, Math.max(0, element.getBoundingClientRect().top - 8));
}

// A number at the start of a line would stand beside a sentence that it has nothing to do with.
function bind(words) {
  if (words && words.nodeType === Node.TEXT_NODE) words.data = words.data.replace(/ $/, '\u00a0');
}

function citation(turn, number) {
  const item = turn.citations.get(number);
  const whole = make('span', 'cited');
  const button = make('button', 'cite', '[' + number + ']');
  const tip = make('span', 'tip');
  count += 1;
  button.type = 'button';
  button.dataset.number = number;
  button.setAttribute('aria-label', 'Citation ' + number + ': ' + item.title);
  button.setAttribute('aria-describedby', 'tip-' + count);
  tip.id = 'tip-' + count;
  tip.setAttribute('role', 'tooltip');
  tip.append(isolated('q', '', item.quote), isolated('strong', '', item.title), byline(item));
  button.addEventListener('click', () => openCitation(turn, number, button));
  whole.append(button, tip);
  return whole;
}

function finish(turn, end) {
  const { element: box, citations } = turn;
  box.dataset.outcome = end.outcome;
  if (end.outcome === 'failed') {
    box.append(make('p', 'failure', end.message));
    status.textContent = end.message;
    settle();
    return;
  }
  if (end.outcome === 'abstained') {
    const title = make('p', 'refusal', 'No answer in these articles');
    box.insertBefore(title, turn.answer);
    if (end.hits.length) box.append(nearest(turn, end.hits));
  }
  if (end.outcome in notices) box.append(make('p', 'notice', notices[end.outcome]));
  for (const button of turn.answer.querySelectorAll('.cite')) {
    const item = citations.get(Number(button.dataset.number));
    if (item) button.dataset.verdict = item.verdict;
  }
  if (citations.size) box.append(sources(turn));
  const time = end.seconds < 0.95 ? Math.max(1, Math.round(end.seconds * 1000)) + ' ms' : end.seconds.toFixed(1) + ' s';
  box.append(make('p', 'ending', 'Searched ' + plural(end.passages, 'passage') + ' in ' + time));
  status.textContent = end.outcome === 'abstained' ? 'No answer in these articles.' : 'Answer ready, ' + plural(citations.size, 'source') + '.';
  settle();
}

function sources(turn) {
  const part = make('section', 'sources');
  const list = make('ol');
  part.append(make('h3', '', 'Sources'), list);
  [...turn.citations.values()].sort((a, b) => a.number - b.number).forEach((item) => {
    const entry = make('li');
    const open = make('button', 'source');
    const [word, why] = verdicts[item.verdict];
    const verdict = make('span', 'verdict', word);
    verdict.dataset.verdict = item.verdict;
    verdict.title = why;
    const line = make('span', 'line');
    line.append(byline(item), verdict);
    open.type = 'button';
    open.dataset.number = item.number;
    open.append(make('span', 'number', item.number), isolated('span', 'title', item.title), line, isolated('q', '', item.quote));
    open.addEventListener('click', () => openCitation(turn, item.number, open));
    entry.append(open);
    list.append(entry);
  });
  return part;
}

function nearest(turn, hits) {
  const part = make('section', 'nearest');
  const list = make('ol');
  part.append(make('h3', '', 'The nearest passages'), list);
  hits.forEach((hit, i) => {
    const entry = make('li');
    const open = make('button', 'source');
    const line = make('span', 'line');
    line.append(byline(hit));
    if (hit.section) line.append(isolated('span', 'section', hit.section));
    open.type = 'button';
    open.append(isolated('span', 'title', hit.title), line, isolated('span', 'snippet', hit.snippet));
    open.addEventListener('click', () => openArticle(hits, i, 'Passage', () => open));
    turn.openings.push(open);
    entry.append(open);
    list.append(entry);
  });
  return part;
}

// Opening an article, and showing which citation is open

function openCitation(turn, number, opener) {
  const items = [...turn.citations.values()].sort((a, b) => a.number - b.number);
  const index = items.findIndex((item) => item.number === number);
  const button = (item) =>
    String(item.number) === opener.dataset.number ? opener : turn.answer.querySelector('.cite[data-number="' + item.number + '"]');
  openArticle(items, index, 'Citation', button);
}

function openArticle(items, index, kind, button) {
  hideTip();
  window.dispatchEvent(new CustomEvent('footnote:open', { detail: { items, index, kind, button } }));
}

window.addEventListener('footnote:shown', (event) => {
  if (shown) shown.removeAttribute('aria-current');
  shown = event.detail;
  if (shown) shown.setAttribute('aria-current', 'true');
});

// Tooltips: on hover and on focus, kept while the pointer is over them, put away by Escape.

let tip = null;

function showTip(button) {
  if (tip === button.nextSibling) return;
  hideTip();
  tip = button.nextSibling;
  tip.classList.add('up');
  const at = button.getBoundingClientRect();
  const size = tip.getBoundingClientRect();
  const left = Math.max(8, Math.min(at.left + at.width / 2 - size.width / 2, document.documentElement.clientWidth - size.width - 8));
  tip.style.left = left + 'px';
  tip.style.top = (at.top > size.height + 12 ? at.top - size.height - 6 : at.bottom + 6) + 'px';
}

function hideTip() {
  if (tip) tip.classList.remove('up');
  tip = null;
}

turns.addEventListener('pointerover', (event) => {
  if (event.pointerType === 'touch') return;
  const button = event.target.closest('.cite');
  if (button) showTip(button);
  else if (tip && !tip.contains(event.target) && tip.previousSibling !== document.activeElement) hideTip();
});
turns.addEventListener('pointerleave', hideTip);
turns.addEventListener('focusin', (event) => {
  if (event.target.matches('.cite:focus-visible')) showTip(event.target);
});
turns.addEventListener('focusout', hideTip);
window.addEventListener('scroll', hideTip, { passive: true });
document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape' || !tip) return;
  // One Escape puts away one thing: the tooltip first, then the article.
  event.stopImmediatePropagation();
  event.preventDefault();
  hideTip();
}, true);

// The first screen

const { examples } = props.value;
examples.forEach((example) => {
  const entry = make('li');
  const button = isolated('button', 'example', example);
  button.type = 'button';
  button.addEventListener('click', () => {
    ask(example);
    box.focus({ preventScroll: true });
  });
  entry.append(button);
  find('.examples ul').append(entry);
});
find('.examples').hidden = !examples.length;

server.get_stats().then((stats) => {
  const line = find('.holds');
  if (!stats) return;
  line.textContent = stats.ok ? plural(stats.articles, 'article') + ', ' + plural(stats.passages, 'passage') : stats.message;
  line.hidden = false;
});

watch('value', draw);
box.focus({ preventScroll: true });
