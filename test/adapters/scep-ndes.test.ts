import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import scep from '../../adapters/scep/scep.ts';
import { newOrder } from '../../conformance/order.ts';
import type { CertificateAuthority } from '../../src/plug-in/certificate-authority.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { connectContext } from '../support/connect-context.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { scepPki } from './doubles/scep-pki.ts';
import { ndesUser, ScepDouble } from './doubles/scep-server.ts';

const never = new AbortController().signal;
const startsAt = Date.now();
const minuteMs = 60_000;

const thumbprint = '<B> 0A1B2C3D 4E5F6071 829394A5 B6C7D8E9 </B>';
const onceOnly = 'This password can be used only once and will expire within 30 minutes.';

function english(challenge: string, terms = onceOnly): string {
  return `<HTML><Body><P>The thumbprint (hash value) for the CA certificate is: ${thumbprint}
    <P>The enrollment challenge password is: <B> ${challenge} </B><P>${terms}</Body></HTML>`;
}

function german(challenge: string): string {
  return `<HTML><Body><P>Der Fingerabdruck lautet: ${thumbprint}
    <P>Das Kennwort für die Registrierung lautet: <B> ${challenge} </B></Body></HTML>`;
}

const utf16 = (page: string) => Buffer.from(`\ufeff${page}`, 'utf16le');

describe('NDES’s challenges', () => {
  const home = temporaryDirectory();
  let server: ScepDouble;
  let authority: CertificateAuthority;
  let wrongPassword: CertificateAuthority;
  let page: (challenge: string) => Buffer | number;
  const clock = new ManualClock(startsAt);

  beforeAll(async () => {
    const caFile = join((await home).path, 'ca.pem');
    await writeFile(caFile, encodePem('CERTIFICATE', scepPki().ca.certificate));
    server = await ScepDouble.start({
      secure: true,
      challenge: 'none that is always right',
      ndesPage: (challenge) => page(challenge),
    });
    const options = scep.options.parse({
      url: server.url,
      tls: { caFile },
      ndes: {
        url: `${server.origin}/certsrv/mscep_admin/`,
        username: ndesUser.name,
        password: { env: 'PASSWORD' },
      },
    });
    const connect = (password: string) =>
      scep.connect(options, connectContext('/', { clock, env: { PASSWORD: password } }), never);
    authority = await connect(ndesUser.password);
    wrongPassword = await connect('a wrong one');
  });
  beforeEach(() => {
    page = (challenge) => utf16(english(challenge));
  });
  afterAll(async () => {
    await authority[Symbol.asyncDispose]();
    await wrongPassword[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    await (await home)[Symbol.asyncDispose]();
  });

  function order(from = authority) {
    return newOrder({ authority: from, harness: {} }, 'ec');
  }

  async function prepared() {
    const { prepared: _, csr: _csr, ...request } = await order();
    return authority.prepare?.(request, never);
  }

  it.each<[string, (challenge: string) => Buffer]>([
    ['in English and UTF-16', (challenge) => utf16(english(challenge))],
    ['without a byte order mark', (challenge) => Buffer.from(english(challenge), 'utf16le')],
    ['in big-endian UTF-16', (challenge) => utf16(english(challenge)).swap16()],
    ['in UTF-8', (challenge) => Buffer.from(english(challenge))],
    ['in German', (challenge) => utf16(german(challenge))],
  ])('are read from a page %s, and good for one certificate', async (_name, given) => {
    page = given;
    const first = await order();
    expect(await authority.issue(first, never)).toMatchObject({ kind: 'issued' });
    const { requestId } = await order();
    expect(await authority.issue({ ...first, requestId }, never)).toMatchObject({
      kind: 'rejected',
      reason: expect.stringContaining('wrong challenge password'),
    });
  });

  it.each<[string, string, number | undefined]>([
    ['as soon as the page says', english('0123456789ABCDEF'), 27 * minuteMs],
    ['after an hour where it does not', german('0123456789ABCDEF'), 57 * minuteMs],
    ['never where it says so', english('0123456789ABCDEF', 'It will not expire.'), undefined],
  ])('run out %s', async (_name, text, forMs) => {
    page = () => utf16(text);
    const additions = await prepared();
    expect(additions?.expiresAt).toBe(forMs === undefined ? undefined : startsAt + forMs);
  });

  it.each<[string, string | number, object]>([
    ['are short', 'The password cache is full.', { code: 'ca-throttled', retryAfterMs: 300_000 }],
    [
      'are not for us',
      'You do not have sufficient permission to enroll with SCEP.',
      { code: 'ca-misconfigured' },
    ],
    ['are somewhere else', '<h1>Welcome to IIS</h1>', { code: 'ca-bad-answer' }],
    ['are broken', 500, { code: 'ca-unavailable' }],
    ['are forbidden', 403, { code: 'ca-misconfigured' }],
  ])('say who must act when they %s', async (_name, answer, problem) => {
    page = () => (typeof answer === 'number' ? answer : utf16(answer));
    await expect(order()).rejects.toMatchObject(problem);
  });

  it('are not had with a wrong password', async () => {
    await expect(order(wrongPassword)).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringContaining('ndes.password'),
    });
  });

  it('are not used up by the check', async () => {
    const before = server.challenges.size;
    await authority.check(never);
    expect(server.challenges.size).toBe(before);
  });

  it('stay out of what the server says', async () => {
    const asked = await order();
    const [challenge] = [...server.challenges].slice(-1);
    server.script.push({ fail: '2', text: `not ${challenge}` });
    expect(await authority.issue(asked, never)).toEqual({
      kind: 'rejected',
      reason: 'badRequest: not [secret]',
    });
  });
});
