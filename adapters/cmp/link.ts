import { createPublicKey, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { ProvisioningError } from '../../src/errors.ts';
import type { ConnectContext } from '../../src/plug-in/certificate-authority.ts';
import { messageOf } from '../../src/words/message-of.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import { tag } from '../../src/x509/der.ts';
import { encodeName, parseName } from '../../src/x509/distinguished-name.ts';
import { encode } from '../../src/x509/encode-der.ts';
import { readCertificates } from '../../src/x509/pem.ts';
import { readPrivateKey } from '../../src/x509/private-key.ts';
import { connectHttp } from '../shared/connection.ts';
import type { CmpOptions } from './options.ts';
import { type Credentials, type Responder, signatureOf } from './protection.ts';
import type { Link } from './transaction.ts';

/** @throws {ProvisioningError} `ca-misconfigured` when a file cannot be read or does not fit. */
export async function openLink(given: CmpOptions, context: ConnectContext): Promise<Link> {
  const credentials = await readCredentials(given, context);
  const { responderRoots, responderName, recipient } = given;
  const responder: Responder | undefined =
    responderRoots === undefined
      ? undefined
      : {
          roots: await certificatesIn(context.resolvePath(responderRoots)),
          name: responderName === undefined ? undefined : encodeName(parseName(responderName)),
        };
  return {
    url: given.url,
    http: await connectHttp(given, context),
    clock: context.clock,
    credentials,
    responder,
    recipient: recipient === undefined ? encode(tag.sequence) : encodeName(parseName(recipient)),
    certProfile: given.certProfile,
    secrets: credentials.kind === 'mac' ? [credentials.secret] : [],
    knownSigners: [],
  };
}

async function readCredentials(given: CmpOptions, context: ConnectContext): Promise<Credentials> {
  const { reference, secret, mac, iterations, signerCertFile, signerKeyFile } = given;
  if (reference !== undefined && secret !== undefined) {
    const text = await context.readSecret(secret);
    return { kind: 'mac', mac, reference, secret: text, iterations };
  }
  if (signerCertFile === undefined || signerKeyFile === undefined) {
    throw new ProvisioningError('ca-misconfigured', 'CMP needs a secret or a signer.');
  }
  const certificates = await certificatesIn(context.resolvePath(signerCertFile));
  const passphrase =
    given.signerKeyPassphrase && (await context.readSecret(given.signerKeyPassphrase));
  const keyFile = context.resolvePath(signerKeyFile);
  const key = await keyIn(keyFile, passphrase);
  const publicKey = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const [own] = certificates;
  if (own === undefined || !publicKey.equals(readCertificate(own).subjectPublicKeyInfo)) {
    throw misconfigured(`${keyFile} is not the key of the first certificate in signerCertFile.`);
  }
  return { kind: 'signature', certificates, key };
}

async function certificatesIn(file: string): Promise<Uint8Array[]> {
  try {
    const certificates = readCertificates(await readFile(file));
    for (const certificate of certificates) readCertificate(certificate);
    return certificates;
  } catch (error) {
    throw misconfigured(`${file} cannot be read: ${messageOf(error)}`, error);
  }
}

async function keyIn(file: string, passphrase: string | undefined): Promise<KeyObject> {
  try {
    const read = readPrivateKey(await readFile(file), passphrase);
    signatureOf(read);
    return read;
  } catch (error) {
    throw misconfigured(`The key in ${file} cannot be used: ${messageOf(error)}`, error);
  }
}

function misconfigured(message: string, cause?: unknown): ProvisioningError {
  return new ProvisioningError('ca-misconfigured', message, { cause });
}
