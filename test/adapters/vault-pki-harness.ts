import vaultPki from '../../adapters/vault-pki/vault-pki.ts';
import type { NotSupported } from '../../conformance/harness.ts';
import { connectContext } from '../support/connect-context.ts';
import { VaultServer } from './doubles/vault-server.ts';
import type { HttpHarness } from './http-harness.ts';

const decidesAtOnce: NotSupported = {
  notSupported: 'Vault signs or refuses in its answer: no order is left pending.',
};

/** The kind `vault-pki` over a double of Vault, logging in by AppRole. */
export async function vaultPkiHarness(mode: 'sign' | 'sign-verbatim'): Promise<HttpHarness> {
  const vault = await VaultServer.start();
  const secretId = 'secret-id-of-the-test';
  vault.credentials.add(`role-1:${secretId}`);
  const context = connectContext('.', { env: { SECRET_ID: secretId } });
  const options = vaultPki.options.parse({
    url: vault.server.origin,
    namespace: VaultServer.namespace,
    role: 'wifi',
    mode,
    auth: { method: 'approle', roleId: 'role-1', secretId: { env: 'SECRET_ID' } },
  });
  const isOrder = ({ path }: { path: string }) => path.startsWith(`/v1/pki/${mode}`);
  return {
    connect: () => vaultPki.connect(options, context, new AbortController().signal),
    hooks: {
      pendThenIssue: decidesAtOnce,
      pendThenReject: decidesAtOnce,
      reject:
        mode === 'sign'
          ? async () =>
              void vault.roles.set('wifi', { keyType: 'any', allowedDomain: 'elsewhere.example' })
          : { notSupported: 'sign-verbatim refuses no name.' },
      async failOnce() {
        const body = { errors: [`the storage is away; secret id ${secretId}`] };
        vault.server.misbehave({ status: 500, body }, isOrder);
      },
      async answerGarbage() {
        const body = { data: { certificate: 'soon', ca_chain: [] } };
        vault.server.misbehave({ status: 200, body }, isOrder);
      },
      answerSlowly: async () => vault.server.misbehave('slow', isOrder),
      async hang() {
        vault.server.misbehave('hang', isOrder);
        return { reached: () => vault.server.reached() };
      },
    },
    answerOrder: (answer) => vault.server.misbehave(answer, isOrder),
    secrets: [secretId, 'hvs.'],
    roots: async () => [vault.ca.root],
    validityAsAsked: true,
    leftovers: async () => vault.server.held,
    [Symbol.asyncDispose]: () => vault[Symbol.asyncDispose](),
  };
}
