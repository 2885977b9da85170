import { ProvisioningError } from '../../src/errors.ts';
import type { Issuance, IssueRequest } from '../../src/plug-in/certificate-authority.ts';
import { issuedPem } from '../shared/issued-pem.ts';
import type { CommandResult } from '../shared/run-command.ts';
import { withoutSecrets } from '../shared/without-secrets.ts';

const longestTicket = 4096;
/** How much of stderr goes into a message, in characters. */
const longestQuote = 2_000;
/** A shell ends so when its command was killed: what that one had done is not known. */
const killedFrom = 128;

export interface AnswerContext {
  readonly request: Pick<IssueRequest, 'subjectPublicKeyInfo'>;
  /** For messages. */
  readonly program: string;
  /** Never repeated in messages. */
  readonly secrets: readonly string[];
  /** The ticket that the command was run with. */
  readonly ticket: string | undefined;
  readonly pollAfterMs: number;
}

/**
 * What a command's end means: 0 issued, 3 pending, 4 rejected for good, anything else failed.
 *
 * @throws {ProvisioningError} `ca-unavailable` when it failed, `ca-bad-answer` when stdout is not what the status
 * promises.
 */
export function issuanceOf(result: CommandResult, context: AnswerContext): Issuance {
  switch (result.exitCode) {
    case 0:
      return issued(result, context);
    case 3:
      return pending(result, context);
    case 4: {
      const reason = stderrOf(result, context.secrets).split('\n').at(-1) ?? '';
      return { kind: 'rejected', reason: reason || 'The command gave no reason on stderr.' };
    }
    default: {
      const said = stderrOf(result, context.secrets);
      throw new ProvisioningError(
        'ca-unavailable',
        `${context.program} failed with status ${result.exitCode}: ${said || 'nothing on stderr'}`,
        { unanswered: result.exitCode >= killedFrom },
      );
    }
  }
}

/** What cannot be read is quoted in part, a label of PEM for example: there may be a secret in it. */
function issued({ stdout }: CommandResult, context: AnswerContext): Issuance {
  try {
    return issuedPem([stdout], context.request, unreadable(context));
  } catch (error) {
    if (!(error instanceof ProvisioningError)) throw error;
    // Without its cause, which says the same.
    throw new ProvisioningError(error.code, withoutSecrets(error.message, context.secrets));
  }
}

/** The end of stderr for operators: printable, without the secrets that the command was given. */
export function stderrOf(result: CommandResult, secrets: readonly string[]): string {
  return withoutSecrets(result.stderr, secrets)
    .replace(/\r\n?/g, '\n')
    .replace(/[^\P{Cc}\n]/gu, ' ')
    .trim()
    .slice(-longestQuote);
}

/** The ticket is stdout's first line; a command that collects may leave it out and so keep the one it has. */
function pending(result: CommandResult, context: AnswerContext): Issuance {
  const line = (result.stdout.split('\n', 1)[0] ?? '').trim();
  const ticket = line === '' ? context.ticket : line;
  if (ticket === undefined) {
    throw badAnswer(context, 'status 3 (pending) without a ticket in the first line of stdout');
  }
  if (ticket.length > longestTicket || !/^[\x20-\x7e]+$/.test(ticket)) {
    throw badAnswer(context, `a ticket that is not ${longestTicket} or fewer ASCII characters`);
  }
  return { kind: 'pending', ticket, pollAfterMs: context.pollAfterMs };
}

function badAnswer(context: AnswerContext, what: string): ProvisioningError {
  return new ProvisioningError('ca-bad-answer', `${unreadable(context)}: ${what}`);
}

function unreadable({ program }: AnswerContext): string {
  return `${program} gave an answer that cannot be read`;
}
