import { describe, expect, it } from 'vitest';
import { Kept } from '../../../adapters/shared/kept.ts';
import { ProvisioningError } from '../../../src/errors.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const never = new AbortController().signal;

/** Tokens t1, t2, … of ten seconds each; `fetches` tells what was held when each was fetched. */
function tokens() {
  const clock = new ManualClock();
  const fetches: (string | undefined)[] = [];
  const held = Promise.withResolvers<void>();
  held.resolve();
  const source = { ready: held.promise };
  const kept = new Kept<string>(clock, async (before, signal) => {
    fetches.push(before);
    await source.ready;
    signal.throwIfAborted();
    return { value: `t${fetches.length}`, renewAt: clock.now() + 10_000 };
  });
  return { kept, clock, fetches, source };
}

describe('a token that is kept', () => {
  it('is fetched once, however many wait, and again when its time has come', async () => {
    const { kept, clock, fetches } = tokens();
    const both = await Promise.all([kept.current(never), kept.current(never)]);
    expect([...both, await kept.current(never)]).toEqual(['t1', 't1', 't1']);
    clock.advance(10_000);
    expect(await kept.current(never)).toBe('t2');
    expect(fetches).toEqual([undefined, 't1']);
  });

  it('is still fetched for the others when one who waits gives up', async () => {
    const { kept, fetches, source } = tokens();
    const gate = Promise.withResolvers<void>();
    source.ready = gate.promise;
    const impatient = new AbortController();
    const first = kept.current(impatient.signal);
    const second = kept.current(never);
    impatient.abort(new Error('enough'));
    await expect(first).rejects.toThrow('enough');
    gate.resolve();
    expect(await second).toBe('t1');
    expect(fetches).toHaveLength(1);
  });

  it('is replaced once when the server does not take it, and a second refusal stands', async () => {
    const { kept, fetches } = tokens();
    const used: string[] = [];
    const call = async (token: string) => {
      used.push(token);
      return 401;
    };
    expect(await kept.using(call, (status) => status === 401, never)).toBe(401);
    expect(used).toEqual(['t1', 't2']);
    expect(fetches).toHaveLength(2);
  });

  it('says that no order has left when it cannot be had, and is fetched anew the next time', async () => {
    const { kept, source } = tokens();
    source.ready = Promise.reject(new ProvisioningError('ca-unavailable', 'The provider is away.'));
    const call = () => Promise.reject(new Error('not to be called'));
    await expect(kept.using(call, () => false, never)).rejects.toMatchObject({
      code: 'ca-unavailable',
      unanswered: false,
    });
    source.ready = Promise.resolve();
    expect(await kept.current(never)).toBe('t2');
  });

  it('is not fetched any more when the authority is closed', async () => {
    const { kept } = tokens();
    kept[Symbol.dispose]();
    await expect(kept.current(never)).rejects.toThrow('The authority is closed.');
  });
});
