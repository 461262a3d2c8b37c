// The page is put together here: each part gets what it needs of the others, and none knows more.
import { adding } from './adding.js';
import * as address from './address.js';
import { article } from './article.js';
import { chat } from './chat.js';
import { say } from './dom.js';
import { filters } from './filters.js';
import { keys } from './keys.js';
import { library } from './library.js';
import { notes } from './notes.js';
import { get } from './requests.js';
import { side } from './side.js';
import { theme } from './theme.js';
import texts from './texts.js';

export function start({ element, props, tell, watch }) {
  document.documentElement.lang = texts.language;
  document.documentElement.dir = texts.direction;
  // Gradio gives its boxes a direction of their own.
  element.closest('[dir]:not(html)')?.removeAttribute('dir');
  const top = element.querySelector('.top');
  new ResizeObserver(() => element.style.setProperty('--top', top.offsetHeight + 'px')).observe(top);
  const { note, aloud } = notes({ element });
  const views = { ask: element.querySelector('.chat'), library: element.querySelector('.library') };
  const scrolls = {};
  let view = 'ask';

  const chosen = filters({
    element,
    note,
    changed() {
      moved();
      if (view === 'library') shelf.refresh();
    },
  });
  const panel = article({
    element,
    aloud,
    marked: (button) => talk.mark(button),
    laid: () => list.place(),
    fallback: () => view === 'ask' && talk.focus(),
  });
  const talk = chat({
    element,
    props,
    tell,
    filters: chosen,
    hooks: {
      note,
      aloud,
      moved,
      asked: () => (arrivals += 1),
      open: panel.open,
      kept: () => list.refresh(),
      cleared: panel.close,
    },
  });
  const shelf = library({
    element,
    filters: chosen,
    hooks: {
      note,
      open: panel.open,
      left: panel.close,
      moved,
      changed: counts,
      ask(found) {
        chosen.only(found);
        show('ask');
        talk.focus();
      },
    },
  });
  const list = side({
    element,
    note,
    current: () => talk.id,
    forgotten: talk.forget,
    open(id) {
      show('ask');
      if (id === talk.id) return;
      if (talk.isBusy) note(say('busy'));
      else reopen(id, true);
    },
  });
  adding({
    element,
    note,
    aloud,
    added() {
      counts();
      if (view === 'library') shelf.refresh();
    },
    ask() {
      show('ask');
      talk.focus();
    },
  });
  theme({ element, note });
  keys({
    element,
    focus() {
      show('ask');
      talk.focus();
    },
    step: (by) => (panel.isOpen ? panel.step(by) : view === 'ask' && talk.step(by)),
  });

  // The address follows what is shown, and so does the name that the browser lists it by.
  function moved(step = false) {
    const shown = shelf.shown && shelf.shown.id;
    address.write({ conversation: talk.id, question: talk.question, view, shown, where: chosen.get() }, step);
    entitle();
  }

  function entitle() {
    const of = view === 'ask' ? talk.question : shelf.shown ? shelf.shown.title : say('library');
    document.title = of ? say('title', { of, name: say('name') }) : say('name');
  }

  function show(name, step = true) {
    if (view === name) {
      if (name === 'library' && step && shelf.shown) {
        shelf.close();
        moved(true);
      }
      return;
    }
    arrivals += step ? 1 : 0;
    shelf.leave();
    scrolls[view] = window.scrollY;
    view = name;
    panel.close();
    for (const [key, part] of Object.entries(views)) part.hidden = key !== name;
    element.querySelectorAll('.views button').forEach((button) => {
      if (button.dataset.view === name) button.setAttribute('aria-current', 'page');
      else button.removeAttribute('aria-current');
    });
    const was = scrolls[name] || 0;
    if (name === 'library') {
      shelf.close();
      shelf.refresh();
    }
    window.scrollTo(0, was);
    if (step) moved(true);
  }

  // A link's question is asked at once, unless another site's page has led here: it stands in the box then.
  function begun(question) {
    const [navigation] = performance.getEntriesByType('navigation');
    if (navigation.serverTiming.some(({ name }) => name === 'elsewhere')) talk.write(question);
    else talk.ask(question);
  }

  // Says whether the conversation is there.
  async function reopen(id, chosenHere) {
    try {
      if (await talk.reopen(id, chosenHere)) moved(chosenHere);
    } catch (error) {
      if (chosenHere || !error.missing) note(error.message);
      return !error.missing;
    }
    return true;
  }

  async function counts() {
    const holds = element.querySelector('.holds');
    try {
      const { articles, passages } = await get('holds');
      holds.textContent = say('holds', { articles: say('articles', { n: articles }), passages: say('passages', { n: passages }) });
      talk.empty(!articles);
    } catch (error) {
      holds.textContent = error.message;
    }
    holds.hidden = false;
  }

  // What is still being fetched for an address that the reader has left is not shown any more.
  let arrivals = 0;

  async function arrive(first = false) {
    const ticket = ++arrivals;
    const to = address.read();
    if (talk.isBusy && to.conversation !== talk.id) {
      note(say('busy'));
      // A step ahead again, so that the one gone back to is there later.
      moved(true);
      return;
    }
    const filtered = JSON.stringify(chosen.get()) !== JSON.stringify(to.where);
    chosen.set(to.where);
    if (view === to.view && view === 'library' && filtered) shelf.refresh();
    show(to.view, false);
    if (to.view === 'library' && !to.shown) shelf.close();
    if (to.view === 'library' && to.shown) {
      await shelf.show(to.shown);
      if (ticket !== arrivals) return;
    }
    if (to.conversation && to.conversation !== talk.id) {
      if ((await reopen(to.conversation, false)) || ticket !== arrivals) return;
      // Somebody else's conversation, or one that is deleted: a link to it has its question answered.
      if (first && to.question) begun(to.question);
      else {
        talk.begin(false);
        note(say('gone'));
      }
    } else if (first && !to.conversation && to.question) begun(to.question);
    else if (!to.conversation && talk.id) talk.begin(false);
  }

  element.querySelector('.top .fresh').addEventListener('click', () => {
    show('ask');
    talk.begin();
  });
  element.querySelectorAll('.views button').forEach((button) => button.addEventListener('click', () => show(button.dataset.view)));
  window.addEventListener('popstate', async () => {
    await arrive();
    entitle();
  });
  watch('value', talk.draw);
  counts();
  arrive(true);
  if (view === 'ask') talk.focus();
}
