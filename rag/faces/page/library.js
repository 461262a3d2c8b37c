// The library: a table of the articles, a picture of them all that filters, and one article with its passages.
import { button, byline, directed, isolate, isolated, make, readable, say } from './dom.js';
import texts from './texts.js';
import { send } from './requests.js';

const WAIT = 150;
// Pixels that a finger needs to find one bar among others.
const FINGER = 24;
const BARS = 48;

// `hooks`: open(detail) shows an article's text, ask(article) asks about one, note(text, act), changed() after a removal,
// left() when an article is left, moved(step) when what the address tells has changed.
export function library({ element, filters, hooks }) {
  const view = element.querySelector('.library');
  const find = (selector) => view.querySelector(selector);
  const shelf = find('.shelf');
  const search = find('#library-search');
  const body = find('tbody');
  const count = find('.count');
  const nothing = find('.shelf > .none');
  const more = find('.more');
  const one = find('.one');
  const heads = [...view.querySelectorAll('th[data-by]')];

  let by = 'published';
  let down = true;
  let rows = [];
  let editable = false;
  let asked = 0;
  let waiting = null;
  // The article that is shown in place of the table, and where the reader was in that.
  let shown = null;
  let shows = 0;
  let left = { scroll: 0, opener: null };

  const wish = (skip) => ({ where: filters.get(), words: search.value, by, down, skip });

  // Of many years as many bars as there is room for; a mouse finds narrow ones.
  const bars = () =>
    window.matchMedia('(pointer: coarse)').matches ? Math.min(BARS, Math.max(4, Math.floor((view.clientWidth - 60) / FINGER))) : BARS;

  async function refresh(skip = 0) {
    const ticket = ++asked;
    // What is appended belongs to the order that is shown.
    more.disabled = true;
    let found;
    let picture = null;
    try {
      [found, picture] = await Promise.all([
        send('POST', 'library', wish(skip)),
        skip ? null : send('POST', 'library/picture', { ...wish(0), bars: bars() }),
      ]);
    } catch (error) {
      hooks.note(error.message);
      more.disabled = false;
      return;
    }
    if (ticket !== asked) return;
    editable = found.editable;
    view.querySelectorAll('.over .add').forEach((add) => (add.hidden = !editable));
    rows = skip ? [...rows, ...found.rows] : found.rows;
    if (!skip) body.replaceChildren();
    body.append(...found.rows.map(row));
    find('table').hidden = !found.found;
    nothing.textContent = say(found.all ? 'table_none' : 'empty_library');
    nothing.hidden = found.found > 0;
    count.textContent = say('table_count', { found: found.found, articles: say('articles', { n: found.all }) });
    count.hidden = !found.all;
    more.hidden = rows.length >= found.found;
    more.disabled = false;
    heads.forEach((head) => {
      const order = head.dataset.by === by ? (down ? 'descending' : 'ascending') : 'none';
      head.setAttribute('aria-sort', order);
    });
    if (picture) draw(picture);
  }

  function row(article) {
    const line = make('tr');
    line.setAttribute('role', 'row');
    const title = make('th');
    title.setAttribute('role', 'rowheader');
    title.scope = 'row';
    const open = button('link', undefined, () => show(article.id, true));
    open.append(make('bdi', '', article.title));
    if (article.made) open.title = say('title_made');
    title.append(open);
    const cells = [
      ['authors', article.authors.join(', ')],
      ['published', article.published ? readable(article.published) : say('undated')],
      ['source', article.source],
      ['passages', String(article.passages)],
    ].map(([name, text]) => {
      const cell = text ? isolated('td', '', text) : make('td');
      cell.dataset.column = name;
      cell.dataset.label = say('column_' + name);
      return cell;
    });
    const does = make('td', 'actions');
    if (editable) {
      const off = button('quiet', say('remove'), () => remove(article));
      off.setAttribute('aria-label', say('remove') + ': ' + article.title);
      does.append(off);
    }
    for (const cell of [...cells, does]) cell.setAttribute('role', 'cell');
    line.append(title, ...cells, does);
    return line;
  }

  async function remove(article) {
    let gone;
    try {
      gone = await send('POST', 'library/remove', { id: article.id });
    } catch (error) {
      hooks.note(error.message);
      return;
    }
    close();
    hooks.moved();
    await refresh();
    hooks.changed();
    hooks.note(say('removed', { title: isolate(gone.title) }), {
      text: say('undo'),
      seconds: Math.min(gone.seconds, 30),
      async run() {
        try {
          const found = await send('POST', 'library/undo', { undo: gone.undo });
          hooks.note(say('brought_back', { title: isolate(found.title) }));
        } catch (error) {
          hooks.note(error.message);
          return error.missing;
        }
        await refresh();
        hooks.changed();
        search.focus({ preventScroll: true });
        return true;
      },
    });
  }

  // The picture

  function draw({ articles, undated, times, authors, sources }) {
    const parts = [];
    if (times.length > 1) parts.push(overTime(times, undated));
    for (const [kind, names] of Object.entries({ authors, sources })) {
      if (names.first.length && names.first.length + names.more > 1) parts.push(ranked(kind, names));
    }
    const picture = find('.picture');
    picture.replaceChildren(...parts);
    picture.hidden = !articles || !parts.length;
  }

  function overTime(times, undated) {
    const part = make('figure', 'times');
    part.append(make('figcaption', '', say('picture_times')));
    const most = Math.max(...times.map((time) => time.articles));
    const bars = make('div', 'bars');
    times.forEach(({ since, until, articles }) => {
      const name = label(since, until);
      const bar = button('bar', undefined, () => filters.apply({ ...filters.get(), since, until }));
      bar.style.setProperty('--share', articles / most);
      bar.setAttribute('aria-label', say('bar', { name, articles: say('articles', { n: articles }) }));
      bar.title = bar.getAttribute('aria-label');
      bar.disabled = !articles;
      bars.append(bar);
    });
    const ends = make('p', 'ends');
    ends.append(make('span', '', label(times[0].since, times[0].until)));
    ends.append(make('span', '', label(times[times.length - 1].since, times[times.length - 1].until)));
    part.append(bars, ends);
    if (undated) part.append(make('p', 'about', say('picture_undated', { articles: say('articles', { n: undated }) })));
    return part;
  }

  // A stretch of time by as little as tells it: a year, a month of one, a day, or its two ends.
  function label(since, until) {
    if (since === until) return readable(since);
    const [year, month] = since.split('-');
    const [last, end] = until.split('-');
    if (year === last && month === '01' && end === '12') return String(Number(year));
    if (year === last && month === end) {
      const at = new Date(Date.UTC(Number(year), Number(month) - 1, 1));
      return at.toLocaleDateString(texts.language, { month: 'long', year: 'numeric', timeZone: 'UTC' });
    }
    return Number(year) + '–' + Number(last);
  }

  function ranked(kind, { first, more: others }) {
    const part = make('figure', 'ranked');
    part.append(make('figcaption', '', say('picture_' + kind)));
    const list = make('ol');
    const most = first[0].articles;
    first.forEach(({ name, articles }) => {
      const entry = make('li');
      const bar = button('bar', undefined, () => filters.add(kind, name));
      bar.style.setProperty('--share', articles / most);
      bar.append(directed('span', 'name', name), make('span', 'number', articles));
      bar.setAttribute('aria-label', say('bar', { name, articles: say('articles', { n: articles }) }));
      entry.append(bar);
      list.append(entry);
    });
    part.append(list);
    if (others) part.append(make('p', 'about', say('picture_more', { n: others })));
    return part;
  }

  // One article; with `step` the browser's own way back leads to the table again.

  async function show(id, step = false) {
    const ticket = ++shows;
    let found;
    try {
      found = await send('POST', 'library/article', { id });
    } catch (error) {
      hooks.note(error.message);
      if (ticket === shows) {
        close();
        hooks.moved();
      }
      return;
    }
    if (ticket !== shows) return;
    const title = directed('h2', '', found.title);
    title.tabIndex = -1;
    const facts = { passages: say('passages', { n: found.passages }), characters: say('characters', { n: found.characters }) };
    const does = make('div', 'does');
    does.append(button('prime', say('article_ask'), () => hooks.ask(found)));
    const items = found.cut.map((passage) => ({ ...found, open: { id: found.id, revision: found.revision, ...span(passage) } }));
    const read = (n, opener) => hooks.open({ items, index: n, kind: 'passage', button: () => opener });
    if (items.length) {
      const whole = button('plain', say('article_read'), () => read(0, whole));
      does.append(whole);
    }
    if (editable) does.append(button('plain', say('remove'), () => remove(found)));
    const list = make('ol', 'passages');
    found.cut.forEach((passage, n) => {
      const entry = make('li');
      const open = button('source', undefined, () => read(n, open));
      if (passage.section) open.append(isolated('span', 'section', passage.section));
      open.append(isolated('span', 'snippet', passage.text));
      entry.append(open);
      list.append(entry);
    });
    const link = make('a', 'original', '');
    if (found.url) {
      link.href = found.url;
      link.target = '_blank';
      link.rel = 'noopener noreferrer';
      link.textContent = say('original', { host: link.hostname });
    }
    one.replaceChildren(button('plain back', say('back'), back), title, byline(found));
    if (found.made) one.append(make('p', 'about', say('title_made')));
    if (found.source) one.append(isolated('p', 'about', found.source));
    if (found.url) one.append(link);
    one.append(make('p', 'about', say('article_facts', facts)), does, make('h3', '', say('article_passages')), list);
    if (one.hidden) left = { scroll: window.scrollY, opener: document.activeElement };
    shown = found;
    shelf.hidden = true;
    one.hidden = false;
    window.scrollTo(0, 0);
    title.focus({ preventScroll: true });
    hooks.moved(step);
  }

  const span = ({ start, end }) => ({ start, end });

  function back() {
    close();
    hooks.moved(true);
  }

  function close() {
    shows += 1;
    if (one.hidden) return;
    shown = null;
    one.hidden = true;
    one.replaceChildren();
    shelf.hidden = false;
    window.scrollTo(0, left.scroll);
    if (left.opener && left.opener.isConnected) left.opener.focus({ preventScroll: true });
    hooks.left();
  }

  heads.forEach((head) =>
    head.querySelector('button').addEventListener('click', () => {
      // Words go up at first, numbers and dates down.
      down = head.dataset.by === by ? !down : ['published', 'passages'].includes(head.dataset.by);
      by = head.dataset.by;
      refresh();
    }),
  );
  search.addEventListener('input', () => {
    clearTimeout(waiting);
    waiting = setTimeout(refresh, WAIT);
  });
  more.addEventListener('click', () => refresh(rows.length));
  return {
    refresh: () => refresh(),
    show,
    close,
    // An article still on its way is not shown any more.
    leave: () => (shows += 1),
    get shown() {
      return shown;
    },
  };
}
