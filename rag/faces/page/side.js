// The reader's conversations, beside the one that is open or, on a narrow page, in front of it.
import { button, fill, isolated, make, say, when } from './dom.js';
import { address, get, send } from './requests.js';

const forms = ['md', 'html', 'txt'];

export function side({ element, open, forgotten, current, note }) {
  const dialog = element.querySelector('dialog.side');
  const menu = element.querySelector('.top .menu');
  const list = dialog.querySelector('.conversations');
  const search = dialog.querySelector('input');
  const nothing = dialog.querySelector('.none');
  const sure = element.querySelector('dialog.sure');
  const wide = window.matchMedia('(min-width: 1200px)');
  let asked = 0;

  function place() {
    if (dialog.open) dialog.close();
    if (wide.matches) dialog.open = true;
    menu.setAttribute('aria-expanded', String(dialog.open));
  }

  async function refresh() {
    const ticket = ++asked;
    let found;
    try {
      found = await get('conversations', { words: search.value });
    } catch (error) {
      nothing.textContent = error.message;
      nothing.hidden = false;
      return;
    }
    if (ticket !== asked) return;
    fill(list, found.conversations.map(entry));
    nothing.textContent = say(search.value.trim() ? 'conversations_not_found' : 'conversations_none');
    nothing.hidden = found.conversations.length > 0;
  }

  function entry(conversation) {
    const { id, title, changed, turns } = conversation;
    const item = make('li');
    const link = button('conversation', undefined, () => {
      if (!wide.matches) dialog.close();
      open(id);
    });
    const told = say('conversation_open', { title, turns: say('turns', { n: turns }), when: when(changed) });
    link.append(isolated('span', 'title', title), make('span', 'when', when(changed)));
    link.setAttribute('aria-label', told);
    if (id === current()) link.setAttribute('aria-current', 'true');
    const more = make('details', 'menu');
    const summary = make('summary', 'quiet', '⋯');
    summary.setAttribute('aria-label', say('more_of', { title }));
    const choices = make('div', 'choices');
    more.append(summary, choices);
    choices.append(button('', say('rename'), () => rename(item, conversation)));
    for (const form of forms) {
      const save = make('a', '', say('export') + ': ' + say('export_' + form));
      save.href = address('conversations/' + id + '/exported', { form });
      save.setAttribute('download', '');
      choices.append(save);
    }
    choices.append(button('', say('delete'), () => remove(conversation)));
    more.addEventListener('focusout', (event) => {
      if (event.relatedTarget && !more.contains(event.relatedTarget)) more.open = false;
    });
    item.append(link, more);
    return item;
  }

  function rename(item, { id, title }) {
    const form = make('form', 'rename');
    const input = make('input');
    input.value = title;
    input.maxLength = 120;
    input.setAttribute('aria-label', say('rename_to'));
    form.append(input);
    let over = false;
    const end = async (keep) => {
      if (over) return;
      over = true;
      if (keep && input.value.trim() && input.value !== title) {
        try {
          await send('PATCH', 'conversations/' + id, { title: input.value });
        } catch (error) {
          note(error.message);
        }
      }
      await refresh();
    };
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      end(true);
    });
    input.addEventListener('blur', () => end(true));
    input.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape') return;
      event.preventDefault();
      event.stopPropagation();
      end(false);
    });
    item.replaceChildren(form);
    input.select();
  }

  function remove({ id, title }) {
    sure.querySelector('p').replaceChildren(make('bdi', '', say('delete_sure', { title })));
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
        refresh();
      },
      { once: true },
    );
    sure.showModal();
  }

  menu.addEventListener('click', () => {
    if (dialog.open) dialog.close();
    else if (wide.matches) dialog.open = true;
    else dialog.showModal();
    menu.setAttribute('aria-expanded', String(dialog.open));
  });
  dialog.addEventListener('close', () => menu.setAttribute('aria-expanded', 'false'));
  dialog.querySelector('.close').addEventListener('click', () => dialog.close());
  dialog.addEventListener('click', (event) => {
    // Beside the list, over the page.
    if (event.target === dialog && dialog.matches(':modal')) dialog.close();
  });
  wide.addEventListener('change', place);
  search.addEventListener('input', refresh);
  place();
  refresh();

  return { refresh };
}
