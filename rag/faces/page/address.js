// The page's address: a link to it opens the same conversation, question, filters, view and article again.

const LONGEST = 1500;
const lists = { author: 'authors', source: 'sources', section: 'sections', article: 'articles' };

export function none() {
  return { authors: [], sources: [], sections: [], articles: [], since: null, until: null };
}

// A day that is none would make every question fail.
function day(text) {
  const isDay = /^\d{4}-\d\d-\d\d$/.test(text || '') && !Number.isNaN(Date.parse(text));
  return isDay && new Date(text).toISOString().startsWith(text) ? text : null;
}

export function read() {
  const query = new URLSearchParams(location.search);
  const where = none();
  for (const [name, kind] of Object.entries(lists)) where[kind] = query.getAll(name);
  for (const name of ['since', 'until']) where[name] = day(query.get(name));
  return {
    conversation: query.get('c'),
    question: query.get('q'),
    view: query.get('view') === 'library' ? 'library' : 'ask',
    shown: query.get('id'),
    where,
  };
}

// With `step` the reader comes back here by the browser's own way back.
export function write({ conversation, question, view, shown, where }, step = false) {
  const query = new URLSearchParams();
  if (conversation) query.set('c', conversation);
  // A server reads no address of any length; the conversation says what was asked.
  if (question && question.length <= LONGEST) query.set('q', question);
  if (view === 'library') query.set('view', view);
  if (view === 'library' && shown) query.set('id', shown);
  for (const [name, kind] of Object.entries(lists)) where[kind].forEach((value) => query.append(name, value));
  for (const name of ['since', 'until']) if (where[name]) query.set(name, where[name]);
  const told = query.toString();
  const to = location.pathname + (told ? '?' + told : '');
  if (to === location.pathname + location.search) return;
  history[step ? 'pushState' : 'replaceState'](null, '', to);
}
