import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JWT } from 'google-auth-library';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GoogleError } from '../../src/errors.ts';
import { createAuthClient } from '../../src/google-auth/auth-client.ts';
import {
  anonymous,
  createTokenSource,
  GoogleTokens,
  provisioningScope,
} from '../../src/google-auth/credentials.ts';
import { SkippingClock } from '../support/skipping-clock.ts';

const never = new AbortController().signal;
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'certprov-credentials-'));
});

afterAll(async () => {
  await rm(directory, { recursive: true });
});

async function fileWith(content: string): Promise<string> {
  const file = join(directory, `${crypto.randomUUID()}.json`);
  await writeFile(file, content, { mode: 0o600 });
  return file;
}

/** What of the library's client is used: it gives out numbered tokens that live for an hour. */
function issuer(clock: SkippingClock) {
  const state = { connected: 0, issued: 0, failing: undefined as Error | undefined };
  const connect = async () => {
    state.connected += 1;
    return {
      credentials: {} as { expiry_date?: number },
      async getAccessToken() {
        if (state.failing !== undefined) throw state.failing;
        state.issued += 1;
        this.credentials.expiry_date = clock.now() + 3_600_000;
        return { token: `t${state.issued}` };
      },
    };
  };
  return { state, tokens: new GoogleTokens({ connect, clock }) };
}

describe('access tokens', () => {
  it('are kept until shortly before they expire', async () => {
    const clock = new SkippingClock();
    const { tokens, state } = issuer(clock);
    expect(await tokens.header(never)).toBe('Bearer t1');
    clock.ms += 55 * 60_000;
    expect(await tokens.header(never)).toBe('Bearer t1');
    clock.ms += 2 * 60_000;
    expect(await tokens.header(never)).toBe('Bearer t2');
    expect(state).toMatchObject({ connected: 1, issued: 2 });
  });

  it('are asked for once by many at once', async () => {
    const { tokens, state } = issuer(new SkippingClock());
    await Promise.all(Array.from({ length: 20 }, () => tokens.header(never)));
    expect(state.issued).toBe(1);
  });

  it('are made anew after Google refused one, once for all who used it', async () => {
    const { tokens, state } = issuer(new SkippingClock());
    const header = await tokens.header(never);
    tokens.invalidate(header);
    expect(await tokens.header(never)).toBe('Bearer t2');
    tokens.invalidate(header);
    expect(await tokens.header(never)).toBe('Bearer t2');
    expect(state.connected).toBe(2);
  });

  it('are used to their end while no new one can be had', async () => {
    const clock = new SkippingClock();
    const { tokens, state } = issuer(clock);
    await tokens.header(never);
    state.failing = new Error('down');
    clock.ms += 58 * 60_000;
    expect(await tokens.header(never)).toBe('Bearer t1');
    clock.ms += 3 * 60_000;
    await expect(tokens.header(never)).rejects.toThrow(/down/);
    state.failing = undefined;
    expect(await tokens.header(never)).toBe('Bearer t2');
  });

  it('that cannot be had are an error that names the setting', async () => {
    const { tokens, state } = issuer(new SkippingClock());
    state.failing = new Error('invalid_grant:\nInvalid JWT');
    const error = await tokens.header(never).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(GoogleError);
    expect(error).toMatchObject({
      code: 'google-unauthenticated',
      unclear: false,
      message:
        'No access token for Google could be had: invalid_grant: Invalid JWT. Check google.credentials.',
    });
  });

  it('are not waited for beyond a deadline or an abort', async () => {
    const connect = () => new Promise<never>(() => undefined);
    const tokens = new GoogleTokens({ connect, clock: new SkippingClock(), deadlineMs: 50 });
    const abort = new AbortController();
    const aborted = tokens.header(abort.signal);
    abort.abort(new Error('stop'));
    await expect(aborted).rejects.toThrow('stop');
    await expect(tokens.header(never)).rejects.toThrow(/no answer in time/);
  });
});

describe('credentials', () => {
  it('may be none', async () => {
    expect(createTokenSource('none', new SkippingClock())).toBe(anonymous);
    expect(await anonymous.header(never)).toBeUndefined();
  });

  it('may be a service account’s key, for the scope of certificate provisioning', async () => {
    const { privateKey } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    });
    const file = await fileWith(
      // As an editor of Windows saves it, with a key that was copied out of another JSON file.
      `\uFEFF${JSON.stringify({
        type: 'service_account',
        client_email: 'a@b.example',
        private_key: privateKey.replaceAll('\n', '\\n'),
      })}`,
    );
    const client = await createAuthClient({ file }, [provisioningScope]);
    expect(client).toBeInstanceOf(JWT);
    const scopes = [provisioningScope];
    expect(client).toMatchObject({ email: 'a@b.example', key: privateKey, scopes });
  });

  it('may be a workload-identity file', async () => {
    const asked: string[] = [];
    const server = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      asked.push(body);
      response.setHeader('content-type', 'application/json');
      response.end(
        JSON.stringify({
          access_token: 'federated',
          issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
          token_type: 'Bearer',
          expires_in: 3600,
        }),
      );
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const file = await fileWith(
      JSON.stringify({
        type: 'external_account',
        audience:
          '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q',
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        token_url: `http://127.0.0.1:${port}/token`,
        credential_source: { file: await fileWith('subject-token') },
      }),
    );
    const tokens = createTokenSource({ file }, {
      ...new SkippingClock(),
      now: Date.now,
    } as SkippingClock);
    expect(await tokens.header(never)).toBe('Bearer federated');
    expect(await tokens.header(never)).toBe('Bearer federated');
    expect(asked.length).toBe(1);
    expect(new URLSearchParams(asked[0]).get('scope')).toBe(provisioningScope);
    expect(new URLSearchParams(asked[0]).get('subject_token')).toBe('subject-token');
    server.closeAllConnections();
    server.close();
  });

  it.each([
    ['not JSON', '-----BEGIN PRIVATE KEY-----'],
    ['of another kind', '{"type":"authorized_user","refresh_token":"secret"}'],
    [
      'a key that is no key',
      '{"type":"service_account","client_email":"a@b.example","private_key":"secret"}',
    ],
  ])('in a file that is %s are an error without the file’s content', async (_what, content) => {
    const tokens = createTokenSource({ file: await fileWith(content) }, new SkippingClock());
    const error = (await tokens.header(never).catch((thrown: unknown) => thrown)) as GoogleError;
    expect(error.code).toBe('google-unauthenticated');
    expect(error.message).not.toMatch(/secret|BEGIN/);
  });

  it('in a file that is missing are an error that names the file', async () => {
    const file = join(directory, 'missing.json');
    const tokens = createTokenSource({ file }, new SkippingClock());
    await expect(tokens.header(never)).rejects.toThrow(/missing\.json/);
  });
});
