// What is typed and not yet asked, and what was asked of a server that was gone, outlive a reload of the tab. Gradio
// reloads the page by itself as soon as a lost server is back.
const NAME = 'footnote-unsent';

export function unsent() {
  try {
    return sessionStorage.getItem(NAME) || '';
  } catch {
    return '';
  }
}

export function keep(text) {
  try {
    if (text) sessionStorage.setItem(NAME, text);
    else sessionStorage.removeItem(NAME);
  } catch {
    // Where nothing may be stored it holds until the page is left.
  }
}
