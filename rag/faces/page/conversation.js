// The conversation. Data arrives as JSON in props.value, one turn at a time, and becomes text nodes only.
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

function grouped(number) {
  return number.toLocaleString('en');
}

function plural(number, one) {
  return grouped(number) + ' ' + one + (number === 1 ? '' : 's');
}

// Asking

function ask(text) {
  const question = text.trim();
  if (!question || live) return;
  count += 1;
  const turn = { id: Date.now().toString(36) + '-' + count, question, drawn: [], citations: new Map() };
  turn.element = make('article', 'turn');
  turn.element.setAttribute('aria-busy', 'true');
  turn.element.append(isolated('h2', 'question', question));
  turn.answer = make('div', 'answer');
  turn.waiting = make('p', 'waiting', 'Searching the articles');
  turn.element.append(turn.waiting, turn.answer);
  turns.append(turn.element);
  live = turn;
  welcome.hidden = true;
  busy(true);
  status.textContent = 'Searching the articles.';
  turn.element.scrollIntoView({ block: 'start' });
  trigger('ask', { question, turn: turn.id });
}

function busy(yes) {
  askButton.hidden = yes;
  stopButton.hidden = !yes;
  // An answer on its way would reach the new conversation's memory.
  freshButton.hidden = yes || !turns.children.length;
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
      live.answer.append('cite' in piece ? live.drawn[i] : inRole(live.drawn[i], piece.role));
    } else if ('text' in piece && piece.text.length > last.data.length) {
      last.appendData(piece.text.slice(last.data.length));
    }
  });
  const { element } = live;
  if (value.end) finish(live, value.end);
  // Follow the words as they come, but never so far that the question leaves the screen.
  if (following) page.scrollTop += Math.min(page.scrollHeight, Math.max(0, element.getBoundingClientRect().top - 8));
}

// What answers is strong; what was put in to make a quote clear looks different from what is quoted.
function inRole(words, role) {
  if (role === 'plain') return words;
  const element = make(role === 'strong' ? 'strong' : 'span', role);
  if (role === 'added') element.title = 'Added to make clear what is quoted';
  element.append(words);
  return element;
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
  if (end.searched) box.insertBefore(isolated('p', 'searched', 'Searched for: ' + end.searched), turn.answer);
  if (end.outcome === 'abstained') {
    const title = make('p', 'refusal', 'No answer in these articles');
    box.insertBefore(title, turn.answer);
    if (end.hits.length) box.append(nearest(end.hits));
  }
  if (end.outcome in notices) box.append(make('p', 'notice', notices[end.outcome]));
  for (const note of end.notes || []) box.append(isolated('p', 'notice', note));
  for (const button of turn.answer.querySelectorAll('.cite')) {
    const item = citations.get(Number(button.dataset.number));
    if (item) button.dataset.verdict = item.verdict;
  }
  if (citations.size) box.append(sources(turn));
  const time = end.seconds < 0.95 ? Math.max(1, Math.round(end.seconds * 1000)) + ' ms' : end.seconds.toFixed(1) + ' s';
  box.append(make('p', 'ending', plural(end.passages, 'passage') + ' searched, ' + time + ' in all'));
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
    open.append(make('span', 'number', item.number), isolated('span', 'title', item.title), line, isolated('q', '', item.quote), ...alsoIn(item.also));
    open.addEventListener('click', () => openCitation(turn, item.number, open));
    entry.append(open);
    list.append(entry);
  });
  return part;
}

function nearest(hits) {
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
    open.append(isolated('span', 'title', hit.title), line, isolated('span', 'snippet', hit.snippet), ...alsoIn(hit.also));
    open.addEventListener('click', () => openArticle(hits, i, 'Passage', () => open));
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
