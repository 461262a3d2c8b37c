// Which articles are searched: chips that tell it, and a sheet to choose by.
import { button, isolated, make, readable, say } from './dom.js';
import { get, send } from './requests.js';
import { none } from './address.js';

const kinds = { authors: 'author', sources: 'source', sections: 'section', articles: 'article' };
// Articles are known by their ids and told by their titles, where these have been seen.
const titles = new Map();
const OFFERED = 500;

// A filter in words, one part each.
function parts(where) {
  const found = [];
  for (const [kind, name] of Object.entries(kinds)) {
    where[kind].forEach((value) => found.push({ kind, value, text: say('chip_' + name, { name: titles.get(value) || value }) }));
  }
  for (const day of ['since', 'until']) {
    if (where[day]) found.push({ kind: day, value: null, text: say('chip_' + day, { date: readable(where[day]) }) });
  }
  return found;
}

export function told(where) {
  return parts(where).map((part) => part.text).join(', ');
}

export function filters({ element, changed, note }) {
  const sheet = element.querySelector('dialog.filters');
  const lists = element.querySelectorAll('.chips');
  const days = [...sheet.querySelectorAll('input[data-day]')];
  let where = none();
  let offered = {};

  function draw() {
    for (const list of lists) {
      list.replaceChildren(
        ...parts(where).map(({ kind, value, text }) => {
          const entry = make('li');
          const off = button('chip', undefined, () => {
            const next = { ...where, [kind]: value === null ? null : where[kind].filter((one) => one !== value) };
            apply(next);
            const near = list.parentElement.querySelector('button.filter, .pick input');
            (list.querySelector('.chip') || near).focus({ preventScroll: true });
          });
          off.append(isolated('span', '', text), make('span', 'cross', '×'));
          off.setAttribute('aria-label', say('filter_remove', { filter: text }));
          entry.append(off);
          return entry;
        }),
      );
      list.hidden = !list.children.length;
    }
    days.forEach((input) => {
      if (document.activeElement !== input) input.value = where[input.dataset.day] || '';
    });
  }

  function apply(next) {
    where = next;
    draw();
    changed();
  }

  function add(kind, value) {
    const name = value.trim();
    if (!name || where[kind].includes(name)) return;
    apply({ ...where, [kind]: [...where[kind], name] });
    const known = offered[kind];
    if (known && known.length < OFFERED && !known.some((one) => alike(one, name))) note(say('filter_unknown', { name }));
  }

  const alike = (one, other) => one.localeCompare(other, undefined, { sensitivity: 'base' }) === 0;

  // Titles of the articles that an address or an earlier question names.
  async function learn(ids = where.articles) {
    const unknown = [...new Set(ids)].filter((id) => !titles.has(id));
    if (!unknown.length) return;
    try {
      const found = await send('POST', 'library', { where: { ...none(), articles: unknown } });
      found.rows.forEach(({ id, title }) => titles.set(id, title));
      draw();
    } catch {
      // Their ids tell them too.
    }
  }

  async function open() {
    sheet.returnValue = '';
    sheet.showModal();
    try {
      const found = await get('choices');
      for (const kind of ['authors', 'sources', 'sections']) {
        const names = found[kind].slice(0, OFFERED).map((one) => (typeof one === 'string' ? { name: one } : one));
        offered[kind] = names.map(({ name }) => name);
        const options = names.map(({ name, articles }) => {
          const option = make('option');
          option.value = name;
          if (articles) option.label = say('articles', { n: articles });
          return option;
        });
        sheet.querySelector('#choices-' + kind).replaceChildren(...options);
      }
    } catch (error) {
      note(error.message);
    }
  }

  sheet.addEventListener('click', (event) => {
    const pick = event.target.closest('button[data-kind]');
    if (!pick) return;
    const input = sheet.querySelector('input[data-kind=' + pick.dataset.kind + ']');
    add(pick.dataset.kind, input.value);
    input.value = '';
    input.focus();
  });
  sheet.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.isComposing || !event.target.matches('input[data-kind]')) return;
    event.preventDefault();
    add(event.target.dataset.kind, event.target.value);
    event.target.value = '';
  });
  days.forEach((input) =>
    input.addEventListener('change', () => {
      // A year that is half typed is a date too.
      if (!input.value || input.value >= '0100') apply({ ...where, [input.dataset.day]: input.value || null });
    }),
  );
  sheet.querySelector('.clear').addEventListener('click', () => apply(none()));
  // What was typed and not added is meant as well.
  sheet.addEventListener('close', () => {
    sheet.querySelectorAll('input[data-kind]').forEach((input) => {
      if (sheet.returnValue === 'done') add(input.dataset.kind, input.value);
      input.value = '';
    });
  });
  element.querySelectorAll('button.filter').forEach((opener) => opener.addEventListener('click', open));
  draw();

  return {
    get: () => structuredClone(where),
    set(next) {
      where = structuredClone(next);
      draw();
      learn();
    },
    learn,
    add,
    apply,
    // Only this article.
    only({ id, title }) {
      titles.set(id, title);
      apply({ ...none(), articles: [id] });
    },
  };
}
