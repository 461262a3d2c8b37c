// Before anything is drawn: the reader's choice of light or dark, so that the page does not flash.
try {
  const theme = localStorage.getItem('footnote-theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
  // Where nothing may be stored the system's choice holds.
}
