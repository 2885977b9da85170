import { describe, expect, it } from 'vitest';
import { doors, openDoor } from '../../../proofs/fuzz/doors.ts';
import { Explorer, type Found } from '../../../proofs/fuzz/explorer.ts';

/*
 * A short walk through every door, always the same. `npm run fuzz` goes on for as long as one likes.
 */

const seed = 1;
/** These cost a file or a connection each. */
const slow: Readonly<Record<string, number>> = {
  config: 12,
  'config-values': 30,
  wire: 90,
  health: 40,
};

describe('whatever comes through the door', () => {
  it.each(Object.keys(doors))('%s, it is read or refused as promised', async (name) => {
    const door = await openDoor(name);
    const explorer = new Explorer(door, seed);
    const found: Found[] = [];
    while (explorer.tried < (slow[name] ?? 150)) {
      const finding = await explorer.try(explorer.next());
      if (finding !== undefined) found.push(finding);
    }
    await door.close?.();
    expect(found.map(({ what }) => what)).toEqual([]);
    // It has come through, and has been turned back: both ways are tried.
    expect(explorer.accepted).toBeGreaterThan(0);
    expect(explorer.traces).toBeGreaterThan(1);
  });
});

it('names the doors there are', async () => {
  await expect(openDoor('toString')).rejects.toThrow(/there is no door toString; there are notif/);
});
