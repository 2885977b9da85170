import { once } from 'node:events';
import { createServer } from 'node:http';
import { describe, expect, it } from 'vitest';
import acme from '../../adapters/acme/acme.ts';
import adcs from '../../adapters/adcs/adcs.ts';
import cfssl from '../../adapters/cfssl/cfssl.ts';
import cmp from '../../adapters/cmp/cmp.ts';
import ejbca from '../../adapters/ejbca/ejbca.ts';
import est from '../../adapters/est/est.ts';
import scep from '../../adapters/scep/scep.ts';
import vaultPki from '../../adapters/vault-pki/vault-pki.ts';
import webhook from '../../adapters/webhook/webhook.ts';
import { mayHaveIssued, ProvisioningError } from '../../src/errors.ts';
import type { AdapterDefinition } from '../../src/plug-in/certificate-authority.ts';
import { connectContext } from '../support/connect-context.ts';
import { sampleOrder } from '../support/sample-order.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { adcsHarness } from './adcs-harness.ts';
import { awsPrivateCaHarness } from './aws-private-ca-harness.ts';
import { cfsslHarness } from './cfssl-harness.ts';
import { cmpHarness, withSecret } from './cmp-harness.ts';
import { ejbcaHarness } from './ejbca-harness.ts';
import { estHarness } from './est-harness.ts';
import { googleCasHarness } from './google-cas-harness.ts';
import type { HttpHarness, OddAnswer } from './http-harness.ts';
import { scepHarness } from './scep-harness.ts';
import { stepCaHarness } from './step-ca-harness.ts';
import { vaultPkiHarness } from './vault-pki-harness.ts';
import { webhookHarness } from './webhook-harness.ts';

/*
 * What stands between us and a CA has answers of its own. None of them is the CA's decision, and none says that no
 * certificate was made.
 */

const never = new AbortController().signal;

const kinds: Readonly<Record<string, () => Promise<HttpHarness>>> = {
  'adcs by ces': () => adcsHarness('ces'),
  'adcs by certsrv': () => adcsHarness('certsrv'),
  'aws-private-ca': awsPrivateCaHarness,
  cfssl: cfsslHarness,
  cmp: () => cmpHarness({ ...withSecret }),
  ejbca: ejbcaHarness,
  est: estHarness,
  'google-cas': googleCasHarness,
  scep: scepHarness,
  'step-ca': stepCaHarness,
  'vault-pki': () => vaultPkiHarness('sign'),
  webhook: webhookHarness,
};

function page(status: number, title: string): OddAnswer {
  const text = `<html>\r\n<head><title>${status} ${title}</title></head>\r\n<body>\r\n<center><h1>${status} ${title}</h1></center>\r\n<center>The SSL certificate error</center>\r\n<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>`;
  const headers = { 'content-type': 'text/html', server: 'nginx/1.22.1', connection: 'close' };
  return { status, headers, body: text };
}

function json(status: number, body: string): OddAnswer {
  return { status, headers: { 'content-type': 'application/json' }, body };
}

const answers: readonly (readonly [string, string, OddAnswer])[] = [
  ...(
    [
      [400, 'Bad Request'],
      [403, 'Forbidden'],
      [404, 'Not Found'],
      [405, 'Not Allowed'],
      [407, 'Proxy Authentication Required'],
      [413, 'Request Entity Too Large'],
      [422, 'Unprocessable Entity'],
      [451, 'Unavailable For Legal Reasons'],
    ] as const
  ).map(([status, title]) => [`HTML ${status}`, 'ca-misconfigured', page(status, title)] as const),
  [
    'HTML 400 that speaks of what CAs speak of',
    'ca-misconfigured',
    page(
      400,
      'CSR could not be parsed: the subject DN, the public key and the common name device.example are not allowed by this role; request denied by policy',
    ),
  ],
  ['HTML 408', 'ca-unavailable', page(408, 'Request Time-out')],
  ['HTML 502', 'ca-unavailable', page(502, 'Bad Gateway')],
  ['HTML 200', 'ca-bad-answer', page(200, 'Welcome to the hotel')],
  // Some firewalls say no with 200, in words and numbers that a CA has as well.
  [
    'HTML 200 of a firewall',
    'ca-bad-answer',
    page(200, 'Your request was denied (0x80094800). Your request ID is 12345, session ID: 9'),
  ],
  ['JSON of another shape, 200', 'ca-bad-answer', json(200, '{"ok":true}')],
  ['JSON of another shape, 400', 'ca-misconfigured', json(400, '{"ok":false}')],
  ['JSON of another shape, 403', 'ca-misconfigured', json(403, '["denied"]')],
  ['JSON null, 400', 'ca-misconfigured', json(400, 'null')],
  [
    'plain text about the way, 400',
    'ca-misconfigured',
    {
      status: 400,
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      body: 'Client sent an HTTP request to an HTTPS server.\n',
    },
  ],
  ['nothing, 200', 'ca-bad-answer', { status: 200, headers: {}, body: '' }],
  ['nothing, 400', 'ca-misconfigured', { status: 400, headers: {}, body: '' }],
  ['nothing, 403', 'ca-misconfigured', { status: 403, headers: {}, body: '' }],
  ['cut JSON, 200', 'ca-bad-answer', json(200, '{"success":true,"certificate":"-----BEG')],
  [
    'cut JSON, 400',
    'ca-misconfigured',
    json(400, '{"status":400,"message":"no","errors":[{"code":9'),
  ],
];

describe('what stands between us and a CA', () => {
  // All answers in one case for each kind: to set a CA up takes longer than to ask it twenty times.
  it.each(Object.entries(kinds))('decides nothing about an order by %s', async (_kind, setUp) => {
    await using harness = await setUp();
    await using authority = await harness.connect();
    const plain = sampleOrder();
    // Made once: some kinds make RSA keys here.
    const state = (await authority.prepare?.(plain, never))?.state;
    const order = state === undefined ? plain : { ...plain, prepared: state };
    const found: Record<string, string> = {};
    for (const [name, , answer] of answers) {
      harness.answerOrder(answer);
      found[name] = await authority.issue(order, never).then(({ kind }) => kind, told);
    }
    const expected = answers.map(([name, code]) => [name, `${code}, unanswered`]);
    expect(found).toEqual(Object.fromEntries(expected));
  });
});

/** Kinds with a URL, as an administrator would write them for one server. */
const checked: Readonly<Record<string, readonly [AdapterDefinition, (url: string) => object]>> = {
  acme: [acme, (url) => ({ directoryUrl: `${url}/directory`, termsOfServiceAgreed: true })],
  adcs: [adcs, (url) => ({ url: `${url}/CES`, username: 'a', password: secret })],
  'adcs by certsrv': [
    adcs,
    (url) => ({ transport: 'certsrv', url: `${url}/certsrv`, username: 'a', password: secret }),
  ],
  cfssl: [cfssl, (url) => ({ url })],
  cmp: [cmp, (url) => ({ url: `${url}/cmp`, reference: 'r', secret })],
  ejbca: [
    ejbca,
    (url) => ({
      url: `${url}/ejbca/ejbca-rest-api`,
      certificateAuthority: 'ca',
      endEntityProfile: 'devices',
      certificateProfile: 'wifi',
      auth: { method: 'bearer', token: secret },
    }),
  ],
  est: [est, (url) => ({ url })],
  scep: [scep, (url) => ({ url: `${url}/scep`, caFingerprints: ['00'.repeat(32)] })],
  'vault-pki': [
    vaultPki,
    (url) => ({ url, role: 'wifi', auth: { method: 'token', token: secret } }),
  ],
  webhook: [webhook, (url) => ({ url, secret })],
};
const secret = { env: 'SECRET' };

describe('a check of a URL that is not the CA’s', () => {
  it.each(Object.entries(checked))('fails for %s', async (_kind, [definition, optionsFor]) => {
    await using home = await temporaryDirectory();
    let answer = page(200, 'Welcome to the hotel');
    const server = createServer((request, response) => {
      request.resume().on('end', () => {
        response.writeHead(answer.status, answer.headers).end(answer.body);
      });
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : 0;
    const options = definition.options.parse(optionsFor(`http://127.0.0.1:${port}`));
    const context = connectContext(home.path, { env: { SECRET: 'a secret of some length' } });
    await using authority = await definition.connect(options, context, never);
    const found: unknown[] = [];
    for (const next of [
      answer,
      page(407, 'Proxy Authentication Required'),
      page(502, 'Bad Gateway'),
      { status: 302, headers: { location: 'https://portal.example/' }, body: '' },
    ]) {
      answer = next;
      found.push(await authority.check(never).then(() => 'passed', codeOf));
    }
    server.close();
    const codes = ['ca-bad-answer', 'ca-misconfigured', 'ca-unavailable', 'ca-misconfigured'];
    expect(found).toEqual(codes);
  });
});

function codeOf(error: unknown): unknown {
  return error instanceof ProvisioningError ? error.code : error;
}

function told(error: unknown): string {
  if (!(error instanceof ProvisioningError)) return String(error);
  return `${error.code}, ${mayHaveIssued(error) ? 'unanswered' : 'nothing made'}`;
}
