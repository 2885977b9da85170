import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import localCa from '../../../adapters/local-ca/local-ca.ts';
import {
  type CertificationRequestFacts,
  readCertificationRequest,
} from '../../../src/request/read-certification-request.ts';
import type { RequestedCertificate } from '../../../src/request/requested-certificate.ts';
import type { SubjectAltName } from '../../../src/x509/alt-name-form.ts';
import { decodePem, readCertificates } from '../../../src/x509/pem.ts';
import type { KeyUsage } from '../../../src/x509/usages.ts';
import { connectContext } from '../../support/connect-context.ts';
import { memoryDirectory } from '../../support/temporary-directory.ts';

const never = new AbortController().signal;

export interface Signed {
  /** DER. */
  readonly certificate: Uint8Array;
  readonly chain: readonly Uint8Array[];
}

/** What a CA puts into the certificate in place of what the CSR says. */
export type Policy = Partial<Omit<RequestedCertificate, 'template'>> & { validityDays: number };

/** The CA behind a double: certifies what a CSR says, or what the double's policy says instead. */
export class CloudSigner implements AsyncDisposable {
  readonly #directory: AsyncDisposable & { readonly path: string };
  readonly #authority: Awaited<ReturnType<typeof localCa.connect>>;
  #orders = 0;

  private constructor(
    directory: AsyncDisposable & { readonly path: string },
    authority: Awaited<ReturnType<typeof localCa.connect>>,
  ) {
    this.#directory = directory;
    this.#authority = authority;
  }

  static async create(): Promise<CloudSigner> {
    const directory = await memoryDirectory();
    const options = localCa.options.parse({ directory: './ca' });
    const authority = await localCa.connect(options, connectContext(directory.path), never);
    return new CloudSigner(directory, authority);
  }

  async roots(): Promise<readonly Uint8Array[]> {
    return readCertificates(await readFile(join(this.#directory.path, 'ca/root.pem')));
  }

  /** @throws {Error} when the CSR cannot be read or its signature is not good. */
  read(csr: Uint8Array): CertificationRequestFacts {
    const facts = readCertificationRequest(csr);
    if (!facts.verified) throw new Error('The signature of the CSR is not good.');
    return facts;
  }

  readPem(csr: string): Uint8Array {
    return decodePem(csr, 'CERTIFICATE REQUEST')[0]!.der;
  }

  async sign(csr: Uint8Array, policy: Policy): Promise<Signed> {
    const facts = this.read(csr);
    const requestId = createHash('md5')
      .update(`${++this.#orders}`)
      .digest('hex');
    const answer = await this.#authority.issue(
      {
        requestId,
        processId: requestId,
        keyType: 'ec',
        subjectPublicKeyInfo: facts.subjectPublicKeyInfo,
        subject: { kind: 'device' },
        csr,
        wanted: {
          subject: facts.subject,
          subjectAltNames: facts.subjectAltNames as readonly SubjectAltName[],
          keyUsages: facts.keyUsages as readonly KeyUsage[],
          extendedKeyUsages: facts.extendedKeyUsages,
          ...policy,
        },
      },
      never,
    );
    if (answer.kind !== 'issued') throw new Error(`The local CA answered ${answer.kind}.`);
    return answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#authority[Symbol.asyncDispose]();
    await this.#directory[Symbol.asyncDispose]();
  }
}
