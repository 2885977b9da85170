import { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import { type ConnectContext, defineAdapter } from '../../src/plug-in/certificate-authority.ts';
import { secretReference } from '../../src/plug-in/secret.ts';
import { commandOf, environmentOf } from '../shared/command-options.ts';
import { connectHttp, connectionOptions } from '../shared/connection.ts';
import { CommandRunner } from '../shared/run-command.ts';
import { AcmeAuthority } from './authority.ts';
import { profileProblem } from './identifiers.ts';
import { Signer } from './signer.ts';
import { dnsSolver, httpSolver, type Solver } from './solver.ts';
import { StateDirectory } from './state-directory.ts';

/*
 * ACME (RFC 8555). It certifies DNS names and nothing else: other names, and the rest of the subject, are left out
 * of the CSR, which many servers would refuse otherwise. Good for private CAs that issue certificates for client
 * authentication.
 */

const options = z.strictObject({
  directoryUrl: z.url({ protocol: /^https?$/ }).describe('The ACME directory of the CA.'),
  directory: z
    .string()
    .min(1)
    .default('./data/acme')
    .describe(
      'Where the account’s key (account.pem) and the URLs of orders are kept; instances that share it share the account. One for each authority.',
    ),
  termsOfServiceAgreed: z
    .literal(true)
    .describe('True says that you agree to the CA’s terms of service.'),
  contact: z
    .array(z.string().regex(/^[a-z]+:/, 'not a URL like mailto:admin@example.org'))
    .max(10)
    .default([])
    .describe('Contact URLs of a new account, as `mailto:admin@example.org`.'),
  externalAccount: z
    .strictObject({
      keyId: z.string().min(1).describe('The key identifier that the CA gave.'),
      hmacKey: secretReference.describe('The HMAC key that the CA gave, in base64url.'),
    })
    .optional()
    .describe('Binds a new account to one that the CA knows (EAB, RFC 8555 7.3.4).'),
  challenge: z
    .discriminatedUnion('type', [
      z.strictObject({
        type: z.literal('http-01').describe('The CA asks for a file over HTTP.'),
        host: z.string().min(1).default('127.0.0.1').describe('The address to listen on.'),
        port: z
          .int()
          .min(1)
          .max(65_535)
          .default(8402)
          .describe(
            'The port to listen on while there are challenges; lead port 80 of the names there.',
          ),
      }),
      z.strictObject({
        type: z.literal('dns-01').describe('The CA looks for a TXT record.'),
        command: z
          .array(z.string())
          .min(1)
          .max(100)
          .describe(
            'Program and arguments, run without a shell with `set NAME VALUE` and later `unset NAME VALUE` behind them. It ends when the record can be seen.',
          ),
        env: z
          .record(z.string(), z.union([z.string(), secretReference]))
          .default({})
          .describe('Further environment variables: text, or a secret by reference.'),
        timeoutSeconds: z
          .number()
          .positive()
          .max(600)
          .default(60)
          .describe('How long one run may take.'),
      }),
    ])
    .optional()
    .describe(
      'How names are shown to be ours. Without it the CA must have authorised them before.',
    ),
  waitSeconds: z
    .number()
    .min(0)
    .max(600)
    .default(20)
    .describe('How long one look waits for the CA before the order is left for later.'),
  pollSeconds: z
    .number()
    .positive()
    .max(86_400)
    .default(5)
    .describe('How soon an order that is not done is looked at again.'),
  ...connectionOptions,
});

type Options = z.output<typeof options>;

export default defineAdapter({
  kind: 'acme',
  profileProblem,
  takesTemplate: false,
  options,
  async connect(given, context, signal) {
    signal.throwIfAborted();
    const { externalAccount: bound } = given;
    const externalAccount =
      bound === undefined
        ? undefined
        : { keyId: bound.keyId, hmacKey: await context.readSecret(bound.hmacKey) };
    if (externalAccount !== undefined && !/^[A-Za-z0-9_=-]+$/.test(externalAccount.hmacKey)) {
      throw new ProvisioningError(
        'ca-misconfigured',
        'externalAccount.hmacKey is not base64url. Copy it as the CA shows it.',
      );
    }
    const state = await StateDirectory.open(
      context.resolvePath(given.directory),
      context.clock.now(),
    );
    const signer = new Signer(await state.accountKey());
    const runner = new CommandRunner(context.clock);
    return new AcmeAuthority({
      http: await connectHttp(given, context),
      clock: context.clock,
      directoryUrl: given.directoryUrl,
      signer,
      state,
      runner,
      account: { contact: given.contact, externalAccount },
      solver: await solverFor(given.challenge, context, runner),
      waitMs: given.waitSeconds * 1_000,
      pollMs: given.pollSeconds * 1_000,
    });
  },
});

async function solverFor(
  challenge: Options['challenge'],
  context: ConnectContext,
  runner: CommandRunner,
): Promise<Solver | undefined> {
  if (challenge === undefined) return undefined;
  if (challenge.type === 'http-01') return httpSolver(challenge);
  const { command, env, timeoutSeconds } = challenge;
  const { environment } = await environmentOf(env, context);
  const whole = { PATH: process.env['PATH'] ?? '', ...environment };
  return dnsSolver(commandOf(command, whole, timeoutSeconds, context), runner);
}
