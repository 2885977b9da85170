import { describe, expect, it } from 'vitest';
import { problemOf } from '../../src/notification/pubsub-problem.ts';

const name = 'projects/proj/subscriptions/sub';
const failed = (code: number, message = 'words') => Object.assign(new Error(message), { code });

describe('the problem of a subscription', () => {
  it.each([
    [
      5,
      /^The subscription projects\/proj\/subscriptions\/sub does not exist\. Create it \(gcloud pubsub subscriptions create sub --topic=TOPIC --project=proj\)/,
    ],
    [7, /roles\/pubsub\.subscriber.*words/],
    [16, /google\.credentials.*words/],
    [9, /pull subscription.*words/],
    [3, /pubsub\.project and pubsub\.subscription.*words/],
    [14, /cannot be reached.*words/],
    [2, /status 2\): words/],
  ])('of status %i names the fix', (code, text) => {
    expect(problemOf(failed(code), name, undefined)).toMatch(text);
  });

  it('names the endpoint that cannot be reached', () => {
    expect(problemOf(failed(14), name, '127.0.0.1:1')).toContain('Pub/Sub at 127.0.0.1:1 cannot');
  });

  it('is one line, also for what is no status', () => {
    const problem = problemOf(
      new Error('Could not load\nthe default credentials.'),
      name,
      undefined,
    );
    expect(problem).toBe(
      `${name} cannot be opened: Could not load the default credentials. Check google.credentials.`,
    );
    expect(problemOf('text', name, undefined)).toContain('text');
  });
});
