import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import {
  type AuthorityFeatures,
  type CertificateAuthority,
  type ConnectContext,
  type CsrAdditions,
  defineAdapter,
  type Issuance,
  type IssueRequest,
  type PrepareRequest,
} from '../../src/plug-in/certificate-authority.ts';
import type { Opaque } from '../../src/plug-in/opaque.ts';
import { encodeName } from '../../src/x509/distinguished-name.ts';
import { connectHttp } from '../shared/connection.ts';
import type { AdapterHttp } from '../shared/http.ts';
import { readTicket } from '../shared/ticket.ts';
import {
  challengeAttribute,
  longestChallenge,
  type NdesOptions,
  ndesChallenge,
} from './challenge.ts';
import { subjectOfRequest } from './issuer-and-subject.ts';
import {
  configuredIdentity,
  IdentityKeys,
  type MessageIdentity,
  namelessSubject,
  restoreIdentity,
  storeIdentity,
} from './message-identity.ts';
import { scepOptions } from './options.ts';
import { issuanceOf } from './outcome.ts';
import { carryOut, type PkiOperation } from './pki-operation.ts';
import { ScepServer } from './scep-server.ts';

/*
 * A CA behind SCEP (RFC 8894), Microsoft's NDES among them. We are a registration authority: the CSR is the
 * device's, the messages around it are signed and opened with a key of ours. The challenge password stands
 * inside the CSR, so it is asked for before the device signs. SCEP has no revocation.
 */

type Options = z.output<typeof scepOptions>;

/** Of pending orders, unless pollSeconds is longer. */
const longestPauseMs = 30 * 60_000;
/** A challenge is not used in its last minutes: the order must reach the server in time. */
const challengeMarginMs = 3 * 60_000;

export default defineAdapter({
  kind: 'scep',
  options: scepOptions,
  async connect(given, context, signal) {
    signal.throwIfAborted();
    const { challenge, ndes, ra } = given;
    const secrets: Secrets = {
      challenge: challenge && (await readChallenge(challenge, context)),
      ndesPassword: ndes && (await context.readSecret(ndes.password)),
      ra:
        ra &&
        configuredIdentity(
          await readFile(context.resolvePath(ra.certificateFile)),
          await context.readSecret(ra.key),
        ),
    };
    return new ScepAuthority(given, secrets, await connectHttp(given, context), context);
  },
});

interface Secrets {
  readonly challenge: string | undefined;
  readonly ndesPassword: string | undefined;
  readonly ra: MessageIdentity | undefined;
}

class ScepAuthority implements CertificateAuthority {
  readonly kind = 'scep';
  readonly features: AuthorityFeatures;
  readonly #options: Options;
  readonly #secrets: Secrets;
  readonly #ndes: NdesOptions | undefined;
  readonly #context: ConnectContext;
  readonly #http: AdapterHttp;
  readonly #server: ScepServer;
  readonly #identityKeys: IdentityKeys;

  constructor(given: Options, secrets: Secrets, http: AdapterHttp, context: ConnectContext) {
    this.#options = given;
    this.#secrets = secrets;
    this.#context = context;
    this.features = {
      idempotent: false,
      pending: true,
      revoke: false,
      keyTypes: given.keyTypes,
      mayDrop: [],
    };
    const { clock } = context;
    this.#http = http;
    this.#server = new ScepServer({
      url: given.url,
      caIdentifier: given.caIdentifier,
      pins: {
        authorities: given.caFingerprints,
        agents: given.raFingerprints,
        isSecure: new URL(given.url).protocol === 'https:',
      },
      http,
      clock,
    });
    this.#identityKeys = new IdentityKeys(clock);
    if (given.ndes !== undefined && secrets.ndesPassword !== undefined) {
      this.#ndes = { ...given.ndes, password: secrets.ndesPassword, http };
    }
  }

  /** NDES's page of challenges is not looked at: each look would take up one of its few places. */
  async check(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await this.#server.refresh(signal);
  }

  async prepare(request: PrepareRequest, signal: AbortSignal): Promise<CsrAdditions> {
    signal.throwIfAborted();
    const { subject } = request.wanted;
    const name = subject.length === 0 ? namelessSubject : encodeName(subject);
    const identity = this.#secrets.ra ? {} : await this.#newIdentity(name);
    const { challenge } = this.#secrets;
    if (challenge !== undefined) {
      return { attributes: challengeAttribute(challenge), state: identity };
    }
    if (this.#ndes === undefined) return { state: identity };
    const now = this.#context.clock.now();
    const given = await ndesChallenge(this.#ndes, now, signal);
    const { validForMs } = given;
    return {
      attributes: challengeAttribute(given.challenge),
      state: { ...identity, challenge: given.challenge },
      ...(validForMs === undefined
        ? {}
        : { expiresAt: now + Math.max(validForMs / 2, validForMs - challengeMarginMs) }),
    };
  }

  async issue(request: IssueRequest, signal: AbortSignal): Promise<Issuance> {
    signal.throwIfAborted();
    // Prepared by another kind before the configuration was changed, or when there was an RA certificate.
    const state = stateOf(request.prepared) ?? {};
    const order =
      this.#secrets.ra !== undefined || state['transport'] !== undefined
        ? state
        : { ...state, ...(await this.#newIdentity(subjectOfRequest(request.csr))) };
    return this.#order(request, 'PKCSReq', order, 0, signal);
  }

  async collect(ticket: Opaque, request: IssueRequest, signal: AbortSignal): Promise<Issuance> {
    signal.throwIfAborted();
    const { polls } = readTicket(ticket, z.looseObject({ polls: z.number() }), 'none of SCEP’s');
    return this.#order(request, 'CertPoll', stateOf(ticket) ?? {}, polls, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http[Symbol.asyncDispose]();
  }

  async #order(
    request: IssueRequest,
    type: PkiOperation['type'],
    state: State,
    polls: number,
    signal: AbortSignal,
  ): Promise<Issuance> {
    const identity = this.#secrets.ra ?? restoreIdentity(state['transport']);
    if (identity === undefined) {
      throw new ProvisioningError(
        'ca-misconfigured',
        'The order was begun with the certificate in ra, which is not configured any more. Fix: put it back until the pending orders are done.',
      );
    }
    const secrets = this.#secretsOf(state);
    const operation = { type, request, identity, secrets };
    const { reply, ca } = await carryOut(this.#server, operation, signal);
    const pauseMs = this.#options.pollSeconds * 1_000;
    return issuanceOf(reply, {
      subjectPublicKeyInfo: request.subjectPublicKeyInfo,
      caCertificates: ca.all,
      ticket: { ...state, polls: polls + 1 },
      pollAfterMs: Math.max(pauseMs, Math.min(pauseMs * 2 ** Math.min(polls, 20), longestPauseMs)),
      secrets,
    });
  }

  async #newIdentity(subject: Uint8Array): Promise<State> {
    return { transport: storeIdentity(await this.#identityKeys.create(subject)) };
  }

  #secretsOf(state: State): string[] {
    const { challenge, ndesPassword } = this.#secrets;
    return [challenge, ndesPassword, state['challenge']].filter((one) => typeof one === 'string');
  }
}

/** What prepare() and a ticket hold: `transport` unless there is an RA certificate, `challenge`, `polls`. */
type State = Readonly<Record<string, Opaque>>;

function stateOf(opaque: Opaque | undefined): State | undefined {
  if (typeof opaque !== 'object' || opaque === null || Array.isArray(opaque)) return undefined;
  return Object.fromEntries(Object.entries(opaque));
}

async function readChallenge(
  reference: NonNullable<Options['challenge']>,
  context: ConnectContext,
): Promise<string> {
  const challenge = await context.readSecret(reference);
  if (challenge.length <= longestChallenge) return challenge;
  throw new Error(
    `the secret of challenge has ${challenge.length} characters; a challenge password has at most ${longestChallenge}`,
  );
}
