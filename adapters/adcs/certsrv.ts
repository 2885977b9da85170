import { ProvisioningError } from '../../src/errors.ts';
import type { Clock } from '../../src/time/clock.ts';
import { DerError } from '../../src/x509/der.ts';
import { encodePem } from '../../src/x509/pem.ts';
import type { AdapterHttp, HttpAnswer } from '../shared/http.ts';
import { certificatesOf, decodeLooseBase64 } from './certificates.ts';
import {
  badAnswer,
  errorOfStatus,
  type Order,
  type Outcome,
  outcomeOfHresult,
  type Transport,
  type Words,
} from './outcome.ts';
import type { UsernameToken } from './soap.ts';
import { visibleText } from './visible-text.ts';

/*
 * The web enrolment pages (certsrv): made for people, so what they say is read from what does not change with the
 * server's language: links with ReqID, error codes in hexadecimal, and the types of files.
 */

export class CertSrv implements Transport {
  readonly #http: AdapterHttp;
  readonly #url: string;
  readonly #authorization: string | undefined;
  readonly #clock: Clock;
  readonly #words: Words;

  /** `url` is the directory, usually https://HOST/certsrv. */
  constructor(
    http: AdapterHttp,
    url: string,
    user: UsernameToken | undefined,
    clock: Clock,
    words: Words,
  ) {
    this.#http = http;
    this.#url = url.replace(/\/$/, '');
    this.#clock = clock;
    this.#words = words;
    this.#authorization = user === undefined ? undefined : `Basic ${basicOf(user)}`;
  }

  async check(signal: AbortSignal): Promise<void> {
    const { body } = await this.#get('/', signal);
    textOf(body.toString('utf8'), this.#words);
  }

  async submit({ csr, template }: Order, signal: AbortSignal): Promise<Outcome> {
    const form = new URLSearchParams({
      Mode: 'newreq',
      CertRequest: encodePem('CERTIFICATE REQUEST', csr),
      CertAttrib: template === undefined ? '' : `CertificateTemplate:${template}\r\n`,
      FriendlyType: 'Saved-Request Certificate',
      TargetStoreFlags: '0',
      SaveCert: 'yes',
      ThumbPrint: '',
    });
    const answer = await this.#request('POST', '/certfnsh.asp', form.toString(), signal);
    const page = answer.body.toString('utf8');
    const requestId = /certnew\.cer\?ReqID=(\d{1,10})\b/i.exec(page)?.[1];
    if (requestId === undefined) return outcomeOfPage(page, this.#words);
    try {
      return await this.#fetch(requestId, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof ProvisioningError)) throw error;
      // It is issued: ordering again would make another one.
      return { kind: 'pending', requestId, soon: true };
    }
  }

  retrieve(requestId: string, _order: Order, signal: AbortSignal): Promise<Outcome> {
    return this.#fetch(requestId, signal);
  }

  async #fetch(requestId: string, signal: AbortSignal): Promise<Outcome> {
    const query = new URLSearchParams({ ReqID: requestId, Enc: 'b64' });
    const leaf = await this.#get(`/certnew.cer?${query}`, signal);
    const certificate = fileOf(leaf);
    if (certificate === undefined) {
      return outcomeOfStatusPage(leaf.body.toString('utf8'), requestId, this.#words);
    }
    const bag = fileOf(await this.#get(`/certnew.p7b?${query}`, signal));
    if (bag === undefined) throw badAnswer('the chain (certnew.p7b) is not a file.');
    try {
      return { kind: 'issued', certificates: [certificate, ...certificatesOf(bag)] };
    } catch (error) {
      if (!(error instanceof DerError)) throw error;
      throw badAnswer(`the chain (certnew.p7b) cannot be read: ${error.message}`);
    }
  }

  #get(path: string, signal: AbortSignal): Promise<HttpAnswer> {
    return this.#request('GET', path, undefined, signal);
  }

  async #request(
    method: 'GET' | 'POST',
    path: string,
    form: string | undefined,
    signal: AbortSignal,
  ): Promise<HttpAnswer> {
    const answer = await this.#http.request(
      {
        method,
        url: `${this.#url}${path}`,
        headers: {
          // Other programs than browsers get another kind of answer.
          'user-agent': 'Mozilla/5.0 (compatible; certprov)',
          ...(this.#authorization === undefined ? {} : { authorization: this.#authorization }),
          ...(form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
        },
        ...(form === undefined ? {} : { body: form }),
      },
      signal,
    );
    if (answer.status !== 200) throw errorOfStatus(answer, this.#clock.now(), this.#words);
    return answer;
  }
}

/** RFC 7617 2. */
export function basicOf({ username, password }: UsernameToken): string {
  return Buffer.from(`${username}:${password}`, 'utf8').toString('base64');
}

/** A certificate or a bag of them; undefined for a page. */
function fileOf(answer: HttpAnswer): Uint8Array | undefined {
  const type = String(answer.headers['content-type'] ?? '');
  if (/text\/html/i.test(type)) return undefined;
  // DER starts with the tag of a SEQUENCE and a length of two bytes.
  if (answer.body[0] === 0x30 && answer.body[1] === 0x82) return new Uint8Array(answer.body);
  return decodeLooseBase64(answer.body.toString('latin1'));
}

/** How far into a page its title and its first marks are, in characters. */
const longestHead = 16 * 1024;

/** The answer to an order without a link to the certificate: denied, failed or pending. */
function outcomeOfPage(page: string, words: Words): Outcome {
  const text = textOf(page, words);
  const hresult = hresultIn(text);
  if (hresult !== undefined) return outcomeOfHresult(hresult, dispositionIn(text, words));
  const requestId = requestIdIn(page, text);
  if (requestId !== undefined) return { kind: 'pending', requestId };
  throw badAnswer(`the page says neither a request id nor an error code: ${words(text, 200)}`);
}

/** The page that comes in place of a certificate: still pending, denied, or an error. */
function outcomeOfStatusPage(page: string, requestId: string, words: Words): Outcome {
  const text = textOf(page, words);
  const hresult = hresultIn(text);
  if (hresult !== undefined) return outcomeOfHresult(hresult, dispositionIn(text, words));
  const disposition = dispositionIn(text, words);
  // An officer's denial has no code; in other languages it stays pending until the deadline.
  if (/\bdenied\b/i.test(disposition)) return { kind: 'rejected', reason: disposition };
  return { kind: 'pending', requestId };
}

/**
 * What a page of certsrv says. Proxies and firewalls deny requests too, some with status 200, and have error codes and
 * numbers called ID: only certsrv's own pages name Microsoft in their title, or have its marks, in every language.
 */
function textOf(page: string, words: Words): string {
  const text = visibleText(page);
  const start = page.slice(0, longestHead);
  if (/<title>[^<]{0,100}\bMicrosoft\b|\bID="?loc(?:MSCertSrv|Page)/i.test(start)) return text;
  throw badAnswer(
    `the page is none of certsrv’s and may come from a proxy or a firewall on the way: ${readable(page, words)}`,
  );
}

/** Secrets first: what of one looks like a tag would be gone, and the rest not known. */
function readable(page: string, words: Words): string {
  return words(visibleText(words(page, longestHead)), 200) || 'it is empty';
}

/** Error codes have the severity bit; a serial number or a colour has not both the form and that. */
function hresultIn(text: string): number | undefined {
  const code = /\b0x([89a-f][0-9a-f]{7})\b/i.exec(text)?.[1];
  return code === undefined ? undefined : Number.parseInt(code, 16);
}

function dispositionIn(text: string, words: Words): string {
  return words(/"([^"]{3,600})"/.exec(text)?.[1] ?? text);
}

/** In a link, in the English sentence, or as the number after the word "ID" of any language. */
function requestIdIn(page: string, text: string): string | undefined {
  return (
    /\bReqID=(\d{1,10})\b/i.exec(page)?.[1] ??
    /request id is:?\s*(\d{1,10})\b/i.exec(text)?.[1] ??
    /\bID\b[^0-9]{0,60}?\b(\d{1,10})\b/i.exec(text)?.[1]
  );
}
