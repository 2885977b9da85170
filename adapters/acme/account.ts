import acme from 'acme-client';
import { AcmeProblem } from './problem.ts';

export interface AccountOptions {
  readonly directoryUrl: string;
  /** PEM. */
  readonly accountKey: string;
  readonly contact: readonly string[];
  readonly externalAccountBinding: { readonly kid: string; readonly hmacKey: string } | undefined;
}

/**
 * A client that knows its account's URL: that of the account which the server has for the key, or of a new one
 * (RFC 8555 7.3), bound to an external account where one is given (7.3.4). An EAB key may be good for one
 * binding only, so an account that is there is not bound again.
 */
export async function openAccount(options: AccountOptions): Promise<acme.Client> {
  const { directoryUrl, accountKey, contact, externalAccountBinding } = options;
  const bound = externalAccountBinding === undefined ? {} : { externalAccountBinding };
  const client = new acme.Client({ directoryUrl, accountKey, ...bound });
  try {
    await client.createAccount({ onlyReturnExisting: true });
  } catch (error) {
    if (!(error instanceof AcmeProblem && error.type === 'accountDoesNotExist')) throw error;
    const contacts = contact.length === 0 ? {} : { contact: [...contact] };
    try {
      await client.createAccount({ termsOfServiceAgreed: true, ...contacts });
    } catch (problem) {
      if (!(problem instanceof AcmeProblem)) throw problem;
      // Another call may have made it in between, which acme-client takes for an account to be changed.
      await client.createAccount({ onlyReturnExisting: true }).catch(() => {
        throw problem;
      });
    }
  }
  return client;
}
