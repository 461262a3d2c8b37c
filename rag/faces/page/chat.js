// The conversation: asking, the answer as it comes, and the turns of before when it is opened again.
import { button, make, say } from './dom.js';
import { get, send } from './requests.js';
import { tips } from './tips.js';
import { Turn } from './turn.js';
import { none } from './address.js';
import { keep, unsent } from './unsent.js';

const FAR = 120;
const PATIENCE = 8_000;

// `hooks`: asked() says that a question is on its way, open(detail) shows an article, moved() says that the address has to follow, kept() that the list of
// conversations has, cleared() that no turn is left, note(text) tells the reader, aloud(text) tells ears alone.
export function chat({ element, props, tell, filters, hooks }) {
  const find = (selector) => element.querySelector('.chat ' + selector);
  const turns = find('.turns');
  const welcome = find('.welcome');
  const form = find('.composer');
  const box = find('textarea');
  const askButton = find('.ask');
  const stopButton = find('.stop');
  const editing = find('.editing');
  const top = element.querySelector('.top');
  const freshButton = top.querySelector('.fresh');
  const tip = tips(turns, top);

  let conversation = crypto.randomUUID();
  let list = [];
  let live = null;
  // The turn that is asked anew, and the old ones that leave the page when the server has taken the question.
  let instead = null;
  let old = [];
  let shown = null;
  let arrived = 0;
  let silence = null;
  // What was asked and not yet taken by the server.
  let pending = '';

  const acts = {
    conversation: () => conversation,
    note: hooks.note,
    open(items, index, kind, mark) {
      tip.hide();
      hooks.open({ items, index, kind, button: mark });
    },
    edit(turn) {
      if (live) return;
      instead = turn;
      editing.hidden = false;
      filters.set(turn.where);
      write(turn.question);
    },
    retry(turn) {
      if (live) return;
      instead = turn;
      filters.set(turn.where);
      ask(turn.question);
      box.focus({ preventScroll: true });
    },
  };

  function ask(text) {
    const question = text.trim();
    if (!question || live) return;
    arrived += 1;
    hooks.asked();
    const from = instead ? list.indexOf(instead) : -1;
    old = from < 0 ? [] : list.splice(from);
    old.forEach((turn) => (turn.element.hidden = true));
    cancel();
    if (box.value.trim() === question) empty();
    pending = question;
    remember();
    const follows = [...list, ...old].some((turn) => turn.kept);
    live = new Turn(crypto.randomUUID(), question, filters.get(), acts);
    list.push(live);
    turns.append(live.element);
    welcome.hidden = true;
    busy(true);
    hooks.aloud(say('searching') + '.');
    live.element.scrollIntoView({ block: 'start' });
    tell.ask({
      question,
      turn: live.id,
      conversation,
      where: live.where,
      instead_of: old.length ? old[0].id : '',
      follows,
    });
    listen();
    hooks.moved();
  }

  // Whether anybody is there at all, when nothing has come for a while.
  function listen() {
    clearTimeout(silence);
    const turn = live;
    silence = setTimeout(async () => {
      try {
        await get('holds');
      } catch (error) {
        if (turn !== live) return;
        giveBack();
        turn.finish({ outcome: 'failed', message: error.message });
        hooks.aloud(error.message);
        settle();
        return;
      }
      if (turn === live) listen();
    }, PATIENCE);
  }

  // What was to be asked anew stands as it did.
  function giveBack() {
    old.forEach((one) => (one.element.hidden = false));
    list.splice(list.length - 1, 0, ...old);
    old = [];
  }

  function remember() {
    keep([pending, box.value].filter(Boolean).join('\n\n'));
  }

  function taken() {
    if (!pending) return;
    pending = '';
    remember();
  }

  function cancel() {
    instead = null;
    editing.hidden = true;
  }

  function busy(yes) {
    askButton.hidden = yes;
    stopButton.hidden = !yes;
    // An answer on its way belongs to this conversation.
    freshButton.hidden = yes || !list.length;
    turns.classList.toggle('busy', yes);
  }

  function settle() {
    const atButton = document.activeElement === stopButton;
    clearTimeout(silence);
    live = null;
    busy(false);
    // A hidden button drops the focus to the top of the page.
    if (atButton) box.focus({ preventScroll: true });
    hooks.kept();
  }

  function stop() {
    if (!live) return;
    const { id, kept } = live;
    giveBack();
    taken();
    live.stop();
    hooks.aloud(say('stopped'));
    settle();
    // Gradio halts what has begun; what is still on its way to it is known to the server by its turn.
    if (kept) tell.halt();
    send('POST', 'halted', { turn: id }).catch(() => {});
  }

  function draw() {
    const value = props.value;
    if (!live || !value || value.turn !== live.id) return;
    listen();
    old.splice(0).forEach((turn) => turn.element.remove());
    taken();
    const page = document.scrollingElement;
    const following = page.scrollHeight - page.scrollTop - page.clientHeight < FAR;
    const { element: turn } = live;
    live.draw(value);
    if (live.ended) {
      const { outcome } = value.end;
      const answered = say('ready', { sources: say('sources_n', { n: live.citations.size }) });
      hooks.aloud(outcome === 'failed' ? value.end.message : outcome === 'abstained' ? say('refused') + '.' : answered);
      settle();
    }
    // Follow the words as they come, but never so far that the question leaves the screen.
    const room = turn.getBoundingClientRect().top - top.getBoundingClientRect().bottom - 4;
    if (following) page.scrollTop += Math.min(page.scrollHeight, Math.max(0, room));
  }

  function grow() {
    box.style.height = 'auto';
    box.style.height = Math.min(box.scrollHeight, 168) + 'px';
  }

  function empty() {
    box.value = '';
    grow();
  }

  function write(text) {
    box.value = text;
    remember();
    grow();
    box.focus({ preventScroll: true });
  }

  function clear() {
    stop();
    turns.replaceChildren();
    list = [];
    old = [];
    cancel();
    shown = null;
    welcome.hidden = false;
    conversation = crypto.randomUUID();
    busy(false);
    hooks.cleared();
  }

  function begin(step = true) {
    arrived += 1;
    clear();
    hooks.aloud(say('fresh') + '.');
    hooks.moved(step);
    hooks.kept();
    box.focus();
  }

  // A conversation as it is kept; its answers are drawn as they were.  Says whether it came in time to be shown.
  async function reopen(id, itsFilters) {
    const ticket = ++arrived;
    const found = await get('conversations/' + encodeURIComponent(id));
    await filters.learn(found.turns.flatMap(({ filters: where }) => where.articles || []));
    if (ticket !== arrived) return false;
    clear();
    conversation = found.id;
    welcome.hidden = found.turns.length > 0;
    for (const { id: name, question, filters: where, drawn, opinions } of found.turns) {
      const turn = new Turn(name, question, { ...none(), ...where }, acts);
      turns.append(turn.element);
      list.push(turn);
      turn.draw(drawn);
      turn.kept = true;
      if (turn.judged) turn.judged(opinions);
    }
    busy(false);
    const last = list[list.length - 1];
    if (last) {
      if (itsFilters) filters.set(last.where);
      // The server had taken it, then.
      if (unsent().startsWith(last.question)) {
        box.value = unsent().slice(last.question.length).trim();
        remember();
        grow();
      }
      last.element.scrollIntoView({ block: 'start' });
    }
    hooks.kept();
    return true;
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (live || !box.value.trim()) return;
    ask(box.value);
    box.focus({ preventScroll: true });
  });
  box.addEventListener('input', () => {
    remember();
    grow();
  });
  box.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
  stopButton.addEventListener('click', stop);
  editing.querySelector('button').addEventListener('click', () => {
    cancel();
    write('');
  });

  const { examples } = props.value;
  const samples = find('.examples');
  examples.forEach((example) => {
    const entry = make('li');
    const sample = button('example', undefined, () => {
      ask(example);
      box.focus({ preventScroll: true });
    });
    sample.append(make('bdi', '', example));
    entry.append(sample);
    samples.querySelector('ul').append(entry);
  });
  samples.hidden = !examples.length;
  box.value = unsent();
  grow();
  busy(false);

  return {
    ask,
    write,
    begin,
    draw,
    reopen,
    focus: () => box.focus({ preventScroll: true }),
    // Marks the citation whose article is open.
    mark(next) {
      if (shown) shown.removeAttribute('aria-current');
      shown = next;
      if (shown) shown.setAttribute('aria-current', 'true');
    },
    // The next or the one before among all citations of the conversation.
    step(by) {
      const all = [...turns.querySelectorAll('.cite')];
      if (!all.length) return;
      const at = all.indexOf(document.activeElement);
      const last = list[list.length - 1].answer.querySelector('.cite');
      const to = at >= 0 ? all[Math.min(Math.max(at + by, 0), all.length - 1)] : last || all[all.length - 1];
      to.focus({ preventScroll: true, focusVisible: true });
      to.scrollIntoView({ block: 'nearest' });
    },
    // A conversation that was deleted has no address to come back to.
    forget(id) {
      if (id === conversation) begin(false);
    },
    get id() {
      return list.length ? conversation : null;
    },
    get question() {
      return list.length ? list[list.length - 1].question : null;
    },
    get isBusy() {
      return live !== null;
    },
    empty(yes) {
      find('.empty').hidden = !yes;
      samples.hidden = yes || !examples.length;
    },
  };
}
