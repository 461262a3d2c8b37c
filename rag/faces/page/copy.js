// An answer to take along: the server writes it down in each form, so that what is pasted says what was read.
import { button, make, say } from './dom.js';
import { send } from './requests.js';

const forms = ['md', 'html', 'txt'];

export function copying(turn, acts) {
  const menu = make('details', 'menu');
  const choices = make('div', 'choices');
  menu.append(make('summary', 'quiet', say('copy')), choices);
  const close = () => {
    menu.open = false;
    menu.querySelector('summary').focus({ preventScroll: true });
  };
  for (const form of forms) {
    choices.append(
      button('', say('copy_' + form), async () => {
        const at = 'conversations/' + acts.conversation() + '/turns/' + turn.id + '/copied';
        try {
          await put(form, send('GET', at));
          acts.note(say('copied'));
        } catch (error) {
          acts.note(say('not_copied', { reason: error.message }));
        }
        close();
      }),
    );
  }
  menu.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !menu.open) return;
    event.stopPropagation();
    close();
  });
  menu.addEventListener('focusout', (event) => {
    if (event.relatedTarget && !menu.contains(event.relatedTarget)) menu.open = false;
  });
  return menu;
}

// Some browsers let a click write only what it promises at once.
function put(form, coming) {
  const part = (name, type) => coming.then((found) => new Blob([found[name]], { type }));
  const parts = { 'text/plain': part(form === 'html' ? 'txt' : form, 'text/plain') };
  if (form === 'html') parts['text/html'] = part('html', 'text/html');
  return navigator.clipboard.write([new ClipboardItem(parts)]);
}
