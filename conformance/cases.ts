import assert from 'node:assert/strict';
import type { KeyType } from '../src/request/requested-certificate.ts';
import { NotShown } from './breach.ts';
import { declarationProblems } from './declaration.ts';
import type { CaseContext, ContractCase } from './harness.ts';
import { misbehaviourCases } from './misbehaviour-cases.ts';
import { certified, checked, endsWith, errorOf, failure, newOrder } from './order.ts';

/*
 * What every kind of CA has to do, as data: a test runner or a command runs the cases and prints the results. Nothing
 * here knows a test framework. These need a CA that serves; those that need one that misbehaves are in
 * misbehaviour-cases.ts.
 */

const dayMs = 24 * 3_600_000;
const never = new AbortController().signal;

const servingCases: readonly ContractCase[] = [
  {
    name: 'declares what it can do, completely',
    expected: 'a connected CA with every member and every feature of the contract.',
    mend: 'compare what connect() returns with CertificateAuthority and AuthorityFeatures; a type check of the adapter finds most of this.',
    async run({ authority }) {
      const problems = declarationProblems(authority);
      assert(problems.length === 0, problems.join('; '));
    },
  },
  {
    name: 'passes its own check',
    expected: 'check() resolves when the CA could issue now.',
    mend: 'start the CA and correct the options, or let check() ask for less.',
    run: ({ authority }) => authority.check(never),
  },
  keyCase('rsa'),
  keyCase('ec'),
  {
    name: 'returns a chain up to a root',
    expected: 'a chain that leads from the certificate to a root of the CA.',
    mend: 'return every other certificate of the CA’s answer as `chain`.',
    async run(context) {
      for (const keyType of context.authority.features.keyTypes) {
        const order = await newOrder(context, keyType);
        const answer = await context.authority.issue(order, never);
        const roots = await context.harness.roots();
        if (roots.length === 0) {
          throw new NotShown('No root is known: name a PEM file with the CA’s root by --roots.');
        }
        await checked(context, order, answer, roots);
      }
    },
  },
  {
    name: 'gives the validity that is asked for',
    lacks: ({ harness: { validityAsAsked } }) =>
      typeof validityAsAsked === 'object' ? validityAsAsked.notSupported : undefined,
    expected: 'a certificate that is valid for request.wanted.validityDays days.',
    mend: 'send the number of days to the CA. If its template alone decides, let the harness say so under validityAsAsked.',
    async run(context) {
      const order = await newOrder(context, 'ec', { validityDays: 30 });
      const facts = await checked(context, order, await context.authority.issue(order, never));
      const days = (facts.notAfter - Date.now()) / dayMs;
      if (days > 29 && days < 31) return;
      const found = `${days.toFixed(1)} days instead of 30`;
      if (context.harness.validityAsAsked === undefined) {
        throw new NotShown(`The CA gave ${found}: its own profile decides.`);
      }
      assert.fail(`valid for ${found}`);
    },
  },
  {
    name: 'certifies every name that is asked for, except what it may drop',
    expected: 'every name of request.wanted, and no other.',
    mend: 'send the names to the CA, or have it take them from the CSR.',
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
    expected: 'for each of eight orders at once the certificate of that order.',
    mend: 'keep what belongs to one order in that call’s own variables, and never in the adapter.',
    run: servesManyAtOnce,
  },
  {
    name: 'gives the same certificate for a repeated order, also at once and by another instance',
    lacks: ({ authority }) =>
      authority.features.idempotent
        ? undefined
        : 'It does not declare `idempotent`: a repeated order may give a second certificate.',
    expected:
      'one certificate for one requestId, however often, and by whichever instance, it is ordered.',
    mend: 'send request.requestId to the CA as its idempotency key, or declare `idempotent: false`.',
    run: repeatsAnOrder,
  },
  {
    name: 'hides nothing when the CA certifies another key',
    expected:
      'the CA’s certificate as it is, which is then held back, or a ProvisioningError that makes the process wait.',
    mend: 'return what the CA gave, or throw ca-bad-answer where no certificate of its answer is for the order’s key.',
    run: certifiesAnotherKey,
  },
  {
    name: 'does nothing when it is called with an aborted signal',
    expected: 'issue() and check() reject with the signal’s reason when it is aborted already.',
    mend: 'begin each call with signal.throwIfAborted(), and hand the signal on to whatever waits.',
    async run({ authority, harness }) {
      const order = await newOrder({ authority, harness }, 'ec');
      const reason = new Error('aborted by the test');
      const aborted = AbortSignal.abort(reason);
      await endsWith(reason, errorOf(authority.issue(order, aborted)));
      await endsWith(reason, errorOf(authority.check(aborted)));
    },
  },
  {
    name: 'revokes, and takes a second revocation of the same certificate for done',
    lacks: ({ authority }) =>
      authority.features.revoke ? undefined : 'It does not declare `revoke`.',
    expected: 'revoke() resolves, and does so again for a certificate that is revoked already.',
    mend: 'take the CA’s “already revoked” for success.',
    async run(context) {
      const { authority } = context;
      const order = await newOrder(context, 'ec');
      const answer = await authority.issue(order, never);
      const { certificate } = await certified(context, authority, order, answer);
      await authority.revoke?.(certificate, 'cessationOfOperation', never);
      await authority.revoke?.(certificate, 'cessationOfOperation', never);
    },
  },
  {
    name: 'can be disposed of twice',
    expected: 'the second [Symbol.asyncDispose] resolves and does nothing.',
    mend: 'remember that it is disposed of, or use what may be closed twice.',
    async run({ connect }) {
      const authority = await connect();
      await authority[Symbol.asyncDispose]();
      await authority[Symbol.asyncDispose]();
    },
  },
];

/** The contract, in the order of its report. */
export const contractCases: readonly ContractCase[] = [...servingCases, ...misbehaviourCases];

function keyCase(keyType: KeyType): ContractCase {
  return {
    name: `certifies exactly the key of an order (${keyType.toUpperCase()})`,
    lacks: ({ authority }) =>
      authority.features.keyTypes.includes(keyType)
        ? undefined
        : `It does not declare keys of type ${keyType}.`,
    expected: 'a certificate for the key and the names of the order.',
    mend: 'send request.csr to the CA unchanged.',
    async run(context) {
      const order = await newOrder(context, keyType);
      await checked(context, order, await context.authority.issue(order, never));
    },
  };
}

async function servesManyAtOnce(context: CaseContext): Promise<void> {
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
  const answers = await Promise.all(orders.map((order) => context.authority.issue(order, never)));
  const serials = new Set<string>();
  for (const [index, order] of orders.entries()) {
    const answer = answers[index];
    assert(answer !== undefined);
    serials.add((await checked(context, order, answer)).serialNumber);
  }
  assert(serials.size === orders.length, 'a serial number was given twice');
}

async function repeatsAnOrder(context: CaseContext): Promise<void> {
  const order = await newOrder(context, 'ec');
  const other = await context.connect();
  const answers = await Promise.all([
    context.authority.issue(order, never),
    context.authority.issue(order, never),
    other.issue(order, never),
  ]);
  answers.push(await other.issue(order, never));
  const ends = answers.map((answer) => certified(context, other, order, answer));
  const found = (await Promise.all(ends)).map(({ certificate }) =>
    Buffer.from(certificate).toString('hex'),
  );
  const different = new Set(found).size;
  assert(
    different === 1,
    `${different} different certificates for one requestId that was ordered four times`,
  );
}

/** The CSR is for one key, and the order says that it is for another. */
async function certifiesAnotherKey(context: CaseContext): Promise<void> {
  const { subjectPublicKeyInfo } = await newOrder(context, 'ec');
  const order = { ...(await newOrder(context, 'ec')), subjectPublicKeyInfo };
  try {
    const answer = await context.authority.issue(order, never);
    // A CA that compares the two decides against the order.
    if (answer.kind !== 'rejected') await checked(context, order, answer);
  } catch (error) {
    if (error instanceof NotShown) throw error;
    await failure(Promise.reject(error));
  }
}
