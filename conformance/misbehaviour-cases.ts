import assert from 'node:assert/strict';
import { described } from './breach.ts';
import type { CaseContext, ContractCase, Hook, Hooks } from './harness.ts';
import { checked, collected, endsWith, errorOf, failure, newOrder, prompt } from './order.ts';
import { refuseLeftovers } from './run-case.ts';

const never = new AbortController().signal;

function lacksHook(name: keyof Hooks): NonNullable<ContractCase['lacks']> {
  return ({ harness }) => {
    const hook = harness.hooks[name] ?? noHook;
    return typeof hook === 'function' ? undefined : hook.notSupported;
  };
}

function lacksPending(name: keyof Hooks): NonNullable<ContractCase['lacks']> {
  return (context) => {
    const { harness, authority } = context;
    const mayPend = authority.features.pending || harness.hooks[name] !== noHook;
    return mayPend ? lacksHook(name)(context) : 'It does not declare `pending`.';
  };
}

/** What is said about a hook that a harness leaves out. */
export const noHook = {
  notSupported:
    'No harness says how to make the CA do this (docs/develop/adapters.md, “A harness”).',
};

type Reached<Name extends keyof Hooks> =
  NonNullable<Hooks[Name]> extends Hook<infer Result> ? Result : never;

async function arm<Name extends keyof Hooks>(context: CaseContext, name: Name) {
  const hook = context.harness.hooks[name];
  assert(typeof hook === 'function');
  return (await hook()) as Reached<Name>;
}

/** What an adapter makes of a CA that delays, refuses, fails, babbles or falls silent. */
export const misbehaviourCases: readonly ContractCase[] = [
  {
    name: 'leaves an order pending and then gives its certificate, also to another instance',
    lacks: lacksPending('pendThenIssue'),
    expected: '`pending` at first, and with its ticket, after a restart too, the certificate.',
    mend: 'put all that collect() needs into the ticket, as plain JSON: nothing that this process keeps is there for the next one. If the CA always decides at once, leave this hook out of the harness.',
    async run(context) {
      const order = await newOrder(context, 'ec');
      await arm(context, 'pendThenIssue');
      const first = await context.authority.issue(order, never);
      const answer = await collected(await context.connect(), order, first);
      await checked(context, order, answer);
    },
  },
  {
    name: 'leaves an order pending and then rejects it',
    lacks: lacksPending('pendThenReject'),
    expected:
      '`pending` at first, and from collect() `rejected` once the CA has decided against it.',
    mend: 'return { kind: "rejected", reason } from collect() for a decision; throw only for what may pass. If the CA always decides at once, leave this hook out of the harness.',
    async run(context) {
      const order = await newOrder(context, 'ec');
      await arm(context, 'pendThenReject');
      const first = await context.authority.issue(order, never);
      const answer = await collected(context.authority, order, first);
      assert(answer.kind === 'rejected', `the order is \`${answer.kind}\``);
    },
  },
  {
    name: 'says with a value, not an error, that an order was decided against',
    lacks: lacksHook('reject'),
    expected: '{ kind: "rejected", reason }, with the CA’s own words as the reason.',
    mend: 'return it where the CA has decided against this one request for good. What is thrown is tried again, and the person is never told.',
    async run(context) {
      const order = await newOrder(context, 'ec');
      await arm(context, 'reject');
      const answer = await context.authority.issue(order, never);
      assert(answer.kind === 'rejected', `the order is \`${answer.kind}\``);
      assert(answer.reason.trim() !== '', 'the reason is empty');
    },
  },
  {
    name: 'fails in passing with a code that makes the process wait, and then serves the order',
    lacks: lacksHook('failOnce'),
    expected:
      'a ProvisioningError ca-unavailable or ca-throttled, and the certificate the next time.',
    mend: 'map what passes by itself (no answer, 5xx, 429) to these codes, and nothing else to them.',
    async run(context) {
      const order = await newOrder(context, 'ec');
      await arm(context, 'failOnce');
      const error = await failure(context.authority.issue(order, never));
      const waits = ['ca-unavailable', 'ca-throttled'].includes(error.code);
      assert(waits, `the error ${error.code}`);
      await checked(context, order, await context.authority.issue(order, never));
    },
  },
  {
    name: 'calls an answer that is no certificate by its name, and then serves the order',
    lacks: lacksHook('answerGarbage'),
    expected: 'a ProvisioningError ca-bad-answer, and the certificate the next time.',
    mend: 'read the answer in a try, and throw ca-bad-answer where it is not what the CA’s protocol promises.',
    async run(context) {
      const order = await newOrder(context, 'ec');
      await arm(context, 'answerGarbage');
      const error = await failure(context.authority.issue(order, never));
      assert(error.code === 'ca-bad-answer', `the error ${error.code}`);
      await checked(context, order, await context.authority.issue(order, never));
    },
  },
  {
    name: 'waits for a CA that takes its time',
    lacks: lacksHook('answerSlowly'),
    expected: 'the certificate, when it comes.',
    mend: 'set no deadline of a few seconds inside the adapter: the caller sets it by the signal.',
    async run(context) {
      const order = await newOrder(context, 'ec');
      await arm(context, 'answerSlowly');
      await checked(context, order, await context.authority.issue(order, never));
    },
  },
  {
    name: 'rejects promptly with the signal’s reason when it is aborted, and leaves nothing behind',
    lacks: lacksHook('hang'),
    expected: 'issue() rejects with the signal’s reason as soon as it is aborted.',
    mend: 'hand the signal on to whatever waits (fetch(url, { signal })), and let its reason through.',
    async run({ authority, harness, ...context }) {
      const order = await newOrder({ authority, harness }, 'ec');
      const { reached } = await arm({ authority, harness, ...context }, 'hang');
      const reason = new Error('aborted by the test');
      const controller = new AbortController();
      const error = errorOf(authority.issue(order, controller.signal));
      await Promise.race([reached(), error]);
      controller.abort(reason);
      await prompt(endsWith(reason, error), harness);
      await refuseLeftovers(harness);
    },
  },
  {
    name: 'keeps a deadline that its caller sets by the signal',
    lacks: lacksHook('hang'),
    expected: 'issue() rejects with the signal’s reason, a TimeoutError, when the time is over.',
    mend: 'hand the signal on to whatever waits, and let its reason through as it is.',
    async run(context) {
      const order = await newOrder(context, 'ec');
      await arm(context, 'hang');
      const signal = AbortSignal.timeout(50);
      const error = await prompt(errorOf(context.authority.issue(order, signal)), context.harness);
      assert(error === signal.reason, `it failed with ${described(error)}`);
    },
  },
  {
    name: 'lets go of everything when it is disposed of in the middle of a call',
    lacks: lacksHook('hang'),
    expected: '[Symbol.asyncDispose] resolves soon, and the call in hand fails.',
    mend: 'keep an AbortController for the adapter’s life, abort it in [Symbol.asyncDispose], and join it to each call’s signal with AbortSignal.any().',
    async run(context) {
      const { harness } = context;
      const order = await newOrder(context, 'ec');
      const { reached } = await arm(context, 'hang');
      const authority = await context.connect();
      const error = errorOf(authority.issue(order, never));
      await Promise.race([reached(), error]);
      await prompt(authority[Symbol.asyncDispose](), harness);
      await prompt(error, harness);
      await refuseLeftovers(harness);
    },
  },
];
