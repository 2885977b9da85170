import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import adcs from '../../adapters/adcs/adcs.ts';
import { checked, collected, newOrder } from '../../conformance/order.ts';
import type { CertificateAuthority } from '../../src/plug-in/certificate-authority.ts';
import { readCertificationRequest } from '../../src/request/read-certification-request.ts';
import { templateIdExtension } from '../../src/x509/microsoft-extensions.ts';
import { collectFrom } from '../support/collect-from.ts';
import { type AdcsHarness, adcsHarness } from './adcs-harness.ts';
import { describeAdapter } from './contract.ts';
import { denied, fault, html, response as responseOf } from './doubles/adcs.ts';
import type { Answer } from './doubles/cloud-server.ts';

describeAdapter('adcs by CES', () => adcsHarness('ces'));
describeAdapter('adcs by certsrv', () => adcsHarness('certsrv'));

const never = new AbortController().signal;
let harness: AdcsHarness;
let authority: CertificateAuthority;

const context = () => ({ harness, authority, connect: harness.connect });
const order = (asked = {}) => newOrder(context(), 'ec', asked);

describe.each(['ces', 'certsrv'] as const)('adcs by %s', (transport) => {
  beforeEach(async () => {
    harness = await adcsHarness(transport);
    authority = await harness.connect();
  });

  afterEach(async () => {
    await authority[Symbol.asyncDispose]();
    await harness[Symbol.asyncDispose]();
  });

  it('keeps the CA’s number as ticket', async () => {
    harness.double.next = 'pend';
    const answer = await authority.issue(await order(), never);
    expect(answer).toEqual({ kind: 'pending', ticket: '61', pollAfterMs: 600_000 });
  });

  it('is caught by the name check when the template ignores the names of the request', async () => {
    harness.double.buildsFromDirectory = true;
    const request = await order();
    const answer = await authority.issue(request, never);
    expect(answer.kind).toBe('issued');
    await expect(checked(context(), request, answer)).rejects.toMatchObject({
      code: 'certificate-wrong-names',
      message: expect.stringContaining('svc-certprov'),
    });
  });

  it('says that a wrong password is the administrator’s to mend, also at its check', async () => {
    await using stranger = await harness.connect({ username: 'SCHOOL\\nobody' });
    const code = 'ca-misconfigured';
    await expect(stranger.check(never)).rejects.toMatchObject({ code });
    await expect(stranger.issue(await order(), never)).rejects.toMatchObject({ code });
  });

  it('never repeats the password, whatever page of a proxy repeats it', async () => {
    const [password = '', basic = ''] = harness.secrets;
    for (const status of [200, 400, 403, 500]) {
      const body = `You sent ${password}, ${encodeURIComponent(password)} and Basic ${basic}.`;
      harness.answerOrder({ status, headers: {}, body });
      const told = await authority.issue(await order(), never).then(String, String);
      expect(told).not.toMatch(/wort|schl|UMOk/i);
      expect(told).not.toContain(basic.slice(0, 12));
    }
  });

  it('takes the profile’s template before its own, and says when the CA does not have it', async () => {
    const failed = authority.issue(await order({ template: 'Other' }), never);
    await expect(failed).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringContaining('0x80094800'),
    });
  });

  it('does not let a profile’s template carry further request attributes', async () => {
    const template = 'ChromeOSDevice\r\nSAN:upn=administrator@school.example.org';
    const request = { ...(await order()), wanted: { ...(await order()).wanted, template } };
    const failed = authority.issue(request, never);
    await expect(failed).rejects.toMatchObject({ code: 'ca-misconfigured' });
    expect(harness.double.server.seen).toEqual([]);
  });

  it('puts the template’s identifier into the CSR when it is told to', async () => {
    const templateId = { oid: '1.3.6.1.4.1.311.21.8.1.2', majorVersion: 100, minorVersion: 2 };
    await using explicit = await harness.connect({ templateId });
    const { csr } = await newOrder({ ...context(), authority: explicit }, 'rsa');
    expect(readCertificationRequest(csr).extensions).toContainEqual(
      templateIdExtension(templateId),
    );
  });

  it.each<[number, string]>([
    [0x8009_4802, 'ca-misconfigured'],
    [0x8009_4012, 'ca-misconfigured'],
    [0x8009_4011, 'ca-misconfigured'],
    [0x8009_4009, 'ca-misconfigured'],
    [0x8009_481a, 'ca-misconfigured'],
    [0x8009_2013, 'ca-unavailable'],
    [0x8007_06be, 'ca-unavailable'],
    [0x8000_ffff, 'ca-misconfigured'],
  ])('makes the process wait after the error %i', async (hresult, code) => {
    harness.double.next = hresult;
    await expect(authority.issue(await order(), never)).rejects.toMatchObject({ code });
  });

  it.each([0x8009_4014, 0x8009_4001, 0x8009_4811, 0x8009_4004, 0x8007_000d, 0x8007_0057])(
    'takes the error %i for a decision',
    async (hresult) => {
      harness.double.next = hresult;
      expect(await authority.issue(await order(), never)).toMatchObject({ kind: 'rejected' });
    },
  );

  it.each<[string, Answer, string]>([
    ['401', { status: 401, body: '' }, 'ca-misconfigured'],
    ['403', { status: 403, body: 'no' }, 'ca-misconfigured'],
    ['404', { status: 404, body: 'no' }, 'ca-misconfigured'],
    ['a redirect', { status: 302, headers: { location: '/login' }, body: '' }, 'ca-misconfigured'],
    ['429', { status: 429, body: '' }, 'ca-throttled'],
    ['500 without a word', { status: 500, body: '' }, 'ca-misconfigured'],
    ['502', { status: 502, body: '<html>' }, 'ca-unavailable'],
    ['an empty answer', { status: 200, body: '' }, 'ca-bad-answer'],
    ['a page of somebody else', html('Please log in to the network'), 'ca-bad-answer'],
    ['a huge answer', { status: 200, body: 'x'.repeat(1_100_000) }, 'ca-bad-answer'],
  ])('makes the process wait after %s', async (_what, answer, code) => {
    harness.double.server.instead.push(() => answer);
    await expect(authority.issue(await order(), never)).rejects.toMatchObject({ code });
  });
});

describe('adcs by ces', () => {
  beforeEach(async () => {
    harness = await adcsHarness('ces');
    authority = await harness.connect();
  });

  afterEach(async () => {
    await authority[Symbol.asyncDispose]();
    await harness[Symbol.asyncDispose]();
  });

  it.each<[string, Answer, string]>([
    ['a fault without a code', fault('a:InternalServiceFault', 'internal error'), 'ca-unavailable'],
    ['a wrong clock', fault('wsse:InvalidSecurity', 'expired'), 'ca-misconfigured'],
    ['an empty response', envelopeOf('<x xmlns=""/>'), 'ca-bad-answer'],
    [
      'a document type',
      { status: 200, body: '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>' },
      'ca-bad-answer',
    ],
    ['a token that is no certificate', tokenOf('AAAA'), 'ca-bad-answer'],
    ['a token that is not base64', tokenOf('%%%%'), 'ca-bad-answer'],
  ])('makes the process wait after %s', async (_what, answer, code) => {
    harness.double.server.instead.push(() => answer);
    await expect(authority.issue(await order(), never)).rejects.toMatchObject({ code });
  });

  it('finds the certificate in the CMC response where it does not stand apart', async () => {
    harness.double.leafApart = false;
    const request = await order();
    await checked(context(), request, await authority.issue(request, never));
  });

  it('waits when the CMC response holds the CA’s certificates alone', async () => {
    const { double } = harness;
    const { certificate } = await double.signer.sign((await order()).csr, { validityDays: 1 });
    double.server.instead.push(() => responseOf('77', { certificate, chain: [] }, false));
    const answer = await authority.issue(await order(), never);
    expect(answer).toMatchObject({ kind: 'pending', ticket: '77' });
  });

  it('does not know a request that the CA has forgotten', async () => {
    expect(await collectFrom(authority, '999', await order(), never)).toMatchObject({
      kind: 'rejected',
      reason: expect.stringContaining('0x80094004'),
    });
  });

  it('passes its check when the CA itself says that it does not know the request', async () => {
    await authority.check(never);
    expect(harness.double.server.seen.at(-1)?.body).toContain('QueryTokenStatus');
    harness.double.server.counts = () => true;
    harness.double.server.instead.push(() => denied(0x8007_06ba, undefined));
    await expect(authority.check(never)).rejects.toMatchObject({ code: 'ca-unavailable' });
  });
});

describe('adcs by certsrv', () => {
  beforeEach(async () => {
    harness = await adcsHarness('certsrv');
    authority = await harness.connect();
  });

  afterEach(async () => {
    await authority[Symbol.asyncDispose]();
    await harness[Symbol.asyncDispose]();
  });

  it.each(['en', 'de', 'fr'] as const)('understands pages in %s', async (language) => {
    const { double } = harness;
    double.language = language;
    const request = await order();
    await checked(context(), request, await authority.issue(request, never));
    double.next = 'pend';
    const other = await order();
    const first = await authority.issue(other, never);
    expect(first).toMatchObject({ kind: 'pending', ticket: '62' });
    await checked(context(), other, await collected(authority, other, first));
    double.next = 0x8009_4001;
    expect(await authority.issue(await order(), never)).toMatchObject({ kind: 'rejected' });
  });

  it('fetches a certificate later that it could not fetch at once, and orders none anew', async () => {
    const { server } = harness.double;
    server.counts = ({ url }) => url.pathname.endsWith('/certnew.cer');
    server.instead.push(() => ({ status: 503, body: '' }));
    const request = await order();
    const first = await authority.issue(request, never);
    expect(first).toMatchObject({ kind: 'pending', ticket: '61', pollAfterMs: 5_000 });
    await checked(context(), request, await collected(authority, request, first));
    expect(harness.double.filed.size).toBe(1);
  });

  it('takes no firewall’s page in place of a certificate for the CA’s denial', async () => {
    const { server } = harness.double;
    harness.double.next = 'pend';
    const request = await order();
    const first = await authority.issue(request, never);
    const ticket = first.kind === 'pending' ? first.ticket : null;
    server.counts = ({ url }) => url.pathname.endsWith('/certnew.cer');
    for (const words of ['Your request was denied by policy "web".', 'Error 0x80094012', 'Hello']) {
      server.instead.push(() => ({
        status: 200,
        headers: { 'content-type': 'text/html' },
        body: `<html><head><title>Web gateway</title></head><body>${words}</body></html>`,
      }));
      await expect(collectFrom(authority, ticket, request, never)).rejects.toMatchObject({
        code: 'ca-bad-answer',
        message: expect.stringContaining('none of certsrv’s'),
      });
    }
  });

  it('knows an officer’s denial by its English word', async () => {
    const { server } = harness.double;
    server.counts = ({ url }) => url.pathname.endsWith('/certnew.cer');
    server.instead.push(() => html('The disposition message is "Denied by SCHOOL\\admin".'));
    const answer = await collectFrom(authority, '5', await order(), never);
    expect(answer).toEqual({ kind: 'rejected', reason: 'Denied by SCHOOL\\admin' });
  });

  it('asks again for a chain that is none, and does not do without it', async () => {
    const { server } = harness.double;
    server.counts = ({ url }) => url.pathname.endsWith('/certnew.p7b');
    const type = { 'content-type': 'application/x-pkcs7-certificates' };
    server.instead.push(() => ({ status: 200, headers: type, body: 'MAA=' }));
    const answer = await authority.issue(await order(), never);
    expect(answer).toMatchObject({ kind: 'pending', pollAfterMs: 5_000 });
  });
});

describe('the options of adcs', () => {
  const url = 'https://ca.example.org/CA_CES_UsernamePassword/service.svc/CES';
  const password = { env: 'CA_PASSWORD' };

  it.each([
    { url, username: 'u', password },
    { url, tls: { certFile: 'ra.pem', keyFile: 'ra-key.pem' } },
  ])('may be %o', (right) => {
    expect(adcs.options.safeParse(right).error).toBeUndefined();
  });

  it.each([
    { url },
    { url, username: 'u' },
    { url, username: 'u', password: 'in the file itself' },
    { url: 'http://ca.example.org/certsrv', username: 'u', password },
    { url: 'https://u:p@ca.example.org/certsrv', username: 'u', password },
    { url, username: 'u', password, template: 'a\nSAN:upn=administrator@school.example.org' },
    { url, username: 'u', password, templateId: { oid: '1.2.3', minorVersion: 1 } },
  ])('may not be %o', (wrong) => {
    expect(adcs.options.safeParse(wrong).success).toBe(false);
  });
});

function envelopeOf(body: string): Answer {
  const soap = 'http://www.w3.org/2003/05/soap-envelope';
  const text = `<s:Envelope xmlns:s="${soap}"><s:Body>${body}</s:Body></s:Envelope>`;
  return { status: 200, body: text };
}

function tokenOf(base64: string): Answer {
  const trust = 'http://docs.oasis-open.org/ws-sx/ws-trust/200512';
  const oasis = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss';
  return envelopeOf(
    `<t:RequestSecurityTokenResponseCollection xmlns:t="${trust}"><t:RequestSecurityTokenResponse><t:RequestedSecurityToken><w:BinarySecurityToken xmlns:w="${oasis}-wssecurity-secext-1.0.xsd" ValueType="${oasis}-x509-token-profile-1.0#X509v3">${base64}</w:BinarySecurityToken></t:RequestedSecurityToken></t:RequestSecurityTokenResponse></t:RequestSecurityTokenResponseCollection>`,
  );
}
