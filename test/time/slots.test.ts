import { describe, expect, it } from 'vitest';
import { Slots } from '../../src/time/slots.ts';

const never = new AbortController().signal;

describe('Slots', () => {
  it('gives places up to its number, then makes wait, then turns away', async () => {
    const slots = new Slots(1, 1);
    const leave = await slots.enter(never);
    const waiting = slots.enter(never);
    expect(waiting).toBeDefined();
    expect(slots.enter(never)).toBeUndefined();
    leave?.();
    expect(await waiting).toBeTypeOf('function');
  });

  it('serves in the order of coming', async () => {
    const slots = new Slots(1, 3);
    const order: number[] = [];
    const leave = await slots.enter(never);
    const waiting = [1, 2, 3].map(async (number) => {
      const leaveToo = await slots.enter(never);
      order.push(number);
      leaveToo?.();
    });
    leave?.();
    await Promise.all(waiting);
    expect(order).toEqual([1, 2, 3]);
  });

  it('gives a place back once, however often it is left', async () => {
    const slots = new Slots(1, 0);
    const leave = await slots.enter(never);
    leave?.();
    leave?.();
    expect(slots.enter(never)).toBeDefined();
    expect(slots.enter(never)).toBeUndefined();
  });

  it('lets go of whoever is aborted in line, and keeps the others’ order', async () => {
    const slots = new Slots(1, 2);
    const leave = await slots.enter(never);
    const leaver = new AbortController();
    const aborted = slots.enter(leaver.signal);
    const next = slots.enter(never);
    leaver.abort(new Error('gone'));
    await expect(aborted).rejects.toThrow('gone');
    leave?.();
    expect(await next).toBeTypeOf('function');
  });

  it('takes no place for whoever is aborted already', async () => {
    const slots = new Slots(1, 1);
    await expect(slots.enter(AbortSignal.abort(new Error('late')))).rejects.toThrow('late');
    expect(await slots.enter(never)).toBeTypeOf('function');
  });
});
