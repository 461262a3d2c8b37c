// Nodes and words. Everything that comes from an article, a reader or the server becomes text nodes.
import texts from './texts.js';

const plurals = new Intl.PluralRules(texts.language);

export function make(tag, name, text) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text;
  return node;
}

// With its own direction, so that words of another script do not reorder what stands around them.
export function isolated(tag, name, text) {
  const node = make(tag, name);
  node.append(make('bdi', '', text));
  return node;
}

// A box of words in their own direction: they begin at their own side, and where the box cuts what is too long a name
// of another script keeps its beginning, not its end.
export function directed(tag, name, text) {
  const node = make(tag, name, text);
  node.dir = 'auto';
  return node;
}

// For a name within a sentence of the interface.
export function isolate(name) {
  return '\u2068' + name + '\u2069';
}

export function button(name, text, act) {
  const node = make('button', name, text);
  node.type = 'button';
  node.addEventListener('click', act);
  return node;
}

// A text of the interface with its gaps filled; one that counts is given n.
export function say(key, values = {}) {
  let text = texts[key];
  if (typeof text === 'object') text = text[plurals.select(values.n)] ?? text.other;
  return text.replace(/\{(\w+)\}/g, (_, name) => {
    const value = values[name];
    return typeof value === 'number' ? grouped(value) : value;
  });
}

// The same with a node in one gap.
export function said(key, name, node) {
  const [before, after] = texts[key].split('{' + name + '}');
  return [before, node, after];
}

export function grouped(number) {
  return number.toLocaleString(texts.language);
}

export function readable(day) {
  const [year, month, date] = day.split('-').map(Number);
  // Date.UTC takes the years up to 99 for those of the last century.
  const at = new Date(0);
  at.setUTCFullYear(year, month - 1, date);
  return at.toLocaleDateString(texts.language, { day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' });
}

export function when(seconds) {
  const at = new Date(seconds * 1000);
  const today = at.toDateString() === new Date().toDateString();
  return today
    ? at.toLocaleTimeString(texts.language, { hour: 'numeric', minute: '2-digit' })
    : at.toLocaleDateString(texts.language, { day: 'numeric', month: 'short', year: 'numeric' });
}

export function lasting(seconds) {
  const whole = Math.max(1, Math.round(seconds));
  return whole < 90 ? say('seconds', { n: whole }) : say('minutes', { n: Math.round(whole / 60) });
}

export function took(seconds) {
  if (seconds < 0.95) return say('milliseconds', { n: Math.max(1, Math.round(seconds * 1000)) });
  return say('about_seconds', { n: seconds.toLocaleString(texts.language, { maximumFractionDigits: 1 }) });
}

export function byline(item) {
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

// Which other articles print the same, or nothing.
export function alsoIn({ articles, more }) {
  if (!articles.length) return [];
  const names = make('span');
  articles.forEach((article, i) => {
    if (i) names.append(more || i < articles.length - 1 ? '; ' : ' ' + say('and') + ' ');
    const told = [article.source && make('bdi', '', article.source), article.published && readable(article.published)];
    names.append(make('bdi', '', article.title));
    told.filter(Boolean).forEach((part, n) => names.append(n ? ', ' : ' (', part));
    if (told.some(Boolean)) names.append(')');
  });
  if (more) names.append(' ' + say('also_more', { n: more }));
  const line = make('span', 'also');
  line.append(...said('also_in', 'articles', names));
  return [line];
}

export function fill(list, nodes) {
  list.replaceChildren(...nodes);
  list.hidden = !nodes.length;
}
