import { readFile } from 'node:fs/promises';
import { type AuthClient, ExternalAccountClient, GoogleAuth, JWT } from 'google-auth-library';
import { plainText } from '../words/plain-text.ts';
import { unfoldPem } from '../x509/pem.ts';
import type { GoogleCredentials } from './google-credentials.ts';

/**
 * The library's client for these credentials. Key files are read here: given a file's name, the library
 * would take any kind of credential in it, and it warns about that on the console.
 */
export async function createAuthClient(
  credentials: Exclude<GoogleCredentials, 'none'>,
  scopes: readonly string[],
): Promise<AuthClient> {
  if (credentials === 'application-default') {
    return new GoogleAuth({ scopes: [...scopes] }).getClient();
  }
  const json: unknown = parseKeyFile(await readFile(credentials.file), credentials.file);
  const type = typeof json === 'object' && json !== null && 'type' in json ? json.type : undefined;
  if (type === 'service_account') {
    const client = new JWT({ scopes: [...scopes] });
    client.fromJSON(json as Parameters<JWT['fromJSON']>[0]);
    if (client.key !== undefined) client.key = unfoldPem(client.key);
    return client;
  }
  if (type === 'external_account') {
    const client = ExternalAccountClient.fromJSON(
      json as Parameters<typeof ExternalAccountClient.fromJSON>[0],
    );
    if (client !== null) {
      client.scopes = [...scopes];
      return client;
    }
  }
  throw new Error(
    `${credentials.file} is neither a service-account key nor a workload-identity file (its "type" is neither service_account nor external_account)`,
  );
}

function parseKeyFile(bytes: Uint8Array, file: string): unknown {
  try {
    return JSON.parse(plainText(bytes));
  } catch {
    // The parser quotes the text, and the text is a key.
    throw new Error(`${file} is not JSON`);
  }
}
