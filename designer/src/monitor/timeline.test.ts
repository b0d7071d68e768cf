import { describe, expect, it } from 'vitest';
import type { InstanceDetail } from '../api/shapes';
import { chart } from './timeline';

const at = (ms: number) => new Date(1_700_000_000_000 + ms).toISOString();
const instance = (nodes: Record<string, [number, number | null]>, endedAt: number | null = null): InstanceDetail =>
  ({
    startedAt: at(0),
    endedAt: endedAt === null ? null : at(endedAt),
    nodes: Object.fromEntries(
      Object.entries(nodes).map(([id, [from, to]]) => [
        id,
        { state: to === null ? 'active' : 'done', startedAt: at(from), endedAt: to === null ? null : at(to) },
      ]),
    ),
  }) as unknown as InstanceDetail;

describe('chart', () => {
  it.each([
    ['a call and a long wait keep their order', { call: [0, 40], wait: [40, 1_800_000] }, 1_800_000],
    ['an instance of no length', { start: [0, 0] }, 0],
    ['a running node reaches now', { call: [0, 40], slow: [40, null] }, null],
  ] as const)('%s', (_, nodes, ended) => {
    const drawn = chart(instance(nodes as never, ended), [], Object.keys(nodes), 1_700_000_000_000 + 5000);
    let before = 0;
    for (const bar of drawn.bars) {
      expect(bar.from).toBeGreaterThanOrEqual(before);
      expect(bar.to).toBeGreaterThanOrEqual(bar.from);
      expect(bar.to).toBeLessThanOrEqual(1);
      before = bar.from;
    }
    if (ended === null) expect(drawn.bars.at(-1)?.open).toBe(true);
  });

  it('gives a 40 ms call a visible share beside half an hour of waiting', () => {
    const drawn = chart(instance({ call: [0, 40], wait: [40, 1_800_000] }, 1_800_000), [], ['call', 'wait'], 0);
    expect((drawn.bars[0]?.to ?? 0) - (drawn.bars[0]?.from ?? 0)).toBeGreaterThan(0.15);
    expect(
      chart(instance({ call: [0, 40], wait: [40, 1_800_000] }, 1_800_000), [], ['call'], 0, true).bars[0]?.to,
    ).toBeLessThan(0.001);
  });
});
