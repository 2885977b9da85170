import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { IssueRequest } from '../../src/issue/certificate-authority.ts';
import { formatName } from '../../src/x509/distinguished-name.ts';

/** The whole request as JSON in a file that only we can read; gone when it is disposed of. */
export class RequestFile implements AsyncDisposable {
  readonly path: string;
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
    this.path = join(directory, 'request.json');
  }

  static async write(request: IssueRequest, csrPem: string): Promise<RequestFile> {
    const file = new RequestFile(await mkdtemp(join(tmpdir(), 'certprov-')));
    try {
      await writeFile(file.path, requestJson(request, csrPem), { mode: 0o600, flag: 'wx' });
      return file;
    } catch (error) {
      await file[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }
}

/** What a command is told. Names once given here stay: commands of others read them. */
function requestJson(request: IssueRequest, csrPem: string): string {
  const { wanted } = request;
  const told = {
    requestId: request.requestId,
    processId: request.processId,
    /** Who asks, as Google's record says. */
    requestedBy: request.subject,
    keyType: request.keyType,
    subject: formatName(wanted.subject),
    /** In the order of the encoding: a list of RDNs, each a list of attributes. */
    subjectRdns: wanted.subject,
    subjectAltNames: wanted.subjectAltNames,
    keyUsages: wanted.keyUsages,
    extendedKeyUsages: wanted.extendedKeyUsages,
    validityDays: wanted.validityDays,
    template: wanted.template ?? null,
    ...(wanted.securityIdentifier === undefined
      ? {}
      : { securityIdentifier: wanted.securityIdentifier }),
    csrPem,
  };
  return `${JSON.stringify(told, undefined, 2)}\n`;
}
