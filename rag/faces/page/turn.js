// One question and its answer. Nodes are only ever added, so that the focus and the reader's selection outlive each update.
import { alsoIn, button, byline, directed, isolated, make, say, took } from './dom.js';
import { opinions } from './opinion.js';
import { copying } from './copy.js';
import { told as filterTold } from './filters.js';

export class Turn {
  // `acts` are what the conversation does for a turn: open(items, index, kind, button), edit(turn), retry(turn).
  constructor(id, question, where, acts) {
    Object.assign(this, { id, question, where, acts, drawn: [], citations: new Map(), ended: false, kept: false });
    this.element = make('article', 'turn');
    this.element.setAttribute('aria-busy', 'true');
    this.element.dataset.turn = id;
    this.head = make('div', 'head');
    this.head.append(directed('h2', 'question', question));
    this.answer = make('div', 'answer');
    this.waiting = make('p', 'waiting', say('searching'));
    this.element.append(this.head);
    const filter = filterTold(where);
    if (filter) this.element.append(isolated('p', 'within', say('within', { filter })));
    this.element.append(this.waiting, this.answer);
  }

  draw(value) {
    // What the server tells of a question it has kept, unless it says at the end that it could not.
    this.kept = !(value.end && value.end.unkept);
    value.citations.forEach((item) => this.citations.set(item.number, item));
    if (value.pieces.length) this.waiting.remove();
    value.pieces.forEach((piece, i) => {
      const last = this.drawn[i];
      if (!last) {
        if ('cite' in piece) bind(this.answer.lastChild);
        this.drawn[i] = 'cite' in piece ? this.citation(piece.cite) : document.createTextNode(piece.text);
        this.answer.append('cite' in piece ? this.drawn[i] : inRole(this.drawn[i], piece.role));
      } else if ('text' in piece && piece.text.length > last.data.length) {
        last.appendData(piece.text.slice(last.data.length));
      }
    });
    if (value.end && !this.ended) this.finish(value.end);
  }

  settle() {
    this.ended = true;
    this.element.removeAttribute('aria-busy');
    this.waiting.remove();
  }

  stop() {
    if (this.ended) return;
    this.element.append(make('p', 'ending', say('stopped')));
    this.settle();
    this.tools();
  }

  finish(end) {
    const { element, citations, answer } = this;
    element.dataset.outcome = end.outcome;
    if (end.outcome === 'stopped') {
      this.stop();
      return;
    }
    if (end.outcome === 'failed') {
      element.append(make('p', 'failure', end.message));
      this.settle();
      this.tools();
      return;
    }
    this.sentences = end.sentences || [];
    if (end.searched) element.insertBefore(isolated('p', 'searched', say('searched_for', { question: end.searched })), answer);
    if (end.outcome === 'abstained') {
      element.insertBefore(make('p', 'refusal', say('refused')), answer);
      if (end.hits.length) element.append(this.nearest(end.hits));
    }
    if (end.outcome === 'partly' || end.outcome === 'conflict') element.append(make('p', 'notice', say(end.outcome)));
    for (const note of end.notes || []) element.append(isolated('p', 'notice', note));
    if (end.unkept) element.append(isolated('p', 'notice', say('unkept', { reason: end.unkept })));
    for (const mark of answer.querySelectorAll('.cite')) {
      const item = citations.get(Number(mark.dataset.number));
      if (!item) continue;
      mark.dataset.verdict = item.verdict;
      mark.nextSibling.append(verdictOf(item));
    }
    if (citations.size) element.append(this.sources());
    this.settle();
    this.tools(!end.unkept);
    if (end.found && end.found.length) element.append(this.found(end.found));
    const told = { passages: say('passages', { n: end.passages }), time: took(end.seconds) };
    element.append(make('p', 'ending', say('ending', told)));
  }

  // What can be done with an answer; what needs it kept is left out where it is not.
  tools(kept = false) {
    const { acts } = this;
    this.head.append(button('quiet edit', say('edit'), () => acts.edit(this)));
    const row = make('div', 'does');
    const [form, ...marks] = kept ? opinions(this, acts) : [];
    if (kept) row.append(copying(this, acts), ...marks);
    row.append(button('quiet retry', say('retry'), () => acts.retry(this)));
    if (form) row.append(form);
    this.element.append(row);
  }

  citation(number) {
    const item = this.citations.get(number);
    const whole = make('span', 'cited');
    const mark = button('cite', '[' + number + ']', () => this.openCitation(number, mark));
    mark.dataset.number = number;
    mark.setAttribute('aria-label', say('citation', { n: String(number), title: item.title }));
    const tip = make('span', 'tip');
    tip.id = 'tip-' + this.id + '-' + this.drawn.length;
    tip.setAttribute('role', 'tooltip');
    tip.append(isolated('q', '', item.quote), isolated('strong', '', item.title), byline(item));
    mark.setAttribute('aria-describedby', tip.id);
    whole.append(mark, tip);
    return whole;
  }

  inOrder() {
    return [...this.citations.values()].sort((a, b) => a.number - b.number);
  }

  sources() {
    return listed(make('section', 'sources'), make('h3', '', say('sources')), this.inOrder(), (item) => {
      const open = button('source', undefined, () => this.openCitation(item.number, open));
      const line = make('span', 'line');
      line.append(byline(item), verdictOf(item));
      if (item.since) line.append(make('span', 'since-then', say(item.since + '_since')));
      open.dataset.number = item.number;
      open.append(make('span', 'number', item.number), isolated('span', 'title', item.title), line);
      open.append(isolated('q', '', item.quote), ...alsoIn(item.also));
      return open;
    });
  }

  nearest(hits) {
    return listed(make('section', 'nearest'), make('h3', '', say('nearest')), hits, (hit, i) => {
      const open = button('source', undefined, () => this.acts.open(hits, i, 'passage', () => open));
      const line = make('span', 'line');
      line.append(byline(hit));
      if (hit.section) line.append(isolated('span', 'section', hit.section));
      open.append(isolated('span', 'title', hit.title), line, isolated('span', 'snippet', hit.snippet), ...alsoIn(hit.also));
      return open;
    });
  }

  // All that the search gave the writer, with its scores, for whoever wants to see.
  found(hits) {
    return listed(make('details', 'found'), make('summary', '', say('found', { n: hits.length })), hits, (hit, i) => {
      const open = button('hit', undefined, () => this.acts.open(hits, i, 'passage', () => open));
      const bar = make('span', 'score');
      bar.style.setProperty('--share', hit.share);
      const ranks = Object.entries(hit.ranks).filter(([name]) => name === 'dense' || name === 'lexical');
      const told = [say('score', { score: hit.score.toFixed(3) }), ...ranks.map(([name, n]) => say('rank_' + name, { n }))];
      open.append(directed('span', 'title', hit.title));
      if (hit.section) open.append(isolated('span', 'section', hit.section));
      open.append(bar, make('span', 'told', told.join(' · ')));
      return open;
    });
  }

  openCitation(number, opener) {
    const items = this.inOrder();
    const index = items.findIndex((item) => item.number === number);
    const mark = (item) =>
      String(item.number) === opener.dataset.number ? opener : this.answer.querySelector('.cite[data-number="' + item.number + '"]');
    this.acts.open(items, index, 'citation', mark);
  }
}

function verdictOf({ verdict }) {
  const told = make('span', 'verdict', say(verdict));
  told.dataset.verdict = verdict;
  told.title = say(verdict + '_why');
  return told;
}

// Passages below a heading, one on a line; `drawn` gives the button that opens one.
function listed(part, heading, items, drawn) {
  const list = make('ol');
  items.forEach((item, i) => {
    const entry = make('li');
    entry.append(drawn(item, i));
    list.append(entry);
  });
  part.append(heading, list);
  return part;
}

// What answers is strong; what was put in to make a quote clear looks different from what is quoted.
function inRole(words, role) {
  if (role === 'plain') return words;
  const element = make(role === 'strong' ? 'strong' : 'span', role);
  if (role === 'added') element.title = say('added');
  element.append(words);
  return element;
}

// A number at the start of a line would stand beside a sentence that it has nothing to do with.
function bind(words) {
  if (words && words.nodeType === Node.TEXT_NODE) words.data = words.data.replace(/ $/, '\u00a0');
}
