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
  const note = notes({ element });
  const views = { ask: element.querySelector('.chat'), library: element.querySelector('.library') };
  let view = 'ask';

  const chosen = filters({
    element,
    note,
    changed() {
      moved();
      if (view === 'library') shelf.refresh();
    },
  });
  const panel = article({ element, marked: (button) => talk.mark(button) });
  const talk = chat({
    element,
    props,
    tell,
    filters: chosen,
    hooks: {
      note,
      moved,
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
      reopen(id, true);
    },
  });
  adding({
    element,
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

  // The address follows what is shown.
  function moved(step = false) {
    address.write({ conversation: talk.id, question: talk.question, view, where: chosen.get() }, step);
  }

  function show(name, step = true) {
    if (view === name) {
      if (name === 'library') shelf.back();
      return;
    }
    view = name;
    panel.close();
    for (const [key, part] of Object.entries(views)) part.hidden = key !== name;
    element.querySelectorAll('.views button').forEach((button) => {
      if (button.dataset.view === name) button.setAttribute('aria-current', 'page');
      else button.removeAttribute('aria-current');
    });
    window.scrollTo(0, name === 'ask' ? document.body.scrollHeight : 0);
    if (name === 'library') {
      shelf.back();
      shelf.refresh();
    }
    if (step) moved(true);
  }

  async function reopen(id, step) {
    try {
      await talk.reopen(id);
    } catch (error) {
      if (!error.missing || step) note(error.message);
      return !error.missing;
    }
    moved(step);
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

  async function arrive() {
    const to = address.read();
    chosen.set(to.where);
    show(to.view, false);
    if (to.conversation && to.conversation !== talk.id) {
      const there = await reopen(to.conversation, false);
      // Somebody else's conversation, or one that is deleted: its question can be asked again.
      if (!there && to.question) {
        chosen.set(to.where);
        talk.ask(to.question);
      }
    } else if (!to.conversation && to.question) talk.ask(to.question);
    else if (!to.conversation && talk.id) talk.begin();
  }

  element.querySelectorAll('.views button').forEach((button) => button.addEventListener('click', () => show(button.dataset.view)));
  window.addEventListener('popstate', arrive);
  watch('value', talk.draw);
  counts();
  arrive();
  if (view === 'ask') talk.focus();
}
