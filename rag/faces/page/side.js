// The reader's conversations, beside the one that is open or, where there is no room, in front of it.
import { button, directed, fill, isolated, isolate, make, say, when } from './dom.js';
import { menu } from './menu.js';
import { address, get, send } from './requests.js';

const forms = ['md', 'html', 'txt'];

export function side({ element, open, forgotten, current, note }) {
  const dialog = element.querySelector('dialog.side');
  const button_ = element.querySelector('.top .menu');
  const list = dialog.querySelector('.conversations');
  const search = dialog.querySelector('input');
  const nothing = dialog.querySelector('.none');
  const sure = element.querySelector('dialog.sure');
  const wide = window.matchMedia('(min-width: 1200px)');
  const widest = window.matchMedia('(min-width: 1600px)');
  let asked = 0;
  let wanted = true;
  let stale = false;

  // An article and the conversation leave no room for a third column.
  const beside = () => wide.matches && (widest.matches || !document.body.classList.contains('reading'));

  function place() {
    if (dialog.open) dialog.close();
    if (beside() && wanted) dialog.open = true;
    button_.setAttribute('aria-expanded', String(dialog.open));
  }

  async function refresh() {
    // Nothing is taken away from under a reader's hands.
    stale = Boolean(list.querySelector('form, details[open]'));
    if (stale) return;
    const ticket = ++asked;
    let found;
    try {
      found = await get('conversations', { words: search.value });
    } catch (error) {
      nothing.textContent = error.message;
      return;
    }
    if (ticket !== asked) return;
    const at = document.activeElement.closest('.conversations > li');
    const part = at && document.activeElement.className;
    fill(list, found.conversations.map(entry));
    // Never hidden, since what appears together with its words is not read out.
    const most = found.most ? say('conversations_most', { n: found.most }) : '';
    const none = say(search.value.trim() ? 'conversations_not_found' : 'conversations_none');
    nothing.textContent = found.conversations.length ? most : none;
    if (at) focus(at.dataset.id, part);
  }

  function focus(id, part = 'conversation') {
    const item = [...list.children].find((one) => one.dataset.id === id);
    const target = item && [...item.querySelectorAll('button, summary')].find((one) => one.className === part);
    (target || search).focus({ preventScroll: true });
  }

  function entry(conversation) {
    const { id, title, changed, turns } = conversation;
    const item = make('li');
    item.dataset.id = id;
    const link = button('conversation', undefined, () => {
      if (!beside()) dialog.close();
      open(id);
    });
    const told = say('conversation_open', { title, turns: say('turns', { n: turns }), when: when(changed) });
    link.append(directed('span', 'title', title), make('span', 'when', when(changed)));
    link.setAttribute('aria-label', told);
    if (id === current()) link.setAttribute('aria-current', 'true');
    const summary = make('summary', 'quiet', '⋯');
    summary.setAttribute('aria-label', say('more_of', { title }));
    const exports = forms.map((form) => {
      const save = make('a', '', say('export_as', { form: say('export_' + form) }));
      save.href = address('conversations/' + id + '/exported', { form });
      save.setAttribute('download', '');
      return save;
    });
    const { element: more } = menu(summary, [
      button('', say('rename'), () => rename(item, conversation)),
      ...exports,
      button('', say('delete'), () => remove(conversation)),
    ]);
    more.addEventListener('toggle', () => {
      if (!more.open && stale) refresh();
    });
    item.append(link, more);
    return item;
  }

  function rename(item, { id, title }) {
    const form = make('form', 'rename');
    const input = make('input');
    input.value = title;
    input.maxLength = 120;
    input.dir = 'auto';
    input.setAttribute('aria-label', say('rename_to'));
    form.append(input);
    let over = false;
    const end = async (keep, stay) => {
      if (over) return;
      over = true;
      if (keep && input.value.trim() && input.value !== title) {
        try {
          await send('PATCH', 'conversations/' + id, { title: input.value });
        } catch (error) {
          note(error.message);
        }
      }
      form.replaceWith(...before);
      await refresh();
      if (stay) focus(id);
    };
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      end(true, true);
    });
    input.addEventListener('blur', () => end(true, false));
    input.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape') return;
      event.preventDefault();
      event.stopPropagation();
      end(false, true);
    });
    const before = [...item.children];
    item.replaceChildren(form);
    input.select();
  }

  function remove({ id, title }) {
    sure.querySelector('p').textContent = say('delete_sure', { title: isolate(title) });
    sure.returnValue = '';
    sure.addEventListener(
      'close',
      async () => {
        if (sure.returnValue !== 'yes') return;
        try {
          await send('DELETE', 'conversations/' + id);
        } catch (error) {
          note(error.message);
          return;
        }
        forgotten(id);
        await refresh();
        search.focus({ preventScroll: true });
        note(say('deleted', { title: isolate(title) }));
      },
      { once: true },
    );
    sure.showModal();
  }

  button_.addEventListener('click', () => {
    if (dialog.open) dialog.close();
    else if (beside()) dialog.open = true;
    else dialog.showModal();
    if (beside()) wanted = dialog.open;
    button_.setAttribute('aria-expanded', String(dialog.open));
  });
  dialog.addEventListener('close', () => button_.setAttribute('aria-expanded', String(dialog.open)));
  dialog.querySelector('.close').addEventListener('click', () => dialog.close());
  dialog.addEventListener('click', (event) => {
    // Beside the list, over the page.
    if (event.target === dialog && dialog.matches(':modal')) dialog.close();
  });
  wide.addEventListener('change', place);
  widest.addEventListener('change', place);
  // Another tab may have changed them.
  document.addEventListener('visibilitychange', () => document.hidden || refresh());
  search.addEventListener('input', refresh);
  place();
  refresh();

  return { place, refresh };
}
