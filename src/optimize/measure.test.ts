import { describe, expect, it } from 'vitest';
import { AnyformerError } from '../tensor/error.js';
import { interleave, timingOf, turn } from './measure.js';

/** A clock that moves only when a candidate runs. */
function fakeMachine() {
  let ms = 0;
  const log: string[] = [];
  const takes = (name: string, cost: number | (() => number)) => ({
    name,
    run: async () => {
      log.push(name);
      ms += typeof cost === 'number' ? cost : cost();
    },
  });
  return { now: () => ms, log, takes };
}

describe('interleave', () => {
  it('takes one sample a candidate and round, in turning order', async () => {
    const { now, takes, log } = fakeMachine();
    const result = await interleave([takes('a', 10), takes('b', 20), takes('c', 30)], {
      rounds: 6,
      warmup: 2,
      minMs: 5,
      now,
    });
    expect(result.order.join('')).toBe('abc bca cab acb bac cba'.replaceAll(' ', ''));
    expect(result.candidates.map(({ name, runs }) => [name, runs])).toEqual([
      ['a', 1],
      ['b', 1],
      ['c', 1],
    ]);
    expect([...result.candidates[1].seconds]).toEqual(Array(6).fill(0.02));
    expect(log.slice(0, 6).join('')).toBe('aabbcc');
    expect(result.took).toBeCloseTo((2 + 6) * 0.06, 9);
    expect(result.loadBefore).toHaveLength(3);
    expect(result.loadAfter).toHaveLength(3);
  });

  it('repeats short runs until a sample is long enough', async () => {
    const { now, takes, log } = fakeMachine();
    const result = await interleave([takes('short', 0.5), takes('long', 9)], {
      rounds: 3,
      minMs: 5,
      warmup: 1,
      now,
    });
    expect(result.candidates.map(({ runs }) => runs)).toEqual([10, 1]);
    expect(result.candidates[0].seconds[0]).toBeCloseTo(0.0005, 12);
    expect(log.filter((name) => name === 'short')).toHaveLength(1 + 3 * 10);
  });

  it('gives both sides of a round the same drift', async () => {
    const { now, takes } = fakeMachine();
    const drift = () => 1 + Math.floor(now() / 200);
    const result = await interleave(
      [takes('a', () => 10 * drift()), takes('b', () => 5 * drift())],
      {
        rounds: 20,
        minMs: 0,
        now,
      },
    );
    const [a, b] = result.candidates.map(({ seconds }) => seconds);
    const ratios = [...b].map((seconds, round) => seconds / a[round]).sort();
    expect(ratios[10]).toBeCloseTo(0.5, 1);
    expect(Math.max(...a) / Math.min(...a)).toBeGreaterThan(2);
  });

  it('stops when time is up, with whole rounds and never fewer than 6', async () => {
    const { now, takes } = fakeMachine();
    const pair = [takes('a', 10), takes('b', 10)];
    const early = await interleave(pair, { rounds: 50, maxMs: 1, now });
    expect(early.rounds).toBe(6);
    expect(early.candidates[0].seconds).toHaveLength(6);
    const later = await interleave(pair, { rounds: 50, warmup: 0, minMs: 0, maxMs: 195, now });
    expect(later.rounds).toBe(10);
    expect(later.order).toHaveLength(20);
  });

  it('stops on abort with the reason, also in the warm-up', async () => {
    const { now, takes } = fakeMachine();
    for (const at of [1, 25]) {
      const controller = new AbortController();
      let runs = 0;
      const a = takes('a', () => {
        if (++runs === at) controller.abort(new Error('enough'));
        return 10;
      });
      await expect(
        interleave([a, takes('b', 1)], { rounds: 100, now, signal: controller.signal }),
      ).rejects.toThrow('enough');
      expect(runs).toBe(at);
    }
    await expect(interleave([takes('a', 1)], { signal: AbortSignal.abort() })).rejects.toThrow();
  });

  it('becomes metrics with ratios to the baseline', async () => {
    const { now, takes } = fakeMachine();
    const timing = await interleave([takes('a', 20), takes('b', 10)], { rounds: 6, now });
    const { seconds, perSecond } = timingOf(timing, 'b', 'a', 50);
    expect(seconds.value).toBeCloseTo(0.01, 12);
    expect(seconds.ratio).toEqual({ value: 0.5, low: 0.5, high: 0.5 });
    expect(perSecond.value).toBeCloseTo(5000, 6);
    expect(perSecond.ratio?.value).toBe(2);
    expect(() => timingOf(timing, 'c', 'a')).toThrow(AnyformerError);
  });

  it('reports progress and passes failures on', async () => {
    const { now, takes } = fakeMachine();
    const seen: string[] = [];
    await interleave([takes('a', 10), takes('b', 10)], {
      rounds: 2,
      now,
      progress: ({ done, total, name }) => seen.push(`${done}/${total} ${name}`),
    });
    expect(seen).toEqual(['1/4 a', '2/4 b', '3/4 b', '4/4 a']);
    const broken = { name: 'x', run: () => Promise.reject(new RangeError('no kernel')) };
    await expect(interleave([broken], { now })).rejects.toThrow(RangeError);
  });

  it('refuses lists and options it cannot use', async () => {
    const { takes } = fakeMachine();
    const a = takes('a', 1);
    await expect(interleave([])).rejects.toThrow(AnyformerError);
    await expect(interleave([a, a])).rejects.toThrow(AnyformerError);
    for (const bad of [{ rounds: 0 }, { rounds: 1.5 }, { warmup: -1 }, { minMs: Number.NaN }]) {
      await expect(interleave([a], bad)).rejects.toMatchObject({ code: 'measure/option' });
    }
  });

  it('gives every candidate every place equally often', () => {
    for (const count of [1, 2, 3, 5]) {
      const places = Array.from({ length: 2 * count }, (_, round) => turn(round, count));
      for (const order of places) expect([...order].sort()).toEqual([...Array(count).keys()]);
      for (let place = 0; place < count; place++) {
        const there = places.map((order) => order[place]).sort();
        expect(there).toEqual([...Array(count).keys()].flatMap((i) => [i, i]));
      }
    }
  });
});
