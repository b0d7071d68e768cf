// The one list of what a person can do. Toolbar, Ctrl-K palette, keymap and menus read it; announcements follow it.
// A page registers its commands while it is shown; the newest registration of an id or key wins.
import { untrack } from 'svelte';
import type { IconName } from './icons';

export interface Command {
  id: string;
  /** Read at render time, so that it follows the language. */
  title: () => string;
  group: 'go' | 'flow' | 'edit' | 'view' | 'instance' | 'app';
  icon: IconName;
  /** `Mod` is Ctrl, or Command on a Mac. Keys without Mod do not fire while typing. */
  keys?: string[];
  enabled?: () => boolean;
  /** Why the person may not do it; undefined: they may. */
  needs?: () => string | undefined;
  /** Ends or undoes something: menus show it in red. */
  danger?: boolean;
  /** Hidden commands have a key and a button but would only clutter the palette. */
  hidden?: boolean;
  /** What a screen reader hears is the returned text, if any. */
  run: () => string | void | Promise<void>;
}

let registered = $state.raw<Command[]>([]);
let announced = $state({ text: '', turn: 0 });
const mac = /Mac|iPhone|iPad/.test(navigator.platform);

export function register(commands: Command[]): () => void {
  // Called from effects, which must not come to depend on the list they write.
  untrack(() => {
    registered = [...registered, ...commands];
  });
  return () =>
    untrack(() => {
      registered = registered.filter((command) => !commands.includes(command));
    });
}

export function allCommands(): Command[] {
  const byId = new Map(registered.map((command) => [command.id, command]));
  return [...byId.values()];
}

export function command(id: string): Command | undefined {
  return registered.findLast((entry) => entry.id === id);
}

export const isEnabled = (entry: Command): boolean => entry.needs?.() === undefined && (entry.enabled?.() ?? true);

export function run(entry: Command): void {
  if (!isEnabled(entry)) return;
  const said = entry.run();
  if (typeof said === 'string') announce(said);
}

/** Says something to screen readers. The turn makes a repeated text heard again. */
export function announce(text: string): void {
  announced = { text, turn: untrack(() => announced.turn) + 1 };
}

export function announcement(): { text: string; turn: number } {
  return announced;
}

export function showKeys(keys: string): string {
  const names: Record<string, string> = mac
    ? { Mod: '⌘', Shift: '⇧', Alt: '⌥', Enter: '↵' }
    : { Mod: 'Ctrl', Enter: '↵' };
  const arrows: Record<string, string> = {
    ArrowUp: '↑',
    ArrowDown: '↓',
    ArrowLeft: '←',
    ArrowRight: '→',
    Delete: 'Del',
  };
  return keys
    .split('+')
    .map((key) => names[key] ?? arrows[key] ?? (key.length === 1 ? key.toUpperCase() : key))
    .join(mac ? '' : ' ');
}

function pressed(event: KeyboardEvent): string {
  const parts: string[] = [];
  if (event.ctrlKey || event.metaKey) parts.push('Mod');
  if (event.altKey) parts.push('Alt');
  // Shift only counts with named keys and letters: "?" and "+" already contain it.
  if (event.shiftKey && (event.key.length > 1 || /[a-z]/i.test(event.key))) parts.push('Shift');
  parts.push(event.key.length === 1 ? event.key.toLowerCase() : event.key);
  return parts.join('+');
}

function typing(target: EventTarget | null): boolean {
  const element = target as HTMLElement | null;
  return Boolean(element?.closest?.('input, textarea, select, [contenteditable="true"], .cm-editor'));
}

export function listenKeys(): void {
  window.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.isComposing) return;
    const keys = pressed(event);
    const open = document.querySelector('dialog[open]');
    const entry = registered.findLast((candidate) => candidate.keys?.includes(keys) && isEnabled(candidate));
    if (!entry || (open && entry.id !== 'app.palette')) return;
    // Undo, copy and the like keep their text meaning inside a field.
    if (typing(event.target) && !['app.palette', 'flow.publish', 'flow.save'].includes(entry.id)) return;
    event.preventDefault();
    run(entry);
  });
}
