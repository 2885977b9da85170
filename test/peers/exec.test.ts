import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import exec from '../../adapters/exec/exec.ts';
import type { AdapterHarness, NotSupported } from '../../conformance/harness.ts';
import { checked, newOrder } from '../../conformance/order.ts';
import type { KeyType } from '../../src/request/requested-certificate.ts';
import { attributeKeywords, attributeTypeNamed } from '../../src/x509/attribute-types.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import { readCertificates } from '../../src/x509/pem.ts';
import { describeAdapter } from '../adapters/contract.ts';
import { connectContext } from '../support/connect-context.ts';
import { requirePeer } from '../support/peer.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

/*
 * The kind `exec` over the command that docs/authorities/exec.md offers, with the real tools behind it.
 */

const script = join(import.meta.dirname, '../../examples/exec/ca.sh');
const settings = join(import.meta.dirname, '../../examples/exec/openssl.cnf');
const easyRsa = '/usr/share/easy-rsa/easyrsa';
const easyRsaThere = await requirePeer(
  'Easy-RSA',
  () => existsSync(easyRsa),
  'apt-get install easy-rsa',
);
const never = new AbortController().signal;
const passphrase = 'a passphrase, of the CA’s key';

type Tool = 'openssl' | 'easy-rsa';
const makeCa: Readonly<Record<Tool, (directory: string) => Promise<string>>> = {
  openssl: makeOpensslCa,
  'easy-rsa': makeEasyRsa,
};

/** As docs/authorities/exec.md has administrators do it; gives the root's file. */
async function makeOpensslCa(directory: string): Promise<string> {
  await mkdir(join(directory, 'newcerts'), { recursive: true });
  await copyFile(settings, join(directory, 'openssl.cnf'));
  await writeFile(join(directory, 'index.txt'), '');
  await writeFile(join(directory, 'crlnumber'), '01\n');
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-days', '3650'];
  const names = ['-subj', '/CN=Example CA', '-passout', 'env:CA_PASSPHRASE'];
  const out = ['-keyout', 'ca-key.pem', '-out', 'ca.pem'];
  execFileSync('openssl', ['req', '-x509', ...key, ...names, ...out], {
    cwd: directory,
    env: { ...process.env, CA_PASSPHRASE: passphrase },
    stdio: 'pipe',
  });
  return join(directory, 'ca.pem');
}

async function makeEasyRsa(directory: string): Promise<string> {
  const env = {
    ...process.env,
    EASYRSA_PKI: directory,
    EASYRSA_BATCH: '1',
    EASYRSA_ALGO: 'ec',
    EASYRSA_REQ_CN: 'Example CA',
    EASYRSA_PASSOUT: 'env:CA_PASSPHRASE',
    EASYRSA_PASSIN: 'env:CA_PASSPHRASE',
    CA_PASSPHRASE: passphrase,
  };
  for (const words of [['init-pki'], ['build-ca']]) {
    execFileSync(easyRsa, words, { env, stdio: 'pipe' });
  }
  return join(directory, 'ca.crt');
}

interface ExecHarness extends AdapterHarness {
  readonly directory: string;
}

async function harnessOver(tool: Tool): Promise<ExecHarness> {
  const home = await temporaryDirectory();
  const directory = join(home.path, 'ca');
  const root = await makeCa[tool](directory);
  const command = (action: string) => [script, tool, directory, action];
  const options = exec.options.parse({
    command: command('issue'),
    checkCommand: command('check'),
    revokeCommand: command('revoke'),
    idempotent: true,
    env: { CA_PASSPHRASE: { env: 'CA_PASSPHRASE' } },
  });
  const context = connectContext(home.path, { env: { CA_PASSPHRASE: passphrase } });
  const decidesNothing: NotSupported = { notSupported: 'The command signs what it is given.' };
  const noOtherSide: NotSupported = { notSupported: 'Shown with a scripted command instead.' };
  return {
    directory,
    connect: () => exec.connect(options, context, never),
    hooks: {
      pendThenIssue: decidesNothing,
      pendThenReject: decidesNothing,
      reject: decidesNothing,
      failOnce: noOtherSide,
      answerGarbage: noOtherSide,
      hang: noOtherSide,
    },
    secrets: [passphrase],
    roots: async () => readCertificates(await readFile(root)),
    validityAsAsked: true,
    leftovers: async () => [],
    [Symbol.asyncDispose]: () => home[Symbol.asyncDispose](),
  };
}

describe.each<Tool>(['openssl', 'easy-rsa'])('examples/exec/ca.sh with %s', (tool) => {
  const missing = tool === 'easy-rsa' && !easyRsaThere;
  describe.skipIf(missing)('and the kind exec', () => {
    describeAdapter(`exec with ${tool}`, () => harnessOver(tool));

    async function setUp() {
      const harness = await harnessOver(tool);
      return { harness, authority: await harness.connect(), connect: harness.connect };
    }

    it.each<KeyType>(['rsa', 'ec'])('lists a revoked certificate with an %s key', async (key) => {
      const context = await setUp();
      await using harness = context.harness;
      await using authority = context.authority;
      const order = await newOrder(context, key);
      const answer = await authority.issue(order, never);
      await checked(context, order, answer);
      if (answer.kind !== 'issued') throw new Error(answer.kind);
      expect(listed(harness.directory)).not.toContain(serialOf(answer.certificate));
      await authority.revoke?.(answer.certificate, 'keyCompromise', never);
      expect(listed(harness.directory)).toContain(serialOf(answer.certificate));
      expect(listed(harness.directory)).toContain('Key Compromise');
      // The order has one certificate for ever, revoked or not.
      expect(await authority.issue(order, never)).toEqual(answer);
    });

    it('issues for names that would be commands, options and patterns', async () => {
      const context = await setUp();
      await using harness = context.harness;
      await using _authority = context.authority;
      const commonName = '-config /x $(touch pwned) `touch pwned` \'"\\ */CN=y';
      const organization = 'Bäckerei; rm -rf . # "validityDays": 9,';
      const order = await newOrder(context, 'ec', {
        subject: [
          [{ type: '2.5.4.10', value: organization }],
          [{ type: '2.5.4.3', value: commonName }],
        ],
        subjectAltNames: [
          { type: 'uri', value: 'urn:x:$(touch%20pwned)?a=b&c=,DNS:other.example' },
        ],
      });
      const { notAfter } = await checked(
        context,
        order,
        await context.authority.issue(order, never),
      );
      expect(notAfter).toBeGreaterThan(Date.now() + 80 * 86_400_000);
      const files = await readdir(join(harness.directory, '..'), { recursive: true });
      expect(files.filter((file) => file.includes('pwned'))).toEqual([]);
    });

    if (tool === 'openssl') {
      it('keeps every attribute that a subject may have', async () => {
        const context = await setUp();
        await using _harness = context.harness;
        await using authority = context.authority;
        const types = attributeKeywords.map(
          (keyword) => attributeTypeNamed(keyword)?.oid ?? keyword,
        );
        const units = ['one', 'two'].map((value) => [{ type: '2.5.4.11', value }]);
        const subject = [...types.map((type) => [{ type, value: 'DE' }]), ...units];
        const order = await newOrder(context, 'ec', { subject });
        await checked(context, order, await authority.issue(order, never));
      });
    }

    it('rejects another key under an id that was used', async () => {
      const context = await setUp();
      await using _harness = context.harness;
      await using authority = context.authority;
      const order = await newOrder(context, 'ec');
      await authority.issue(order, never);
      const { csr, subjectPublicKeyInfo } = await newOrder(context, 'ec');
      const other = { ...order, csr, subjectPublicKeyInfo };
      expect(await authority.issue(other, never)).toMatchObject({
        kind: 'rejected',
        reason: expect.stringContaining('another key'),
      });
    });

    it('goes on where a crash left the database between two renames', async () => {
      const context = await setUp();
      await using harness = context.harness;
      await using authority = context.authority;
      const order = await newOrder(context, 'ec');
      const answer = await authority.issue(order, never);
      const database = join(harness.directory, 'index.txt');
      await rename(database, `${database}.new`);
      await authority.check(never);
      expect(await authority.issue(order, never)).toEqual(answer);
    });

    it('goes on where a crash left only the copy under the serial number', async () => {
      const context = await setUp();
      await using harness = context.harness;
      await using authority = context.authority;
      const order = await newOrder(context, 'ec');
      const answer = await authority.issue(order, never);
      if (answer.kind !== 'issued') throw new Error(answer.kind);
      await rm(join(harness.directory, 'issued'), { recursive: true, force: true });
      await mkdir(join(harness.directory, 'issued'));
      expect(await authority.issue(order, never)).toEqual(answer);
      await authority.revoke?.(answer.certificate, 'superseded', never);
      expect(listed(harness.directory)).toContain(serialOf(answer.certificate));
    });

    it('refuses to revoke what it did not issue', async () => {
      const context = await setUp();
      await using harness = context.harness;
      await using authority = context.authority;
      const [root = new Uint8Array()] = await harness.roots();
      await expect(authority.revoke?.(root, 'unspecified', never)).rejects.toThrow(
        'was not issued here',
      );
    });
  });
});

function serialOf(certificate: Uint8Array): string {
  return readCertificate(certificate).serialNumber;
}

/** What openssl reads in the CRL; nothing when there is none. */
function listed(directory: string): string {
  const file = join(directory, 'crl.pem');
  if (!existsSync(file)) return '';
  return execFileSync('openssl', ['crl', '-in', file, '-noout', '-text'], { encoding: 'utf8' });
}
