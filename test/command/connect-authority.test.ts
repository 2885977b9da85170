import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import type { Authority } from '../../src/authority/authority.ts';
import { guardAuthority } from '../../src/command/connect-authority.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { ProvisioningError } from '../../src/errors.ts';
import { Events } from '../../src/events/events.ts';
import { MemoryJournal } from '../../src/journal/memory-journal.ts';
import {
  type CertificateAuthority,
  defineAdapter,
  type PrepareRequest,
} from '../../src/plug-in/certificate-authority.ts';
import { systemClock } from '../../src/time/clock.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { makeCa } from '../support/test-certificates.ts';

const adapter: CertificateAuthority = {
  kind: 'toy',
  features: { idempotent: true, pending: false, revoke: false, keyTypes: ['ec'], mayDrop: [] },
  check: () => Promise.resolve(),
  issue: () => Promise.reject(new Error('not in this test')),
  collect: () => Promise.reject(new Error('not in this test')),
  [Symbol.asyncDispose]: () => Promise.resolve(),
};
const toy = defineAdapter({
  kind: 'toy',
  options: z.strictObject({ template: z.string().describe('Its template.') }),
  connect: () => Promise.resolve(adapter),
});
const request: PrepareRequest = {
  requestId: '0'.repeat(32),
  processId: 'p1',
  keyType: 'ec',
  subjectPublicKeyInfo: new Uint8Array(),
  subject: { kind: 'device', serialNumber: 'S1' },
  wanted: {
    subject: [],
    subjectAltNames: [],
    keyUsages: [],
    extendedKeyUsages: [],
    validityDays: 1,
  },
};
const wrongNames = new ProvisioningError('certificate-wrong-names', 'The subject is another.');

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'certprov-connect-'));
  for (const name of ['one', 'two']) {
    const { der } = await makeCa({ name: `CN=${name}` });
    await writeFile(join(directory, `${name}.pem`), encodePem('CERTIFICATE', der));
  }
});

afterAll(() => rm(directory, { recursive: true }));

/** As a service is started with this configuration. */
async function start(journal: MemoryJournal, settings: string): Promise<Authority> {
  const path = join(directory, 'config.yaml');
  const authority = `  ca: { kind: toy, ${settings} }`;
  await writeFile(
    path,
    `pubsub: { project: my-project, subscription: worker }\nauthorities:\n${authority}\nprofiles:\n  p: { subject: "CN=x" }\n`,
  );
  const config = await loadConfig(path, { loadAdapter: () => Promise.resolve(toy), env: {} });
  const ca = config.authorities.get('ca');
  if (ca === undefined) throw new Error('There is an authority.');
  const context = {
    events: new Events(),
    clock: systemClock,
    random: () => 0.5,
    signal: new AbortController().signal,
  };
  return guardAuthority({ reference: 'ca', authority: ca, config, journal, context }, adapter);
}

const first = 'options: { template: A }, roots: [one.pem]';

it.each([
  ['nothing', first, true],
  ['roots', 'options: { template: A }, roots: [two.pem]', false],
  ['the template', 'options: { template: B }, roots: [one.pem]', false],
  ['mayDrop', `${first}, mayDrop: [subject]`, false],
  ['mayAdd', `${first}, mayAdd: [sha1Signature]`, false],
])(
  'a failing certificate, when %s has changed since one passed',
  async (_what, changed, believed) => {
    const journal = new MemoryJournal(systemClock);
    const before = await start(journal, first);
    before.proven('p');
    await expect.poll(() => journal.standing('ca', AbortSignal.timeout(1_000))).toBeDefined();
    const after = await start(journal, changed);
    const held = await after.failed({ request, profile: 'p', isNew: true }, wrongNames);
    expect(held === undefined).toBe(believed);
    expect(after.problem?.code).toBe(believed ? undefined : 'certificate-wrong-names');
  },
);
