import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { calculateJwkThumbprint, flattenedVerify, importJWK, type JWK } from 'jose';
import { z } from 'zod';
import { readCertificationRequest } from '../../../src/request/read-certification-request.ts';
import { type Received, type Reply, SigningServer } from './signing-server.ts';

/*
 * An ACME server after RFC 8555: requests (6.2 JWS with url and nonce, 6.3 POST-as-GET, 6.5 nonces used once,
 * 6.7 problems), directory (7.1.1), accounts with onlyReturnExisting and external binding (7.3, 7.3.1, 7.3.4),
 * orders and their states (7.1.6, 7.4), authorizations and challenges (7.5, 8.3 http-01, 8.4 dns-01) and
 * revocation by the account's key (7.6). It certifies DNS names only, and refuses a CSR with any other name.
 */

class Problem extends Error {
  readonly type: string;
  readonly status: number;
  constructor(type: string, status: number, detail: string) {
    super(detail);
    this.type = type;
    this.status = status;
  }
}

interface Challenge {
  readonly id: string;
  readonly type: 'http-01' | 'dns-01';
  readonly token: string;
  status: 'pending' | 'processing' | 'valid' | 'invalid';
  error?: object;
}

interface Order {
  readonly id: string;
  readonly account: string;
  readonly names: readonly string[];
  readonly challenges: readonly (readonly Challenge[])[];
  status: 'pending' | 'ready' | 'processing' | 'valid' | 'invalid';
  chain?: string;
}

interface AcmeDoubleOptions {
  /** Names are authorised already. */
  readonly preauthorised?: boolean;
  readonly externalAccount?: { readonly kid: string; readonly hmacKey: string };
  /** Where http-01 is looked for in place of port 80 of the name. */
  readonly httpPort?: number;
}

const flattened = z.strictObject({
  protected: z.base64url(),
  payload: z.union([z.base64url(), z.literal('')]),
  signature: z.base64url(),
});
const newAccount = z.object({
  onlyReturnExisting: z.boolean().optional(),
  termsOfServiceAgreed: z.boolean().optional(),
  externalAccountBinding: flattened.optional(),
});
const newOrder = z.strictObject({
  identifiers: z.array(z.strictObject({ type: z.string(), value: z.string() })).min(1),
});
const finalization = z.strictObject({ csr: z.base64url() });
const revocation = z.strictObject({ certificate: z.base64url(), reason: z.int().optional() });

export class AcmeDouble implements AsyncDisposable {
  readonly accounts = new Map<string, JWK>();
  readonly orders = new Map<string, Order>();
  /** How many signed requests to come are refused for their nonce. */
  nonceRefusals = 0;
  /** Answers as they leave; for servers that have their own ideas. `path` is the request's. */
  rewrite: (path: string, reply: Reply) => Reply = (_path, reply) => reply;
  /** How many looks a finalized order stays processing. */
  processingLooks = 1;
  readonly #nonces = new Set<string>();
  #generation = 1;
  readonly #revoked = new Set<string>();
  readonly #options: AcmeDoubleOptions;
  #server: SigningServer | undefined;

  private constructor(options: AcmeDoubleOptions) {
    this.#options = options;
  }

  static async start(options: AcmeDoubleOptions = {}): Promise<AcmeDouble> {
    const double = new AcmeDouble(options);
    double.#server = await SigningServer.start((received) => double.#answer(received));
    return double;
  }

  get server(): SigningServer {
    if (this.#server === undefined) throw new Error('Not started.');
    return this.#server;
  }

  get directoryUrl(): string {
    return `${this.server.url}/directory`;
  }

  /** How many orders became a certificate. */
  get certificates(): number {
    return [...this.orders.values()].filter(({ chain }) => chain !== undefined).length;
  }

  /** As a server that was set up anew: no accounts, no orders. */
  forget(): void {
    this.accounts.clear();
    this.orders.clear();
    this.#generation += 1;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }

  async #answer(received: Received): Promise<Reply> {
    const headers = { 'replay-nonce': this.#nonce(), 'cache-control': 'no-store' };
    try {
      const reply = this.rewrite(received.path, await this.#handle(received));
      return { ...reply, headers: { ...headers, ...reply.headers } };
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      const body = { type: `urn:ietf:params:acme:error:${error.type}`, detail: error.message };
      const type = { 'content-type': 'application/problem+json' };
      return { status: error.status, headers: { ...headers, ...type }, body };
    }
  }

  async #handle(received: Received): Promise<Reply> {
    const { url } = this.server;
    const { method, path } = received;
    if (method === 'GET' && path === '/directory') {
      const at = (name: string) => `${url}/${name}`;
      const body = { newNonce: at('nonce'), newAccount: at('account'), newOrder: at('order') };
      return { status: 200, body: { ...body, revokeCert: at('revoke') } };
    }
    if (method === 'HEAD' && path === '/nonce') return { status: 200 };
    if (method !== 'POST') throw new Problem('malformed', 405, 'POST-as-GET is demanded');
    const { account, jwk, payload } = await this.#verified(received);
    if (path === '/account') return this.#account(payload, jwk, `${url}${path}`);
    if (account === undefined) throw new Problem('malformed', 400, 'kid is missing');
    if (`${url}${path}` === account) return { status: 200, body: { status: 'valid' } };
    if (path === '/order') return this.#newOrder(parse(newOrder, payload), account);
    if (path === '/revoke') return this.#revoke(parse(revocation, payload));
    const [, kind = '', id = ''] = path.split('/');
    const order = this.orders.get(id.split('.')[0] ?? '');
    if (order === undefined) throw new Problem('malformed', 404, 'no such resource');
    if (order.account !== account) throw new Problem('unauthorized', 403, 'not your order');
    if (kind === 'challenge') return this.#challenge(order, id, account);
    if (kind === 'finalize') return this.#finalize(order, parse(finalization, payload).csr);
    if (payload !== '') throw new Problem('malformed', 400, 'POST-as-GET has no payload');
    if (kind === 'authz') return { status: 200, body: this.#authorizationJson(order, id) };
    if (kind === 'cert' && order.chain !== undefined) {
      const type = { 'content-type': 'application/pem-certificate-chain' };
      return { status: 200, headers: type, body: order.chain };
    }
    if (kind === 'orders') return { status: 200, body: this.#look(order) };
    throw new Problem('malformed', 404, 'no such resource');
  }

  /** RFC 8555 6.2 to 6.5. */
  async #verified({ path, body, headers }: Received) {
    if (headers['content-type'] !== 'application/jose+json') {
      throw new Problem('malformed', 415, 'not application/jose+json');
    }
    const jws = parse(flattened, body.toString('utf8'));
    const head = JSON.parse(Buffer.from(jws.protected, 'base64url').toString('utf8'));
    if (this.nonceRefusals > 0 || !this.#nonces.delete(head.nonce)) {
      this.nonceRefusals -= 1;
      throw new Problem('badNonce', 400, 'the nonce is not good');
    }
    if (head.url !== `${this.server.url}${path}`) {
      throw new Problem('unauthorized', 403, 'url is not the request’s');
    }
    if ((head.kid === undefined) === (head.jwk === undefined)) {
      throw new Problem('malformed', 400, 'one of kid and jwk');
    }
    const account: string | undefined = head.kid;
    const jwk: JWK | undefined = head.jwk ?? this.accounts.get(head.kid);
    if (jwk === undefined) throw new Problem('accountDoesNotExist', 400, 'unknown kid');
    try {
      await flattenedVerify(jws, await importJWK(jwk, head.alg), {
        algorithms: ['ES256', 'RS256'],
      });
    } catch {
      throw new Problem('malformed', 400, 'the signature is not valid');
    }
    return { account, jwk, payload: Buffer.from(jws.payload, 'base64url').toString('utf8') };
  }

  async #account(payload: string, jwk: JWK, url: string): Promise<Reply> {
    const { onlyReturnExisting, termsOfServiceAgreed, externalAccountBinding } = parse(
      newAccount,
      payload,
    );
    const thumbprint = await calculateJwkThumbprint(jwk);
    const location = `${this.server.url}/account/${thumbprint}.${this.#generation}`;
    const body = { status: 'valid', orders: `${location}/orders` };
    if (this.accounts.has(location)) return { status: 200, headers: { location }, body };
    if (onlyReturnExisting === true) throw new Problem('accountDoesNotExist', 400, 'no such key');
    if (termsOfServiceAgreed !== true) throw new Problem('userActionRequired', 403, 'agree first');
    const { externalAccount } = this.#options;
    if (externalAccount !== undefined) {
      if (externalAccountBinding === undefined) {
        throw new Problem('externalAccountRequired', 403, 'externalAccountBinding is missing');
      }
      await verifyBinding(externalAccountBinding, externalAccount, jwk, url);
    }
    this.accounts.set(location, jwk);
    return { status: 201, headers: { location }, body };
  }

  #newOrder({ identifiers }: z.output<typeof newOrder>, account: string): Reply {
    for (const { type, value } of identifiers) {
      if (type !== 'dns') throw new Problem('unsupportedIdentifier', 400, `no ${type}`);
      if (value !== value.toLowerCase() || !/^[a-z0-9.-]+$/.test(value)) {
        throw new Problem('malformed', 400, `${value} is no DNS name`);
      }
      if (value.endsWith('.forbidden.example')) {
        throw new Problem('rejectedIdentifier', 400, `policy forbids ${value}`);
      }
    }
    const id = randomBytes(8).toString('hex');
    const authorised = this.#options.preauthorised === true;
    const challenges = identifiers.map((_, index) =>
      (['http-01', 'dns-01'] as const).map((type) => {
        const token = randomBytes(16).toString('base64url');
        const status = authorised ? ('valid' as const) : ('pending' as const);
        return { id: `${id}.${index}.${type}`, type, token, status };
      }),
    );
    const status = authorised ? 'ready' : 'pending';
    const names = identifiers.map(({ value }) => value);
    const order: Order = { id, account, names, challenges, status };
    this.orders.set(id, order);
    const headers = { location: `${this.server.url}/orders/${id}` };
    return { status: 201, headers, body: this.#orderJson(order) };
  }

  /** The order as it is; one that is processing comes a step further. */
  #look(order: Order): object {
    const isSigned = order.status === 'processing' && order.chain !== undefined;
    if (isSigned && this.processingLooks-- <= 0) order.status = 'valid';
    return this.#orderJson(order);
  }

  #orderJson({ id, names, challenges, status }: Order): object {
    const { url } = this.server;
    const failed = challenges.flat().find(({ error }) => error !== undefined);
    return {
      status,
      identifiers: names.map((value) => ({ type: 'dns', value })),
      authorizations: names.map((_, index) => `${url}/authz/${id}.${index}`),
      finalize: `${url}/finalize/${id}`,
      ...(status === 'valid' ? { certificate: `${url}/cert/${id}` } : {}),
      ...(status === 'invalid' && failed === undefined ? { error: { type: 'about:blank' } } : {}),
    };
  }

  #authorizationJson(order: Order, id: string): object {
    const index = Number(id.split('.')[1]);
    const challenges = order.challenges[index] ?? [];
    const statuses = challenges.map(({ status }) => status);
    const status = statuses.includes('valid')
      ? 'valid'
      : statuses.includes('invalid')
        ? 'invalid'
        : 'pending';
    const { url } = this.server;
    const shown = challenges.map(({ id: name, ...rest }) => ({
      ...rest,
      url: `${url}/challenge/${name}`,
    }));
    const identifier = { type: 'dns', value: order.names[index] };
    return { status, identifier, challenges: shown };
  }

  async #challenge(order: Order, id: string, account: string): Promise<Reply> {
    const index = Number(id.split('.')[1]);
    const challenge = order.challenges[index]?.find((each) => each.id === id);
    const name = order.names[index];
    if (challenge === undefined || name === undefined) throw new Problem('malformed', 404, 'none');
    const jwk = this.accounts.get(account);
    if (jwk === undefined) throw new Problem('accountDoesNotExist', 400, 'none');
    const authorization = `${challenge.token}.${await calculateJwkThumbprint(jwk)}`;
    const seen = await this.#seen(challenge, name, authorization);
    challenge.status = seen ? 'valid' : 'invalid';
    if (!seen) {
      const type = 'urn:ietf:params:acme:error:incorrectResponse';
      challenge.error = { type, detail: 'the answer was not there' };
      order.status = 'invalid';
    } else if (order.challenges.every((each) => each.some(({ status }) => status === 'valid'))) {
      order.status = 'ready';
    }
    return { status: 200, body: { ...challenge, url: `${this.server.url}/challenge/${id}` } };
  }

  async #seen({ type, token }: Challenge, name: string, authorization: string): Promise<boolean> {
    try {
      if (type === 'http-01') {
        const url = `http://127.0.0.1:${this.#options.httpPort}/.well-known/acme-challenge/${token}`;
        return (await (await fetch(url)).text()) === authorization;
      }
      const record = join(this.server.directory, `_acme-challenge.${name}`);
      const digest = createHash('sha256').update(authorization).digest('base64url');
      return (await readFile(record, 'utf8')) === digest;
    } catch {
      return false; // Nobody answers there.
    }
  }

  async #finalize(order: Order, csrText: string): Promise<Reply> {
    if (order.status !== 'ready') throw new Problem('orderNotReady', 403, `it is ${order.status}`);
    const csr = Buffer.from(csrText, 'base64url');
    const facts = readCertificationRequest(csr);
    const asked = facts.subjectAltNames.flatMap(({ type, value }) =>
      type === 'dns' ? [value] : [],
    );
    if (asked.toSorted().join() !== order.names.toSorted().join()) {
      throw new Problem('badCSR', 400, 'the names of CSR and order differ');
    }
    // As boulder and step-ca: what cannot be certified may not be asked for.
    const others = facts.subjectAltNames.filter(({ type }) => type !== 'dns');
    const subject = facts.subject.flat().map(({ value }) => value.toLowerCase());
    if (others.length > 0 || subject.some((value) => !order.names.includes(value))) {
      throw new Problem('badCSR', 400, 'the CSR has names that were not ordered');
    }
    order.status = 'processing';
    const chain = await this.server.sign(csr, {
      subject: [],
      subjectAltNames: order.names.map((value) => ({ type: 'dns', value })),
      keyUsages: ['digitalSignature'],
      extendedKeyUsages: ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'],
      validityDays: 90,
    });
    order.chain = chain.join('');
    return { status: 200, body: this.#look(order) };
  }

  #revoke({ certificate }: z.output<typeof revocation>): Reply {
    if (this.#revoked.has(certificate)) throw new Problem('alreadyRevoked', 400, 'done before');
    this.#revoked.add(certificate);
    return { status: 200 };
  }

  #nonce(): string {
    const nonce = randomBytes(12).toString('base64url');
    this.#nonces.add(nonce);
    return nonce;
  }
}

/** RFC 8555 7.3.4. */
async function verifyBinding(
  jws: z.output<typeof flattened>,
  { kid, hmacKey }: { readonly kid: string; readonly hmacKey: string },
  jwk: JWK,
  url: string,
): Promise<void> {
  try {
    const key = Buffer.from(hmacKey, 'base64url');
    const { protectedHeader, payload } = await flattenedVerify(jws, key, { algorithms: ['HS256'] });
    const bound = await calculateJwkThumbprint(JSON.parse(Buffer.from(payload).toString('utf8')));
    const isRight = protectedHeader?.kid === kid && protectedHeader['url'] === url;
    if (isRight && bound === (await calculateJwkThumbprint(jwk))) return;
  } catch {
    // Said below.
  }
  throw new Problem('unauthorized', 403, 'the external account binding is not valid');
}

function parse<Schema extends z.ZodType>(schema: Schema, text: string): z.output<Schema> {
  const read = schema.safeParse(text === '' ? undefined : JSON.parse(text));
  if (!read.success) throw new Problem('malformed', 400, read.error.message);
  return read.data;
}
