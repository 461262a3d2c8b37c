// The article beside the conversation, or over it on a phone. Its text arrives in three strings and stays text.
import { byline, make, say } from './dom.js';
import { send } from './requests.js';

// `marked` is called with the button whose citation is shown, or null; `laid` when a column comes or goes; `fallback`
// takes the focus where the button has gone; `aloud` tells ears what the eye sees above the text.
export function article({ element, aloud, marked, laid, fallback }) {
  const dialog = element.querySelector('dialog.article');
  const find = (selector) => dialog.querySelector(selector);
  const title = find('h2');
  const by = find('.by');
  const original = find('.original');
  const text = find('.text');
  const since = find('.since');
  const other = since.querySelector('button');
  const place = find('.place');
  const previous = find('.previous');
  const next = find('.next');
  const narrow = window.matchMedia('(max-width: 999px)');

  let items = [];
  let index = 0;
  let kind = 'citation';
  let button = () => null;
  let asked = 0;
  let here = false;
  // Whether the newest text is shown in place of the cited one, and whether that one is still kept.
  let newest = false;
  let kept = true;

  function raise() {
    here = true;
    if (dialog.open) return;
    document.body.classList.add('reading');
    if (narrow.matches) dialog.showModal();
    // show() would focus the first button and scroll the conversation away to do so.
    else dialog.open = true;
    laid();
  }

  function describe(item) {
    title.textContent = item.title;
    by.replaceChildren(byline(item));
    place.textContent = say('place_' + kind, { n: index + 1, all: items.length });
    // A disabled button would drop the focus of whoever is paging; this one stays and does nothing.
    previous.setAttribute('aria-disabled', String(index === 0));
    next.setAttribute('aria-disabled', String(index === items.length - 1));
    find('.steps').classList.toggle('single', items.length < 2);
    previous.setAttribute('aria-label', say('previous_' + kind));
    next.setAttribute('aria-label', say('next_' + kind));
  }

  function begin() {
    newest = false;
    kept = true;
    since.hidden = true;
    return show();
  }

  async function show() {
    const item = items[index];
    const ticket = ++asked;
    describe(item);
    original.hidden = true;
    text.setAttribute('aria-busy', 'true');
    // Most articles are there before a notice could be read; it would only flicker.
    const notice = setTimeout(() => text.replaceChildren(make('p', '', say('opening'))), 200);
    marked(button(item));
    let found;
    try {
      found = await send('POST', 'article', { ...item.open, newest });
    } catch (error) {
      found = { ok: false, message: error.message };
    }
    clearTimeout(notice);
    if (ticket !== asked || !dialog.open) return;
    text.removeAttribute('aria-busy');
    compare(found);
    if (!found.ok && found.changed) {
      text.replaceChildren();
      return;
    }
    if (!found.ok) {
      const failure = make('p', 'failure', say('not_opened', { reason: found.message }));
      failure.setAttribute('role', 'alert');
      text.replaceChildren(failure);
      return;
    }
    describe({ ...item, ...found });
    if (found.url) {
      original.href = found.url;
      original.textContent = say('original', { host: original.hostname });
    }
    original.hidden = !found.url;
    lay(found);
  }

  // What to know of a text that is not the newest, or of the newest where another was cited, and the way to the other.
  function compare({ ok, changed, mark }) {
    const as = kind === 'citation' ? 'cited' : 'found';
    let told = '';
    if (newest && ok) told = say('newest_' + as + (kept ? (mark ? '_stands' : '_gone') : '_lost'));
    else if (changed && ok) told = say('reading_' + as);
    else if (changed) {
      kept = false;
      told = say('lost');
    }
    other.textContent = say(newest ? as + '_read' : 'newest_read');
    // Nobody who has just pressed it may lose the focus with it.
    if (document.activeElement === other && (!told || (newest && !kept))) text.focus({ preventScroll: true });
    other.hidden = newest && !kept;
    since.hidden = !told;
    since.querySelector('p').textContent = told;
    if (told) aloud(told);
  }

  // Paragraphs away from the mark each find their own direction. Around the mark the three runs are isolated, so that
  // a stray bidirectional control in one cannot reorder another, and the paragraph as a whole decides how they follow.
  function lay({ before, mark, after }) {
    const start = before.lastIndexOf('\n') + 1;
    const cut = after.indexOf('\n');
    const end = cut < 0 ? after.length : cut + 1;
    const paragraph = make('div');
    if (!mark) {
      text.replaceChildren(make('div', '', before + after));
      text.scrollTop = 0;
      return;
    }
    const words = make('mark', '', mark);
    paragraph.dir = direction(before.slice(start) + mark + after.slice(0, end));
    paragraph.append(make('bdi', '', before.slice(start)), words, make('bdi', '', after.slice(0, end)));
    text.replaceChildren(make('div', '', before.slice(0, start)), paragraph, make('div', '', after.slice(end)));
    centre(words);
  }

  // The conversation is laid out anew when a column comes or goes; what the reader looked at should stay where it was.
  function hold(anchor, change) {
    const before = anchor ? anchor.getBoundingClientRect().top : 0;
    change();
    if (anchor) window.scrollBy(0, anchor.getBoundingClientRect().top - before);
  }

  // scrollIntoView would move the conversation along with the article.
  function centre(words) {
    const at = words.getBoundingClientRect();
    const room = text.getBoundingClientRect();
    text.scrollTop += at.top - room.top - Math.max(24, (room.height - at.height) / 2);
  }

  function step(by) {
    const to = index + by;
    if (to < 0 || to >= items.length) return;
    index = to;
    begin();
  }

  function close() {
    if (dialog.open) dialog.close();
    leave();
  }

  function leave() {
    if (dialog.open || !here) return;
    here = false;
    asked += 1;
    const back = button(items[index]);
    hold(back, () => {
      document.body.classList.remove('reading');
      laid();
    });
    marked(null);
    if (back && back.isConnected && back.checkVisibility()) back.focus();
    else fallback();
  }

  dialog.addEventListener('cancel', (event) => {
    event.preventDefault();
    close();
  });
  // The event comes a moment after the closing, so it is only for a browser that closes the dialog by itself.
  dialog.addEventListener('close', leave);
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !dialog.open || dialog.matches(':modal') || event.defaultPrevented) return;
    if (element.querySelector('dialog:modal')) return;
    event.preventDefault();
    close();
  });
  // A dialog cannot change from modal to not while it is open.
  narrow.addEventListener('change', () => {
    if (!dialog.open) return;
    dialog.close();
    raise();
  });
  find('.close').addEventListener('click', close);
  other.addEventListener('click', () => {
    newest = !newest;
    show();
  });
  previous.addEventListener('click', () => step(-1));
  next.addEventListener('click', () => step(1));

  return {
    open(detail) {
      ({ items, index, kind, button } = detail);
      text.replaceChildren();
      hold(button(items[index]), raise);
      begin();
      text.focus({ preventScroll: true });
    },
    close,
    step,
    get isOpen() {
      return dialog.open;
    },
  };
}

function direction(paragraph) {
  const first = paragraph.match(/\p{L}/u);
  return first && /[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u.test(first[0]) ? 'rtl' : 'ltr';
}
