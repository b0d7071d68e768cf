// The expression editor: CodeMirror with ZEN's colours and completion from sample data. A chunk of its own, loaded when
// the first expression is shown.
import {
  acceptCompletion,
  autocompletion,
  type Completion,
  type CompletionContext,
  completionKeymap,
  completionStatus,
} from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { HighlightStyle, StreamLanguage, type StringStream, syntaxHighlighting } from '@codemirror/language';
import { Compartment, EditorState, type Extension, StateEffect, StateField } from '@codemirror/state';
import { Decoration, type DecorationSet, EditorView, keymap, placeholder } from '@codemirror/view';
import { tags } from '@lezer/highlight';

const FUNCTIONS = [
  'abs',
  'all',
  'avg',
  'bool',
  'ceil',
  'contains',
  'count',
  'd',
  'date',
  'duration',
  'endsWith',
  'extract',
  'filter',
  'flatMap',
  'floor',
  'keys',
  'len',
  'lower',
  'map',
  'matches',
  'max',
  'median',
  'min',
  'none',
  'number',
  'one',
  'round',
  'some',
  'split',
  'startsWith',
  'string',
  'sum',
  'trim',
  'upper',
  'values',
];
const WORDS = new Set(['and', 'or', 'not', 'in', 'true', 'false', 'null']);
const ROOTS = new Set(['input', 'vars', 'nodes', 'flow', 'item', 'index']);

function token(stream: StringStream): string | null {
  if (stream.eatSpace()) return null;
  if (stream.match(/^'(?:[^'\\]|\\.)*'?|^"(?:[^"\\]|\\.)*"?|^`(?:[^`\\]|\\.)*`?/)) return 'string';
  if (stream.match(/^\d+(\.\d+)?/)) return 'number';
  const word = stream.match(/^[A-Za-z_$#][\w$]*/) as RegExpMatchArray | null;
  if (word) {
    if (WORDS.has(word[0])) return 'keyword';
    if (ROOTS.has(word[0])) return 'atom';
    return stream.peek() === '(' ? 'function' : 'variableName';
  }
  if (stream.match(/^\/\/.*/)) return 'comment';
  stream.next();
  return 'operator';
}

const zen = StreamLanguage.define({ name: 'zen', token, tokenTable: { function: tags.function(tags.variableName) } });
const colours = HighlightStyle.define([
  { tag: tags.string, color: 'var(--green-ink)' },
  { tag: tags.number, color: 'var(--blue-ink)' },
  { tag: tags.keyword, color: 'var(--violet-ink)' },
  { tag: tags.atom, color: 'var(--accent)', fontWeight: '600' },
  { tag: tags.function(tags.variableName), color: 'var(--orange-ink)' },
  { tag: tags.operator, color: 'var(--ink-3)' },
  { tag: tags.comment, color: 'var(--ink-3)', fontStyle: 'italic' },
]);

const look = EditorView.theme({
  '&': { fontSize: 'var(--t-sm)', backgroundColor: 'transparent', color: 'var(--ink)' },
  '&.cm-focused': { outline: 'none' },
  '.cm-content': { fontFamily: 'var(--mono)', padding: '6px 0', caretColor: 'var(--accent)' },
  '.cm-line': { padding: '0 9px' },
  '.cm-cursor': { borderLeftColor: 'var(--accent)' },
  '.cm-selectionBackground, &.cm-focused .cm-selectionBackground, ::selection': {
    backgroundColor: 'var(--accent-line) !important',
  },
  '.cm-placeholder': { color: 'var(--ink-3)' },
  '.cm-wrong': { textDecoration: 'underline wavy var(--red-ink) 1px', textUnderlineOffset: '3px' },
  '.cm-tooltip': {
    border: '1px solid var(--line)',
    borderRadius: '8px',
    backgroundColor: 'var(--raised)',
    boxShadow: 'var(--shadow-3)',
    overflow: 'hidden',
  },
  '.cm-tooltip.cm-tooltip-autocomplete > ul': {
    fontFamily: 'var(--mono)',
    fontSize: 'var(--t-sm)',
    maxHeight: '220px',
  },
  '.cm-tooltip.cm-tooltip-autocomplete > ul > li': { padding: '3px 9px', color: 'var(--ink)' },
  '.cm-tooltip-autocomplete ul li[aria-selected]': { background: 'var(--accent-soft)', color: 'var(--ink)' },
  '.cm-completionDetail': { color: 'var(--ink-3)', fontStyle: 'normal', marginLeft: '10px' },
  '.cm-completionMatchedText': { textDecoration: 'none', color: 'var(--accent)', fontWeight: '600' },
  '.cm-completionIcon': { display: 'none' },
});

const kind = (value: unknown): string =>
  Array.isArray(value) ? 'list' : value === null ? 'null' : typeof value === 'object' ? '{…}' : JSON.stringify(value);

function complete(context: () => unknown) {
  return (at: CompletionContext) => {
    const path = at.matchBefore(/[A-Za-z_$][\w$]*(?:\.[\w$]*)*$/);
    if (!path && !at.explicit) return null;
    const parts = (path?.text ?? '').split('.');
    const typed = parts.pop() ?? '';
    let value: unknown = context();
    for (const part of parts)
      value = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[part] : undefined;
    const options: Completion[] =
      typeof value === 'object' && value !== null && !Array.isArray(value)
        ? Object.entries(value).map(([label, one]) => ({ label, detail: kind(one).slice(0, 28), boost: 2 }))
        : [];
    if (parts.length === 0) options.push(...FUNCTIONS.map((label) => ({ label, detail: '()', apply: `${label}(` })));
    return options.length > 0 ? { from: at.pos - typed.length, options, validFor: /^[\w$]*$/ } : null;
  };
}

const setWrong = StateEffect.define<{ from: number; to: number } | null>();
const wrong = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(marks, transaction) {
    let next = marks.map(transaction.changes);
    for (const effect of transaction.effects) {
      if (!effect.is(setWrong)) continue;
      const range = effect.value;
      const end = transaction.state.doc.length;
      const from = Math.max(0, Math.min(range?.from ?? 0, end));
      const to = Math.max(from, Math.min(range?.to ?? 0, end));
      next =
        range && to > from ? Decoration.set([Decoration.mark({ class: 'cm-wrong' }).range(from, to)]) : Decoration.none;
    }
    return next;
  },
  provide: (field) => EditorView.decorations.from(field),
});

export interface Options {
  text: string;
  label: string;
  hint?: string;
  multiline?: boolean;
  /** Plain code has no completion from the flow's data. */
  expression?: boolean;
  context: () => unknown;
  onchange: (text: string) => void;
  onleave?: () => void;
}

export interface Handle {
  set(text: string): void;
  mark(range: { from: number; to: number } | null): void;
  focus(): void;
  destroy(): void;
}

export function mountEditor(parent: HTMLElement, options: Options): Handle {
  const names = new Compartment();
  const single: Extension = options.multiline
    ? []
    : EditorState.transactionFilter.of((transaction) => (transaction.newDoc.lines > 1 ? [] : transaction));
  const view = new EditorView({
    parent,
    state: EditorState.create({
      doc: options.text,
      extensions: [
        history(),
        single,
        // Enter and Tab take the offered completion; otherwise they keep their meaning for the page.
        keymap.of([
          {
            key: 'Tab',
            run: (target) => (completionStatus(target.state) === 'active' ? acceptCompletion(target) : false),
          },
          ...completionKeymap,
          ...historyKeymap,
          ...defaultKeymap.filter(
            (binding) => binding.key !== 'Mod-Enter' && (options.multiline || binding.key !== 'Enter'),
          ),
        ]),
        zen,
        syntaxHighlighting(colours),
        look,
        wrong,
        options.expression === false ? [] : autocompletion({ override: [complete(options.context)], icons: false }),
        options.hint ? placeholder(options.hint) : [],
        EditorView.lineWrapping,
        names.of(EditorView.contentAttributes.of({ 'aria-label': options.label })),
        EditorView.updateListener.of((update) => {
          if (update.docChanged && !update.transactions.some((one) => one.isUserEvent('set')))
            options.onchange(update.state.doc.toString());
          if (update.focusChanged && !update.view.hasFocus) options.onleave?.();
        }),
      ],
    }),
  });
  return {
    set(text) {
      if (text === view.state.doc.toString()) return;
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text }, userEvent: 'set' });
    },
    mark(range) {
      view.dispatch({ effects: setWrong.of(range) });
    },
    focus: () => view.focus(),
    destroy: () => view.destroy(),
  };
}
