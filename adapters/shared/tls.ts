import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type ConnectionOptions, createSecureContext } from 'node:tls';
import { ProvisioningError } from '../../src/errors.ts';
import { encodePem, readOwnCertificates } from '../../src/x509/pem.ts';
import { privateKeyPem, readPrivateKey } from '../../src/x509/private-key.ts';

/** Files are absolute paths of PEM files. */
export interface AdapterTls {
  /** CAs that the server's certificate may chain to, instead of the system's. */
  readonly caFile?: string | undefined;
  /** The same as PEM text; goes before `caFile`. */
  readonly ca?: string | undefined;
  /** Takes any server. Only for fetching what is then verified by itself, as a root by its fingerprint. */
  readonly unverified?: true | undefined;
  /** A client certificate, followed by its chain, and its private key. */
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** The passphrase of the private key, where it is encrypted. */
  readonly passphrase?: string | undefined;
}

export type Secure = Pick<
  ConnectionOptions,
  'ca' | 'cert' | 'key' | 'passphrase' | 'rejectUnauthorized'
>;

/** @throws {ProvisioningError} `ca-misconfigured` when a file cannot be read or used. */
export function secureContext(tls: AdapterTls = {}): Secure {
  const { caFile, certFile, keyFile, passphrase, unverified } = tls;
  const ca = tls.ca ?? (caFile === undefined ? undefined : certificatesIn(caFile));
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new ProvisioningError(
      'ca-misconfigured',
      'A client certificate needs both certFile and keyFile.',
    );
  }
  const context = {
    ...(ca === undefined ? {} : { ca }),
    ...(unverified === true ? { rejectUnauthorized: false } : {}),
    ...(certFile === undefined ? {} : { cert: certificatesIn(certFile) }),
    ...(keyFile === undefined ? {} : { key: readable(keyFile, privateKeyPem) }),
    ...(passphrase === undefined ? {} : { passphrase }),
  };
  try {
    createSecureContext(context);
    checkPair(context);
  } catch (error) {
    throw new ProvisioningError(
      'ca-misconfigured',
      `TLS cannot use caFile, certFile or keyFile (${codeOf(error)}). They must be PEM, key and certificate belong together, and an encrypted key needs its passphrase.`,
      { cause: error },
    );
  }
  return context;
}

/** OpenSSL itself says nothing when the two are of different types: it just shows no certificate. */
function checkPair({
  cert,
  key,
  passphrase,
}: {
  cert?: string;
  key?: string;
  passphrase?: string;
}) {
  if (cert === undefined || key === undefined) return;
  const privateKey = readPrivateKey(key, passphrase);
  if (!new X509Certificate(cert).checkPrivateKey(privateKey)) {
    throw new Error('they do not belong together');
  }
}

/** PEM, whatever form the file has: OpenSSL would pass over DER and others without a word, and trust nobody. */
function certificatesIn(path: string): string {
  return readable(path, readOwnCertificates)
    .map((der) => encodePem('CERTIFICATE', der))
    .join('');
}

function readable<Result>(path: string, read: (bytes: Uint8Array) => Result): Result {
  const bytes = fileOf(path);
  try {
    return read(bytes);
  } catch (error) {
    throw new ProvisioningError(
      'ca-misconfigured',
      `The file ${path} cannot be used: ${codeOf(error)}`,
      { cause: error },
    );
  }
}

function fileOf(path: string): Uint8Array {
  try {
    return new Uint8Array(readFileSync(path));
  } catch (error) {
    throw new ProvisioningError(
      'ca-misconfigured',
      `The file ${path} cannot be read (${codeOf(error)}). Correct the path, or make it readable for the service's user.`,
      { cause: error },
    );
  }
}

/** An error's code where it has one, otherwise what it says. */
export function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message;
}

/** What OpenSSL found wrong with the server's certificate, by the names that Node gives its errors. */
const verdicts: readonly (readonly [RegExp, string])[] = [
  [
    /^CERT_HAS_EXPIRED$/,
    'its certificate, or one in its chain, has expired. Renew it there; if it is valid, set this machine’s clock.',
  ],
  [
    /^CERT_NOT_YET_VALID$/,
    'its certificate is not valid yet. Compare this machine’s clock with the server’s.',
  ],
  [
    /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN)$/,
    'its certificate is not trusted: it chains to a root that is not among those we trust. Put the CA that issued it in tls.caFile.',
  ],
  [
    /^UNABLE_TO_(GET_ISSUER|VERIFY_LEAF)/,
    'its certificate is not trusted: its issuer is unknown. Put the CA that issued it in tls.caFile; if it is there, the server leaves out its intermediate certificates.',
  ],
  [/^INVALID_PURPOSE$/, 'its certificate is not one for servers (serverAuth). Give it another.'],
  [/^(CERT_|ERR_TLS_CERT|INVALID_CA|PATH_LENGTH)/, 'its certificate is not acceptable.'],
  [
    /^ERR_SSL_.*(KEY_TOO_SMALL|MD_TOO_WEAK)/,
    'a certificate of its chain has a key or a signature that is too weak. Give the server another.',
  ],
];

const ours = 'our client certificate (tls.certFile)';

/** What a server says when it ends the handshake (RFC 8446 6.2), by the end of OpenSSL's name for it. */
const alerts: readonly (readonly [RegExp, string])[] = [
  [
    /CERTIFICATE_REQUIRED$/,
    'the server demands a client certificate. Set tls.certFile and tls.keyFile.',
  ],
  [/CERTIFICATE_EXPIRED$/, `the server says that ${ours} has expired. Renew it.`],
  [/CERTIFICATE_REVOKED$/, `the server says that ${ours} is revoked. Get another.`],
  [
    /UNKNOWN_CA$/,
    `the server does not trust the issuer of ${ours}. Use one that it trusts, with its intermediate certificates behind it, or add its issuer there.`,
  ],
  [
    /(BAD|UNSUPPORTED)_CERTIFICATE$|CERTIFICATE_UNKNOWN$|ACCESS_DENIED$/,
    `the server does not take ${ours}. Use one that it was told to accept.`,
  ],
  [
    /UNRECOGNIZED_NAME$/, // OpenSSL leaves out ALERT in this one.
    'the server does not serve this name. Look at the host in the URL, and at the names that the server is set up for.',
  ],
  [
    /HANDSHAKE_FAILURE$/,
    'the server ended the TLS handshake. It may demand a client certificate (tls.certFile, tls.keyFile), or have no TLS version or cipher in common with us.',
  ],
  [
    /PROTOCOL_VERSION$/,
    'the server ended the TLS handshake: it has no TLS version in common with us (1.2 and 1.3).',
  ],
];

/** What goes wrong where the other side does not speak TLS. */
const noTls = /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST|UNKNOWN_PROTOCOL/;

/**
 * What is wrong when TLS fails over trust or identity, and the option that mends it; undefined when the error is
 * another. The request was not carried out then: a server looks at our certificate before it reads a request, although
 * in TLS 1.3 we may have sent it by then.
 */
export function tlsTrouble(error: unknown): string | undefined {
  const code = codeOf(error);
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return wrongName(error);
  const verdict = verdicts.find(([pattern]) => pattern.test(code));
  if (verdict !== undefined) return `${verdict[1]} (${code})`;
  if (!code.startsWith('ERR_SSL_')) return undefined;
  const alert = alerts.find(
    ([pattern]) => /ALERT|UNRECOGNIZED_NAME/.test(code) && pattern.test(code),
  );
  if (alert !== undefined) return `${alert[1]} (${code})`;
  return noTls.test(code)
    ? `it does not speak TLS on this port. Look at the port in the URL. (${code})`
    : undefined;
}

function wrongName(error: unknown): string {
  const { cert } = error as { cert?: { subjectaltname?: string } };
  const names = cert?.subjectaltname?.slice(0, 300) ?? 'none';
  return `its certificate is for other names (${names}). Use a name that stands in it, or give the server a certificate with the name in the URL; caFile does not mend this.`;
}
