import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { adapters } from '../../adapters/index.ts';
import { defaultConcurrency } from '../../src/config/load/authorities.ts';
import type { AuthorityFeatures } from '../../src/plug-in/certificate-authority.ts';
import { replaceGenerated } from '../../tools/describe-config.ts';
import { describeKinds, type KindFacts, summariseKinds } from '../../tools/describe-kinds.ts';
import { connectContext } from '../support/connect-context.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { type Kind, kinds, secrets } from './kinds.ts';

const root = resolve(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const never = new AbortController().signal;
const all = Object.entries(kinds) as [keyof typeof adapters, Kind][];

/** Connects the kind with each set of options, which needs no server, and asks what it declares. */
async function factsOf(kind: keyof typeof adapters): Promise<KindFacts> {
  const { default: definition } = await adapters[kind]();
  const declared: AuthorityFeatures[] = [];
  for (const given of kinds[kind].options) {
    await using home = await temporaryDirectory();
    const context = connectContext(home.path, { env: secrets });
    const options: unknown = definition.options.parse(given);
    await using authority = await definition.connect(options as never, context, never);
    declared.push(authority.features);
  }
  return {
    kind,
    declared,
    concurrency: definition.concurrency ?? defaultConcurrency,
    requestsPerSecond: definition.requestsPerSecond,
    provenWith: kinds[kind].proofs.map(({ server }) => server),
    speaksTo: kinds[kind].speaksTo,
    note: kinds[kind].note,
    page: kinds[kind].page,
  };
}

describe('the tables of the kinds of CA', () => {
  const facts: KindFacts[] = [];

  beforeAll(async () => {
    for (const [kind] of all) facts.push(await factsOf(kind));
  });

  it.each([
    ['docs/authorities/choosing-a-ca.md', () => describeKinds(facts)],
    ['README.md', () => summariseKinds(facts, 'docs/authorities/')],
  ])(
    'say in %s what the kinds declare (npm test -- test/docs -u writes it anew)',
    async (document, table) => {
      const file = join(root, document);
      await expect(replaceGenerated(read(document), table())).toMatchFileSnapshot(file);
    },
  );

  it('has every kind', () => {
    expect(Object.keys(kinds).sort()).toEqual(Object.keys(adapters).sort());
  });

  it.each(all)('claims for %s only what a test runs against a real server', (kind, { proofs }) => {
    for (const proof of proofs) {
      expect(read(proof.test), proof.test).toContain(`adapters/${kind}/${kind}.ts'`);
      const products = /step-ca|pebble|cfssl|openssl|micromdm|SoftHSM|Easy-RSA|FreeRADIUS/i;
      const product = products.exec(proof.server)?.[0];
      expect(read(proof.test).toLowerCase(), proof.test).toContain(product?.toLowerCase());
      expect(read('.ci/run'), `${proof.package} is installed by .ci/run`).toMatch(
        new RegExp(`[ \\n]${proof.package}[; \\n]`),
      );
    }
  });

  it.each(all)('forgets for %s no test against a real server', (kind, { proofs }) => {
    const claimed = new Set(proofs.map(({ test }) => test));
    const found = globSync('test/peers/*.test.ts', { cwd: root }).filter((test) =>
      read(test).includes(`from '../../adapters/${kind}/${kind}.ts'`),
    );
    expect(found.filter((test) => !claimed.has(test))).toEqual([]);
  });

  it.each(all.filter(([, { proofs }]) => proofs.length === 0))(
    'has a double where %s was tried with no real server',
    (kind) => {
      expect(read(`test/adapters/${kind}-harness.ts`)).toContain("from './doubles/");
    },
  );
});
