import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import est from '../../adapters/est/est.ts';
import { DeviceKey } from '../../conformance/device-key.ts';
import type {
  CertificateAuthority,
  PrepareRequest,
} from '../../src/plug-in/certificate-authority.ts';
import { contextTag, tag } from '../../src/x509/der.ts';
import { encode, encodeOid, encodeText } from '../../src/x509/encode-der.ts';
import { encodeExtensions, keyUsageExtension } from '../../src/x509/extensions.ts';
import { certificatesOfPkcs7 } from '../../src/x509/pkcs7.ts';
import { collectFrom } from '../support/collect-from.ts';
import { describeAdapter } from './contract.ts';
import { small } from './doubles/est-cmp-ca.ts';
import { type CsrAttributesAnswer, type EstWord, pkcs7, pkcs7Ber } from './doubles/est-server.ts';
import { type EstHarness, estHarness } from './est-harness.ts';

describeAdapter('est', estHarness);

const never = new AbortController().signal;

describe('an EST server', () => {
  let harness: EstHarness;
  let authority: CertificateAuthority;
  let opened: CertificateAuthority[];
  const key = new DeviceKey('ec');
  const wanted = {
    subject: [[{ type: '2.5.4.3', value: 'device.example.org' }]],
    subjectAltNames: [],
    keyUsages: ['digitalSignature'],
    extendedKeyUsages: ['1.3.6.1.5.5.7.3.2'],
    validityDays: 90,
  } as const;
  const prepare: PrepareRequest = {
    requestId: randomBytes(16).toString('hex'),
    processId: 'process-1',
    keyType: 'ec',
    subjectPublicKeyInfo: key.subjectPublicKeyInfo,
    subject: { kind: 'device', serialNumber: '5CD1234' },
    wanted,
  };
  const order = { ...prepare, csr: key.request(wanted) };

  beforeEach(async () => {
    harness = await estHarness();
    authority = await harness.connect();
    opened = [authority];
  });
  afterEach(async () => {
    for (const each of opened) await each[Symbol.asyncDispose]();
    await harness[Symbol.asyncDispose]();
  });
  async function connectWith(options: Record<string, unknown>) {
    const other = await harness.connectWith(options);
    opened.push(other);
    return other;
  }

  it.each<EstWord>(['pem', 'der', 'unwrapped', 'ber', 'with-chain'])(
    'is understood when it answers as %s',
    async (word) => {
      harness.server.script.push(word);
      expect((await authority.issue(order, never)).kind).toBe('issued');
    },
  );

  it.each<[EstWord, string]>([
    ['garbage', 'ca-bad-answer'],
    ['truncated', 'ca-bad-answer'],
    ['wrong-key', 'ca-bad-answer'],
    ['large', 'ca-bad-answer'],
    ['drop', 'ca-unavailable'],
    [{ status: 204 }, 'ca-bad-answer'],
    [{ status: 302, headers: { location: 'https://elsewhere.example/' } }, 'ca-misconfigured'],
    [{ status: 401 }, 'ca-misconfigured'],
    [{ status: 403 }, 'ca-misconfigured'],
    [{ status: 404 }, 'ca-misconfigured'],
    [{ status: 415 }, 'ca-misconfigured'],
    [{ status: 408 }, 'ca-unavailable'],
    [{ status: 429, headers: { 'retry-after': '7' } }, 'ca-throttled'],
    [{ status: 500 }, 'ca-unavailable'],
    [{ status: 503 }, 'ca-unavailable'],
  ])('that answers %j makes the process wait with %s', async (word, code) => {
    harness.server.script.push(word);
    await expect(authority.issue(order, never)).rejects.toMatchObject({ code });
  });

  it.each([400, 422])('decides against an order with %d', async (status) => {
    harness.server.script.push({ status, text: 'the name\r\nis not allowed' });
    expect(await authority.issue(order, never)).toEqual({
      kind: 'rejected',
      reason: `HTTP ${status}: the name is not allowed`,
    });
  });

  it('is asked after a pending order by the identical POST', async () => {
    harness.server.script.push('pend', 'serve');
    const first = await authority.issue(order, never);
    expect(first).toEqual({ kind: 'pending', ticket: null, pollAfterMs: 30_000 });
    expect((await collectFrom(authority, null, order, never)).kind).toBe('issued');
    const [one, other] = harness.server.posts;
    expect(other).toBe(one);
  });

  it.each([
    ['3600', 3_600_000],
    ['999999999', 30_000],
    ['soon', 30_000],
    ['Thu, 01 Jan 1970 00:00:00 GMT', 30_000],
  ])('may ask for a pause: Retry-After: %s', async (value, pollAfterMs) => {
    harness.server.script.push({ status: 202, headers: { 'retry-after': value } });
    expect(await authority.issue(order, never)).toMatchObject({ kind: 'pending', pollAfterMs });
  });

  it('takes a client certificate in the place of a password', async () => {
    const tls = { caFile: 'root.pem', certFile: 'client.pem', keyFile: 'client.key' };
    const other = await connectWith({ tls });
    expect((await other.issue(order, never)).kind).toBe('issued');
  });

  it('is not spoken to with a certificate and a key that do not belong together', async () => {
    const tls = { caFile: 'root.pem', certFile: 'root.pem', keyFile: 'client.key' };
    await expect(connectWith({ tls })).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringContaining('belong together'),
    });
    const missing = connectWith({ tls: { ...tls, keyFile: 'nowhere.key' } });
    await expect(missing).rejects.toMatchObject({ code: 'ca-misconfigured' });
  });

  it('is reached through a proxy, which sees nothing but its name', async () => {
    const asked: string[] = [];
    const proxy = createServer().on('connect', ({ url = '' }, near) => {
      asked.push(url);
      const [host, port] = url.split(':');
      const far = connect(Number(port), host, () => {
        near.write('HTTP/1.1 200 Connected\r\n\r\n');
        near.pipe(far).pipe(near);
      });
      near.on('error', () => far.destroy()).on('close', () => far.destroy());
      far.on('error', () => near.destroy()).on('close', () => near.destroy());
    });
    await once(proxy.listen(0, '127.0.0.1'), 'listening');
    const address = proxy.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const other = await connectWith({ proxy: `http://127.0.0.1:${port}` });
    await other.check(never);
    expect(asked).toEqual([new URL(harness.server.url).host]);
    await other[Symbol.asyncDispose]();
    proxy.close();
    await once(proxy, 'close');
  });

  it('says to whom a refusal of our credentials is addressed', async () => {
    const other = await connectWith({});
    await expect(other.issue(order, never)).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringContaining('username and password'),
    });
  });

  it('is not spoken to when its certificate is not trusted', async () => {
    const other = await connectWith({ tls: undefined });
    await expect(other.check(never)).rejects.toMatchObject({ code: 'ca-misconfigured' });
  });

  it('with another label is misconfigured, not unavailable', async () => {
    const other = await connectWith({ label: 'printers' });
    await expect(other.check(never)).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringContaining('label'),
    });
  });

  it('that is not there is unavailable', async () => {
    const other = await connectWith({ url: 'https://127.0.0.1:1' });
    await expect(other.check(never)).rejects.toMatchObject({ code: 'ca-unavailable' });
  });

  describe('that wants something inside the CSR', () => {
    const attribute = (type: string, ...values: Uint8Array[]) =>
      encode(tag.sequence, encodeOid(type), encode(tag.set, ...values));
    const extensionRequest = (...extensions: Parameters<typeof encodeExtensions>[0]) =>
      attribute('1.2.840.113549.1.9.14', encodeExtensions(extensions));
    const list = (...attributes: Uint8Array[]) => encode(tag.sequence, ...attributes);
    const signing = {
      type: '2.5.29.15',
      critical: true,
      // keyCertSign alone.
      value: encode(tag.bitString, Uint8Array.of(2, 4)),
    };
    async function additions(...attributes: Uint8Array[]) {
      harness.server.csrAttributes = list(...attributes);
      const other = await connectWith({ csrAttributes: true });
      return other.prepare?.(prepare, never);
    }

    it('is not asked unless the configuration says so', () => {
      expect(authority.prepare).toBeUndefined();
    });

    it('gets key usages and a template', async () => {
      const template = {
        type: '1.3.6.1.4.1.311.20.2',
        critical: false,
        value: encodeText(tag.bmpString, 'Wi-Fi'),
      };
      const usage = keyUsageExtension(['digitalSignature', 'keyEncipherment']);
      expect(await additions(extensionRequest(usage, template))).toEqual({
        keyUsages: ['digitalSignature', 'keyEncipherment'],
        extensions: [{ ...template, value: expect.anything() }],
      });
    });

    it('gets nothing for an empty list, none at all, and what we do not know', async () => {
      expect(await additions()).toEqual({});
      const unknown = [encodeOid('1.3.6.1.1.1.1.22'), attribute('1.2.3.4', small(1))];
      expect(await additions(...unknown)).toEqual({});
      harness.server.csrAttributes = undefined;
      const other = await connectWith({ csrAttributes: true });
      expect(await other.prepare?.(prepare, never)).toEqual({});
    });

    it('is understood when it gives a template of the whole request (RFC 9908)', async () => {
      const rsa = encode(
        contextTag(0, 'constructed'),
        encode(tag.sequence, encodeOid('1.2.840.113549.1.1.1'), encode(tag.null)),
      );
      const template = encode(tag.sequence, small(0), encode(tag.sequence), rsa);
      expect(await additions(attribute('1.2.840.113549.1.9.16.2.61', template))).toEqual({});
      expect(harness.warnings).toEqual([expect.stringContaining('a key of type rsa')]);
    });

    // RFC 7030 4.5.2: a challengePassword, P-384, and a bare OID (macAddress) under extensionRequest.
    const example =
      'MEEGCSqGSIb3DQEJBzASBgcqhkjOPQIBMQcGBSuBBAAiMBYGCSqGSIb3DQEJDjEJBgcrBgEBAQEWBggqhkjOPQQDAw==';
    // What libest has as its default, ended as a C string.
    const ofLibest = 'MCYGBysGAQEBARYGCSqGSIb3DQEJAQYFK4EEACIGCWCGSAFlAwQCAg==\0';

    it.each<[string, Uint8Array | CsrAttributesAnswer, string[]]>([
      ['the example of RFC 7030', { status: 200, body: example }, ['challengePassword']],
      ['the default of libest', { status: 200, body: ofLibest }, []],
      ['zeros behind it', { status: 200, body: `${example.slice(0, -4)}AwAA` }, ['challengePass']],
      ['a challengePassword', list(encodeOid('1.2.840.113549.1.9.7')), ['challengePassword']],
      [
        'another kind of key',
        list(attribute('1.2.840.113549.1.1.1', encode(tag.integer, Uint8Array.of(16, 0)))),
        ['type rsa'],
      ],
      [
        'an extended key usage that the profile lacks',
        list(
          extensionRequest({
            type: '2.5.29.37',
            critical: false,
            value: encode(tag.sequence, encodeOid('1.3.6.1.5.5.7.3.14')),
          }),
        ),
        ['eapOverLan'],
      ],
      ['names, and the profile has none', list(encodeOid('2.5.29.17')), ['subjectAltNames']],
      ['usages that are not for devices', list(extensionRequest(signing)), ['keyCertSign']],
      ['no list', small(1), ['cannot be read']],
      ['something behind the list', new Uint8Array([...list(), ...small(1)]), ['cannot be read']],
      [
        'a broken key usage',
        list(extensionRequest({ type: '2.5.29.15', critical: true, value: small(1) })),
        ['cannot be read'],
      ],
      [
        'a page',
        { status: 200, type: 'text/html', body: '<html>Welcome' },
        ['neither base64 nor DER'],
      ],
      ['no rights', { status: 403, type: 'text/plain', body: 'no' }, ['answered 403: no']],
    ])('gets its order all the same when it sends %s', async (_, attributes, words) => {
      harness.server.csrAttributes = attributes;
      const other = await connectWith({ csrAttributes: true });
      expect(await other.prepare?.(prepare, never)).toEqual({});
      expect(harness.warnings).toEqual(words.map((word) => expect.stringContaining(word)));
    });

    it('is waited for while it is away', async () => {
      harness.server.csrAttributes = { status: 503, body: '' };
      const other = await connectWith({ csrAttributes: true });
      await expect(other.prepare?.(prepare, never)).rejects.toMatchObject({
        code: 'ca-unavailable',
      });
      expect(harness.warnings).toEqual([]);
    });
  });

  describe('that has moved', () => {
    const moved = (url: string) => connectWith({ url: `${url}/moved/.well-known/est` });

    it('is followed within its origin, with the order', async () => {
      harness.server.moved = (path) =>
        path.startsWith('/moved/') ? path.slice('/moved'.length) : undefined;
      const other = await harness.connectWith({
        url: `${harness.server.url}/moved/.well-known/est`,
        username: 'ra',
        password: { env: 'EST_PASSWORD' },
      });
      opened.push(other);
      expect((await other.issue(order, never)).kind).toBe('issued');
    });

    it.each([
      ['another origin', 'https://elsewhere.example.org/est', 'at https://elsewhere.example.org'],
      ['itself, for ever', '/moved/again', 'answered 307'],
    ])('is not followed to %s', async (_, to, words) => {
      harness.server.moved = () => to;
      const other = await moved(harness.server.url);
      await expect(other.issue(order, never)).rejects.toMatchObject({
        code: 'ca-misconfigured',
        unanswered: false,
        message: expect.stringContaining(words),
      });
    });
  });
});

describe('the options of est', () => {
  it.each([
    [{ url: 'http://est.example.org' }, 'https'],
    [{ url: 'https://est.example.org', label: 'cacerts' }, 'operation'],
    [{ url: 'https://est.example.org', label: 'a/b' }, 'segment'],
    [{ url: 'https://est.example.org', username: 'ra' }, 'belong together'],
    [{ url: 'https://est.example.org', tls: { certFile: 'a.pem' } }, 'belong together'],
    [{ url: 'nonsense' }, 'URL'],
  ])('refuse %j', (options, text) => {
    expect(est.options.safeParse(options).error?.message).toContain(text);
  });
});

describe('certs-only PKCS#7', () => {
  const one = encode(tag.sequence, small(1));
  const other = encode(tag.sequence, small(2));

  it('gives its certificates, in DER and with indefinite lengths', () => {
    const hex = (list: readonly Uint8Array[]) =>
      list.map((der) => Buffer.from(der).toString('hex'));
    expect(hex(certificatesOfPkcs7(pkcs7([one, other])))).toEqual(hex([one, other]));
    expect(hex(certificatesOfPkcs7(pkcs7Ber([other, one])))).toEqual(hex([other, one]));
  });

  it('refuses every truncation, and nesting without end', () => {
    for (const whole of [pkcs7([one]), pkcs7Ber([one])]) {
      for (let length = 0; length < whole.length; length++) {
        expect(() => certificatesOfPkcs7(whole.subarray(0, length))).toThrow('PKCS#7');
      }
    }
    expect(() => certificatesOfPkcs7(Buffer.from('3080'.repeat(1_000), 'hex'))).toThrow(
      'nesting depth',
    );
  });
});
