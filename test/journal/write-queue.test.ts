import { describe, expect, it } from 'vitest';
import { WriteQueue } from '../../src/journal/write-queue.ts';

const { signal } = new AbortController();

function recordingQueue(options: { mostWaiting?: number; mostAtOnce?: number } = {}) {
  const commits: string[][] = [];
  const queue = new WriteQueue<string>({
    mostWaiting: 100,
    mostAtOnce: 100,
    restFactor: 0,
    async commit(writes) {
      commits.push([...writes]);
      if (writes.includes('disk full')) throw new Error('full');
      return new Map(writes.filter((write) => write === 'bad').map((write) => [write, 'refused']));
    },
    ...options,
  });
  return { queue, commits };
}

describe('WriteQueue', () => {
  it('lets the writes of one turn share a commit', async () => {
    const { queue, commits } = recordingQueue();
    await Promise.all(['a', 'b', 'c'].map((write) => queue.add(write, signal)));
    await queue.add('d', signal);
    expect(commits).toEqual([['a', 'b', 'c'], ['d']]);
  });

  it('cuts a long queue into bounded commits, in the order of arrival', async () => {
    const { queue, commits } = recordingQueue({ mostAtOnce: 2 });
    await Promise.all(['a', 'b', 'c', 'd', 'e'].map((write) => queue.add(write, signal)));
    expect(commits).toEqual([['a', 'b'], ['c', 'd'], ['e']]);
  });

  it('fails a write alone that failed alone', async () => {
    const { queue } = recordingQueue();
    const [a, bad, b] = ['a', 'bad', 'b'].map((write) => queue.add(write, signal));
    await expect(bad).rejects.toBe('refused');
    await expect(a).resolves.toBeUndefined();
    await expect(b).resolves.toBeUndefined();
  });

  it('fails all of a commit that failed, and goes on with the next', async () => {
    const { queue } = recordingQueue();
    const [a, b] = ['a', 'disk full'].map((write) => queue.add(write, signal));
    await expect(b).rejects.toThrow('full');
    await expect(a).rejects.toThrow('full');
    await expect(queue.add('c', signal)).resolves.toBeUndefined();
  });

  it('refuses more than may wait', async () => {
    const { queue } = recordingQueue({ mostWaiting: 2 });
    const accepted = ['a', 'b'].map((write) => queue.add(write, signal));
    await expect(queue.add('c', signal)).rejects.toMatchObject({ name: 'JournalError' });
    await Promise.all(accepted);
    await expect(queue.add('d', signal)).resolves.toBeUndefined();
  });

  it('writes what it took before it closes, and takes nothing after', async () => {
    const { queue, commits } = recordingQueue({ mostAtOnce: 1 });
    const taken = ['a', 'b'].map((write) => queue.add(write, signal));
    const closed = queue.close();
    await expect(queue.add('c', signal)).rejects.toMatchObject({ name: 'JournalError' });
    await closed;
    await Promise.all(taken);
    expect(commits).toEqual([['a'], ['b']]);
  });
});
