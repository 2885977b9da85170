import assert from 'node:assert/strict';
import type { KeyType } from '../issue/certificate-authority.ts';
import {
  assertNothingLeft,
  type CaseContext,
  type ContractCase,
  type Hook,
  type Hooks,
} from './harness.ts';
import { checked, collected, failure, newOrder, prompt, settled } from './order.ts';

/*
 * What every kind of CA has to do, as data: a test runner or a command runs the cases and prints what came
 * of them. Nothing here knows a test framework.
 */

const dayMs = 24 * 3_600_000;
const never = new AbortController().signal;

function lacksHook(name: keyof Hooks): NonNullable<ContractCase['lacks']> {
  return ({ harness }) => {
    const hook = harness.hooks[name];
    return typeof hook === 'function' ? undefined : hook.notSupported;
  };
}

async function arm<Name extends keyof Hooks>(context: CaseContext, name: Name) {
  const hook = context.harness.hooks[name];
  assert(typeof hook === 'function');
  return (await hook()) as Hooks[Name] extends Hook<infer Result> ? Result : never;
}

export const contractCases: readonly ContractCase[] = [
  {
    name: 'passes its own check',
    run: ({ authority }) => authority.check(never),
  },
  keyCase('rsa'),
  keyCase('ec'),
  {
    name: 'gives the validity that is asked for',
    lacks: ({ harness: { validityAsAsked } }) =>
      validityAsAsked === true ? undefined : validityAsAsked.notSupported,
    async run(context) {
      const order = await newOrder(context, 'ec', { validityDays: 30 });
      const facts = await checked(context, order, await context.authority.issue(order, never));
      const days = (facts.notAfter - Date.now()) / dayMs;
      assert(days > 29 && days < 31, `valid for ${days} days instead of 30`);
    },
  },
  {
    name: 'certifies every name that is asked for, except what it may drop',
    async run(context) {
      const order = await newOrder(context, 'ec', {
        subject: [
          [{ type: '2.5.4.6', value: 'DE' }],
          [{ type: '2.5.4.10', value: 'Schule für Käse, GmbH' }],
          [{ type: '2.5.4.3', value: 'device 5CD1234' }],
        ],
        subjectAltNames: [
          { type: 'dns', value: 'device-5cd1234.example.org' },
          { type: 'email', value: 'someone@example.org' },
          { type: 'upn', value: 'someone@ad.example.org' },
          { type: 'uri', value: 'urn:example:device:5cd1234' },
        ],
        ...context.harness.wanted,
      });
      await checked(context, order, await context.authority.issue(order, never));
    },
  },
  {
    name: 'serves orders at the same time without mixing them up',
    async run(context) {
      // Names of their own, as devices have: a mix-up shows in them, too.
      const { subject: fixed, subjectAltNames: fixedAlt } = context.harness.wanted ?? {};
      const orders = await Promise.all(
        Array.from({ length: 8 }, (_, index) => {
          const value = `contract-${index}.example.org`;
          return newOrder(context, 'ec', {
            ...(fixed === undefined ? { subject: [[{ type: '2.5.4.3', value }]] } : {}),
            ...(fixedAlt === undefined ? { subjectAltNames: [{ type: 'dns', value }] } : {}),
          });
        }),
      );
      const answers = await Promise.all(
        orders.map((order) => context.authority.issue(order, never)),
      );
      const serials = new Set<string>();
      for (const [index, order] of orders.entries()) {
        const answer = answers[index];
        assert(answer !== undefined);
        serials.add((await checked(context, order, answer)).serialNumber);
      }
      assert.equal(serials.size, orders.length, 'a serial number was given twice');
    },
  },
  {
    name: 'gives the same certificate for a repeated order, also at once and by another instance',
    lacks: ({ authority }) =>
      authority.features.idempotent
        ? undefined
        : 'It does not declare `idempotent`: a repeated order may give a second certificate.',
    async run(context) {
      const order = await newOrder(context, 'ec');
      const other = await context.connect();
      const answers = await Promise.all([
        context.authority.issue(order, never),
        context.authority.issue(order, never),
        other.issue(order, never),
      ]);
      answers.push(await other.issue(order, never));
      const ends = answers.map((answer) => settled(other, order, answer));
      const certificates = (await Promise.all(ends)).map((answer) => {
        assert.equal(answer.kind, 'issued');
        return Buffer.from(answer.certificate).toString('hex');
      });
      assert.equal(new Set(certificates).size, 1, 'more than one certificate for one requestId');
    },
  },
  {
    name: 'leaves an order pending and then gives its certificate, also to another instance',
    lacks: lacksHook('pendThenIssue'),
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
    lacks: lacksHook('pendThenReject'),
    async run(context) {
      const order = await newOrder(context, 'ec');
      await arm(context, 'pendThenReject');
      const first = await context.authority.issue(order, never);
      const answer = await collected(context.authority, order, first);
      assert.equal(answer.kind, 'rejected');
    },
  },
  {
    name: 'says with a value, not an error, that an order was decided against',
    lacks: lacksHook('reject'),
    async run(context) {
      const order = await newOrder(context, 'ec');
      await arm(context, 'reject');
      const answer = await context.authority.issue(order, never);
      assert.equal(answer.kind, 'rejected');
      assert(answer.reason.trim() !== '', 'the reason is empty');
    },
  },
  {
    name: 'fails in passing with a code that makes the process wait, and then serves the order',
    lacks: lacksHook('failOnce'),
    async run(context) {
      const order = await newOrder(context, 'ec');
      await arm(context, 'failOnce');
      const error = await failure(context.authority.issue(order, never));
      assert(['ca-unavailable', 'ca-throttled'].includes(error.code), `the code is ${error.code}`);
      await checked(context, order, await context.authority.issue(order, never));
    },
  },
  {
    name: 'calls an answer that is no certificate by its name, and then serves the order',
    lacks: lacksHook('answerGarbage'),
    async run(context) {
      const order = await newOrder(context, 'ec');
      await arm(context, 'answerGarbage');
      const error = await failure(context.authority.issue(order, never));
      assert.equal(error.code, 'ca-bad-answer');
      await checked(context, order, await context.authority.issue(order, never));
    },
  },
  {
    name: 'does nothing when it is called with an aborted signal',
    async run(context) {
      const order = await newOrder(context, 'ec');
      const reason = new Error('aborted by the test');
      const aborted = AbortSignal.abort(reason);
      await assert.rejects(context.authority.issue(order, aborted), (error) => error === reason);
      await assert.rejects(context.authority.check(aborted), (error) => error === reason);
    },
  },
  {
    name: 'rejects promptly with the signal’s reason when it is aborted, and leaves nothing behind',
    lacks: lacksHook('hang'),
    async run(context) {
      const order = await newOrder(context, 'ec');
      const { reached } = await arm(context, 'hang');
      const reason = new Error('aborted by the test');
      const controller = new AbortController();
      const call = context.authority.issue(order, controller.signal);
      const rejected = assert.rejects(call, (error) => error === reason);
      await Promise.race([reached(), rejected]);
      controller.abort(reason);
      await prompt(rejected);
      await assertNothingLeft(context.harness);
    },
  },
  {
    name: 'keeps a deadline that its caller sets by the signal',
    lacks: lacksHook('hang'),
    async run(context) {
      const order = await newOrder(context, 'ec');
      await arm(context, 'hang');
      const call = context.authority.issue(order, AbortSignal.timeout(50));
      await prompt(assert.rejects(call, { name: 'TimeoutError' }));
    },
  },
  {
    name: 'lets go of everything when it is disposed of in the middle of a call',
    lacks: lacksHook('hang'),
    async run(context) {
      const order = await newOrder(context, 'ec');
      const { reached } = await arm(context, 'hang');
      const authority = await context.connect();
      const rejected = assert.rejects(authority.issue(order, never));
      await Promise.race([reached(), rejected]);
      await prompt(authority[Symbol.asyncDispose]());
      await prompt(rejected);
      await assertNothingLeft(context.harness);
    },
  },
  {
    name: 'revokes, and takes a second revocation of the same certificate for done',
    lacks: ({ authority }) =>
      authority.features.revoke ? undefined : 'It does not declare `revoke`.',
    async run(context) {
      const { authority } = context;
      assert(authority.revoke !== undefined, 'it declares `revoke` and has no such method');
      const order = await newOrder(context, 'ec');
      const answer = await settled(authority, order, await authority.issue(order, never));
      assert.equal(answer.kind, 'issued');
      await authority.revoke(answer.certificate, 'cessationOfOperation', never);
      await authority.revoke(answer.certificate, 'cessationOfOperation', never);
    },
  },
];

function keyCase(keyType: KeyType): ContractCase {
  return {
    name: `certifies exactly the key of an order (${keyType.toUpperCase()}), with its chain`,
    lacks: ({ authority }) =>
      authority.features.keyTypes.includes(keyType)
        ? undefined
        : `It does not declare keys of type ${keyType}.`,
    async run(context) {
      const order = await newOrder(context, keyType);
      await checked(context, order, await context.authority.issue(order, never));
    },
  };
}
