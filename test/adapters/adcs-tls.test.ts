import { webcrypto } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import adcs from '../../adapters/adcs/adcs.ts';
import { checked, newOrder } from '../../conformance/order.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { connectContext } from '../support/connect-context.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { type Authority, makeCa, makeLeaf, newKeys } from '../support/test-certificates.ts';
import { AdcsDouble, templateName } from './doubles/adcs.ts';

const never = new AbortController().signal;
const dates = { notBefore: Date.now() - 3_600_000, notAfter: Date.now() + 3_600_000 };

/** A certificate and its key as PEM; it serves as a server's and as a client's. */
async function identity(ca: Authority, name: string) {
  const keys = await newKeys();
  const subjectAltNames = [{ type: 'ip', value: '127.0.0.1' } as const];
  const leaf = await makeLeaf(ca, { keys, subject: [{ CN: [name] }], subjectAltNames, ...dates });
  const key = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return {
    cert: encodePem('CERTIFICATE', leaf),
    key: encodePem('PRIVATE KEY', new Uint8Array(key)),
  };
}

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let double: AdcsDouble;

beforeEach(async () => {
  directory = await temporaryDirectory();
  const ca = await makeCa(dates);
  const caPem = encodePem('CERTIFICATE', ca.der);
  const client = await identity(ca, 'registration authority');
  await writeFile(join(directory.path, 'ca.pem'), caPem);
  await writeFile(join(directory.path, 'ra.pem'), client.cert);
  await writeFile(join(directory.path, 'ra-key.pem'), client.key, { mode: 0o600 });
  double = await AdcsDouble.start({ ...(await identity(ca, 'server')), ca: caPem });
});

afterEach(async () => {
  await double[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

function connect(transport: 'ces' | 'certsrv', tls: Record<string, string>) {
  const url = transport === 'ces' ? double.cesUrl : double.certsrvUrl;
  const options = adcs.options.parse({ transport, url, template: templateName, tls });
  return adcs.connect(options, connectContext(directory.path), never);
}

const tls = { caFile: 'ca.pem', certFile: 'ra.pem', keyFile: 'ra-key.pem' };

describe('adcs over TLS', () => {
  it.each(['ces', 'certsrv'] as const)('is let in by its client certificate (%s)', async (way) => {
    await using authority = await connect(way, tls);
    await authority.check(never);
    const harness = { roots: () => double.signer.roots() } as never;
    const context = { authority, harness, connect: async () => authority };
    const request = await newOrder(context, 'rsa');
    await checked(context, request, await authority.issue(request, never));
    expect(double.server.seen.some(({ body }) => body.includes('UsernameToken'))).toBe(false);
  });

  it('does not talk to a server that it does not trust', async () => {
    await using authority = await connect('ces', { certFile: 'ra.pem', keyFile: 'ra-key.pem' });
    await expect(authority.check(never)).rejects.toMatchObject({ code: 'ca-misconfigured' });
    expect(double.server.seen).toEqual([]);
  });

  it('says which file cannot be read', async () => {
    await expect(connect('ces', { ...tls, keyFile: 'no-key.pem' })).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringContaining('no-key.pem'),
    });
  });
});
