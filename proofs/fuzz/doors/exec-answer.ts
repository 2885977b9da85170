import fc from 'fast-check';
import { issuanceOf } from '../../../adapters/exec/answer.ts';
import { ProvisioningError } from '../../../src/errors.ts';
import { readCertificate } from '../../../src/x509/certificate.ts';
import { encodePem } from '../../../src/x509/pem.ts';
import { anyCharacter, bytesOf, type Door, demand, textOf } from '../door.ts';
import { seeds } from '../seeds.ts';

/** The command's end as bytes: its exit status, and stdout and stderr parted by this. */
const parting = '\u001d';
const secret = 'hunter2-hunter2';
const exitCodes = [0, 3, 4, 1, 127] as const;

const pem = encodePem('CERTIFICATE', seeds.ec.certificate);
const request = readCertificate(seeds.ec.certificate);
const ended = (status: number, stdout: string, stderr = '') =>
  bytesOf(`${String.fromCharCode(status)}${stdout}${parting}${stderr}`);

/** What a command behind `exec` answers. */
export const execAnswer: Door = {
  name: 'exec-answer',
  form: 'text',
  seeds: [
    ended(0, pem),
    ended(0, `${pem}${encodePem('CERTIFICATE', seeds.issuing)}`),
    ended(1, 'ticket-17\nrest', 'waiting'),
    ended(1, '\n'),
    ended(2, '', 'policy\nsaid no'),
    ended(3, '', `cannot reach https://ca: ${secret}`),
  ],
  dictionary: [secret, parting, '-----BEGIN CERTIFICATE-----\n', '\n', '\r', '\u001b[2J', '\u2028'],
  generated: fc.string({ unit: anyCharacter, maxLength: 300 }).map(bytesOf),
  enter(input) {
    const [stdout = '', stderr = ''] = textOf(input.subarray(1)).split(parting);
    const exitCode = exitCodes[(input[0] ?? 0) % exitCodes.length] ?? 0;
    const result = { exitCode, stdout, stderr };
    try {
      const issuance = issuanceOf(result, {
        request,
        program: 'sign',
        secrets: [secret],
        ticket: undefined,
        pollAfterMs: 1_000,
      });
      if (issuance.kind === 'rejected') {
        demand(!issuance.reason.includes(secret), 'a secret gets into the reason');
      }
      if (issuance.kind === 'pending') {
        demand(/^[ -~]{1,4096}$/.test(String(issuance.ticket)), 'an odd ticket is kept');
      }
      return issuance.kind;
    } catch (error) {
      if (error instanceof ProvisioningError) {
        demand(!error.message.includes(secret), 'a secret gets into the message');
      }
      throw error;
    }
  },
  isRefusal: (error) =>
    error instanceof ProvisioningError &&
    (error.code === 'ca-bad-answer' || error.code === 'ca-unavailable'),
};
