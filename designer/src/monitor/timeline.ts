// The time axis of one instance. Calls take milliseconds and waits take hours, so the gaps between events are drawn by
// their logarithm: order and proportion stay readable, and the ticks say the real time.
import type { InstanceDetail, JournalEntry, NodeRunState } from '../api/shapes';
import type { NodeId } from '../graph/document';

export interface Bar {
  node: NodeId;
  state: NodeRunState;
  from: number;
  to: number;
  open: boolean;
  ms: number;
}

export interface Mark {
  seq: number;
  type: string;
  node: NodeId | null;
  at: number;
}

export interface Chart {
  bars: Bar[];
  marks: Mark[];
  ticks: { at: number; ms: number }[];
}

const GAP_FLOOR = 0.35;
const TICKS = 6;

export function chart(
  instance: InstanceDetail,
  journal: JournalEntry[],
  order: NodeId[],
  nowMs: number,
  linear = false,
): Chart {
  const start = Date.parse(instance.startedAt);
  const end = instance.endedAt ? Date.parse(instance.endedAt) : Math.max(nowMs, start + 1);
  const raw = order.flatMap((node) => {
    const run = instance.nodes[node];
    if (!run?.startedAt || run.visits === 0) return [];
    const from = Date.parse(run.startedAt);
    const open = !run.endedAt;
    const to = run.endedAt ? Date.parse(run.endedAt) : end;
    return [{ node, state: run.state, from, to: Math.max(to, from), open }];
  });
  const moments = [
    ...new Set([
      start,
      end,
      ...raw.flatMap((bar) => [bar.from, bar.to]),
      ...journal.map((entry) => Date.parse(entry.at)),
    ]),
  ]
    .filter((at) => at >= start && at <= end)
    .sort((a, b) => a - b);
  const place = new Map<number, number>();
  let total = 0;
  moments.forEach((at, index) => {
    const before = moments[index - 1];
    if (before !== undefined) total += linear ? at - before : GAP_FLOOR + Math.log10(1 + (at - before));
    place.set(at, total);
  });
  const scale = (at: number): number => {
    const exact = place.get(at);
    return total === 0 ? 0 : (exact ?? (at <= start ? 0 : total)) / total;
  };
  const bars = raw.map((bar) => ({ ...bar, from: scale(bar.from), to: scale(bar.to), ms: bar.to - bar.from }));
  const marks = journal.map((entry) => ({
    seq: entry.seq,
    type: entry.type,
    node: entry.node ?? null,
    at: scale(Date.parse(entry.at)),
  }));
  const ticks: Chart['ticks'] = [];
  for (const at of moments) {
    const where = scale(at);
    if (ticks.length === 0 || where - (ticks.at(-1)?.at ?? 0) >= 1 / TICKS) ticks.push({ at: where, ms: at - start });
  }
  return { bars, marks, ticks };
}
