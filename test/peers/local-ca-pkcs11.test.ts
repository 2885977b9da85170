import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect, promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import localCa from '../../adapters/local-ca/local-ca.ts';
import { type Library, loadLibrary } from '../../adapters/local-ca/pkcs11/library.ts';
import type { AdapterHarness } from '../../conformance/harness.ts';
import type {
  CertificateAuthority,
  IssueRequest,
} from '../../src/plug-in/certificate-authority.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { describeAdapter } from '../adapters/contract.ts';
import { localCaHarness } from '../adapters/local-ca-harness.ts';
import { connectContext } from '../support/connect-context.ts';
import { requirePeer } from '../support/peer.ts';
import { sampleOrder } from '../support/sample-order.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { hasSoftHsm, howToGetSoftHsm, SoftHsm, softHsmLibrary } from './soft-hsm.ts';

const there = await requirePeer('SoftHSM', hasSoftHsm, howToGetSoftHsm);

const run = promisify(execFile);
const never = new AbortController().signal;
const keys = {
  kind: 'pkcs11',
  library: softHsmLibrary,
  tokenLabel: 'certprov',
  pin: { env: 'TOKEN_PIN' },
};

if (there) {
  for (const keyType of ['ec', 'rsa'] as const) {
    describeAdapter(`local-ca with ${keyType} keys in SoftHSM`, () => tokenHarness(keyType));
  }
}

async function tokenHarness(keyType: 'ec' | 'rsa'): Promise<AdapterHarness> {
  const place = await temporaryDirectory();
  const hsm = await SoftHsm.start(place.path);
  await hsm.makeToken('certprov');
  const harness = await localCaHarness({ keyType, keys }, { TOKEN_PIN: hsm.pin });
  return {
    ...harness,
    async [Symbol.asyncDispose]() {
      await harness[Symbol.asyncDispose]();
      hsm[Symbol.dispose]();
      await place[Symbol.asyncDispose]();
    },
  };
}

describe.skipIf(!there)('a local CA whose keys are in SoftHSM', () => {
  let home: Awaited<ReturnType<typeof temporaryDirectory>>;
  let hsm: SoftHsm;
  let library: Library;
  let directory: string;
  let opened: CertificateAuthority[];

  beforeEach(async () => {
    home = await temporaryDirectory();
    directory = join(home.path, 'ca');
    hsm = await SoftHsm.start(home.path);
    await hsm.makeToken('certprov');
    library = await loadLibrary(softHsmLibrary);
    opened = [];
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    for (const ca of opened) await ca[Symbol.asyncDispose]();
    hsm[Symbol.dispose]();
    await home[Symbol.asyncDispose]();
  });

  async function open(given: object = {}, pin = hsm.pin): Promise<CertificateAuthority> {
    const options = localCa.options.parse({ directory: './ca', keys, ...given });
    const context = connectContext(home.path, { env: { TOKEN_PIN: pin } });
    const ca = await localCa.connect(options, context, never);
    opened.push(ca);
    return ca;
  }

  async function issued(ca: CertificateAuthority, order: IssueRequest = sampleOrder()) {
    const answer = await ca.issue(order, never);
    if (answer.kind !== 'issued') throw new Error(`The order is ${answer.kind}.`);
    return answer.certificate;
  }

  async function opensslVerify(certificate: Uint8Array): Promise<string> {
    const leaf = join(home.path, 'leaf.pem');
    await writeFile(leaf, encodePem('CERTIFICATE', certificate));
    const file = (name: string) => join(directory, name);
    const trust = ['-CAfile', file('root.pem'), '-untrusted', file('issuing.pem')];
    const crl = ['-CRLfile', file('crl.pem'), '-crl_check'];
    const words = ['verify', '-x509_strict', ...trust, ...crl, leaf];
    const { stdout, stderr } = await run('openssl', words).catch(
      (error: { stdout: string; stderr: string }) => error,
    );
    return stdout + stderr;
  }

  const publicKeyOf = async (name: string) =>
    new X509Certificate(await readFile(join(directory, name))).publicKey
      .export({ type: 'spki', format: 'der' })
      .toString('hex');

  it.each(['ec', 'rsa'] as const)(
    'issues what openssl accepts, and revokes it (%s)',
    async (keyType) => {
      const ca = await open({ keyType });
      const certificate = await issued(ca);
      expect(await opensslVerify(certificate)).toContain('OK');
      await ca.revoke?.(certificate, 'superseded', never);
      expect(await opensslVerify(certificate)).toContain('certificate revoked');
      const crl = ['-in', join(directory, 'crl.pem'), '-CAfile', join(directory, 'issuing.pem')];
      expect((await run('openssl', ['crl', '-noout', ...crl])).stderr).toContain('verify OK');
    },
  );

  it('finds its keys again after a restart', async () => {
    const before = await open();
    const order = sampleOrder();
    const certificate = await issued(before, order);
    const issuing = await readFile(join(directory, 'issuing.pem'));
    await before[Symbol.asyncDispose]();
    const after = await open();
    expect(await issued(after, order)).toEqual(certificate);
    expect(await readFile(join(directory, 'issuing.pem'))).toEqual(issuing);
    expect(await opensslVerify(await issued(after))).toContain('OK');
  });

  it('writes no private key into its directory', async () => {
    await issued(await open());
    const names = await readdir(directory);
    expect(names).toContain('token-keys.json');
    for (const name of names) {
      expect(name).not.toContain('key.pem');
      expect((await readFile(join(directory, name))).includes('PRIVATE KEY')).toBe(false);
    }
  });

  it.each(['ec', 'rsa'] as const)(
    'makes keys that cannot leave the token (%s)',
    async (keyType) => {
      await open({ keyType });
      const { calls, names } = library;
      const [slot = Buffer.alloc(8)] = calls.C_GetSlotList(true);
      const session = calls.C_OpenSession(slot, names.CKF_SERIAL_SESSION);
      calls.C_FindObjectsInit(session, [{ type: names.CKA_CLASS, value: names.CKO_PRIVATE_KEY }]);
      const found = calls.C_FindObjects(session, 10);
      calls.C_FindObjectsFinal(session);
      expect(found).toHaveLength(2);
      const secret = keyType === 'ec' ? names.CKA_VALUE : names.CKA_PRIVATE_EXPONENT;
      for (const key of found) {
        const flags = [names.CKA_EXTRACTABLE, names.CKA_SENSITIVE, names.CKA_NEVER_EXTRACTABLE];
        const values = calls.C_GetAttributeValue(
          session,
          key,
          flags.map((type) => ({ type })),
        );
        expect(values.map(({ value }) => Buffer.from(value as Buffer)[0])).toEqual([0, 1, 1]);
        expect(() => calls.C_GetAttributeValue(session, key, [{ type: secret }])).toThrow(
          'CKR_ATTRIBUTE_SENSITIVE',
        );
      }
      calls.C_CloseSession(session);
    },
  );

  it('shows a wrong PIN to the token once, whatever is asked of it', async () => {
    const logIn = vi.spyOn(library.calls, 'C_Login');
    const wrong = 'not-the-pin-6153';
    const ca = await open({}, wrong);
    const other = await open({ directory: './other' }, wrong);
    const attempts = [
      () => ca.check(never),
      () => ca.check(never),
      () => ca.issue(sampleOrder(), never),
      () => other.check(never),
    ];
    for (const attempt of attempts) {
      const error: unknown = await attempt().catch((reason: unknown) => reason);
      expect(error).toMatchObject({ code: 'ca-misconfigured' });
      const { message } = error as Error;
      expect(message).toMatch(/The token "certprov".* PIN .*restart the service/);
      expect(inspect(error, { depth: 10 })).not.toContain(wrong);
    }
    expect(logIn).toHaveBeenCalledTimes(1);
    await issued(await open());
  });

  it('waits for a token that is not there at the start', async () => {
    const token = await hsm.takeOut();
    const ca = await open();
    await expect(ca.check(never)).rejects.toMatchObject({
      code: 'ca-unavailable',
      message: expect.stringContaining('has no token labelled "certprov"'),
    });
    await expect(ca.issue(sampleOrder(), never)).rejects.toMatchObject({ code: 'ca-unavailable' });
    await token.back();
    await ca.check(never);
    expect(await opensslVerify(await issued(ca))).toContain('OK');
  });

  it('fails while its token is taken out, and goes on when it is back', async () => {
    const ca = await open();
    const certificate = await issued(ca);
    const token = await hsm.takeOut();
    for (const attempt of [
      () => ca.issue(sampleOrder(), never),
      () => ca.check(never),
      () => ca.revoke?.(certificate, 'superseded', never) ?? Promise.resolve(),
    ]) {
      await expect(attempt()).rejects.toMatchObject({
        code: 'ca-unavailable',
        message: expect.stringContaining('certprov'),
      });
    }
    await token.back();
    await ca.check(never);
    expect(await opensslVerify(await issued(ca))).toContain('OK');
    expect(await opensslVerify(certificate)).toContain('OK');
  });

  it('opens its sessions anew when they were closed behind its back', async () => {
    const ca = await open();
    const [slot = Buffer.alloc(8)] = library.calls.C_GetSlotList(true);
    library.calls.C_CloseAllSessions(slot);
    const certificates = await Promise.all([issued(ca), issued(ca), issued(ca)]);
    library.calls.C_CloseAllSessions(slot);
    for (const certificate of certificates) {
      await ca.revoke?.(certificate, 'superseded', never);
      expect(await opensslVerify(certificate)).toContain('certificate revoked');
    }
  });

  it('says so when the token no longer has its key', async () => {
    const ca = await open();
    await issued(ca);
    await ca[Symbol.asyncDispose]();
    await hsm.takeOut();
    await hsm.makeToken('certprov');
    await expect((await open()).check(never)).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringMatching(
        /has no private key labelled "certprov local CA Issuing".*issuing\.pem is missing.*backup/,
      ),
    });
  });

  it('never takes a key of another directory’s CA', async () => {
    await open();
    const other = await open({ directory: './other' });
    await expect(other.check(never)).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringContaining('"certprov local CA Root" already'),
    });
    const named = await open({ directory: './third', name: 'Third' });
    await issued(named);
  });

  it('goes on from where a crash interrupted its creation, with the same keys', async () => {
    const before = await open();
    await before[Symbol.asyncDispose]();
    const rootKey = await publicKeyOf('root.pem');
    const issuingKey = await publicKeyOf('issuing.pem');
    await rm(join(directory, 'issuing.pem'));
    await rm(join(directory, 'root.pem'));
    const after = await open();
    expect(await opensslVerify(await issued(after))).toContain('OK');
    expect(await publicKeyOf('root.pem')).toBe(rootKey);
    expect(await publicKeyOf('issuing.pem')).toBe(issuingKey);
  });

  it('takes over a CA whose key was a file', async () => {
    const before = await open({ keys: undefined });
    const order = sampleOrder();
    const certificate = await issued(before, order);
    await before[Symbol.asyncDispose]();
    const file = join(directory, 'issuing-key.pem');
    await hsm.importKey('certprov', file, 'certprov local CA Issuing');
    await rm(file);
    await rm(join(directory, 'root-key.pem'));
    const after = await open();
    expect(await issued(after, order)).toEqual(certificate);
    expect(await opensslVerify(await issued(after))).toContain('OK');
  });

  it('lets an order go that is aborted while others are signed', async () => {
    const ca = await open({ keyType: 'rsa' });
    const controller = new AbortController();
    const first = issued(ca);
    const second = ca.issue(sampleOrder(), controller.signal);
    controller.abort(new Error('enough'));
    await expect(second).rejects.toThrow('enough');
    expect(await opensslVerify(await first)).toContain('OK');
  });

  it('is found by the number of its slot', async () => {
    const { tokenLabel: _, ...others } = keys;
    const { stdout } = await run('softhsm2-util', ['--show-slots']);
    const slot = Number(/reassigned|Slot (\d+)/.exec(stdout)?.[1]);
    const ca = await open({ keys: { ...others, slot } });
    await issued(ca);
    const nowhere = await open({ directory: './nowhere', keys: { ...others, slot: slot + 1 } });
    await expect(nowhere.check(never)).rejects.toMatchObject({
      code: 'ca-unavailable',
      message: expect.stringContaining(`has no token in slot ${slot + 1}. It shows "certprov"`),
    });
  });

  it('refuses to choose between two tokens of one label', async () => {
    await hsm.makeToken('certprov');
    await expect((await open()).check(never)).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringContaining('more than one token labelled "certprov"'),
    });
  });
});
