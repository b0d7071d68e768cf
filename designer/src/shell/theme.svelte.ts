// Light, dark, or as the system says. The choice is kept per browser.
export type Theme = 'system' | 'light' | 'dark';

const STORED = 'stepwell.theme';
const query = window.matchMedia('(prefers-color-scheme: dark)');
const stored = localStorage.getItem(STORED);
let choice = $state<Theme>(stored === 'light' || stored === 'dark' ? stored : 'system');
let systemDark = $state(query.matches);

export function theme(): Theme {
  return choice;
}

export function shownTheme(): 'light' | 'dark' {
  if (choice !== 'system') return choice;
  return systemDark ? 'dark' : 'light';
}

function apply(): void {
  document.documentElement.dataset.theme = shownTheme();
}

export function setTheme(next: Theme): void {
  choice = next;
  localStorage.setItem(STORED, next);
  apply();
}

export function initTheme(): void {
  query.addEventListener('change', () => {
    systemDark = query.matches;
    apply();
  });
  apply();
}
