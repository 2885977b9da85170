import type { Door } from './door.ts';
import {
  certificate,
  certificateReader,
  chain,
  key,
  request,
  signature,
  unrootedCertificate,
} from './doors/certificate.ts';
import { cms } from './doors/cms.ts';
import { config, configValues } from './doors/config.ts';
import { execAnswer } from './doors/exec-answer.ts';
import { operation, process } from './doors/google-json.ts';
import { health } from './doors/health.ts';
import { notification } from './doors/notification.ts';
import { log, name, pem, template } from './doors/text.ts';
import { certificateOfTwo, requestOfTwo } from './doors/two-readers.ts';
import { wire } from './doors/wire.ts';

/** Every door there is, by its name. Some have to be opened: a server, a directory. */
export const doors: Readonly<Record<string, () => Door | Promise<Door>>> = {
  notification: () => notification,
  process: () => process,
  operation: () => operation,
  wire,
  health,
  config,
  'config-values': configValues,
  'exec-answer': () => execAnswer,
  certificate: () => certificate,
  'unrooted-certificate': () => unrootedCertificate,
  chain: () => chain,
  'certificate-reader': () => certificateReader,
  request: () => request,
  'certificate-of-two': () => certificateOfTwo,
  'request-of-two': () => requestOfTwo,
  cms: () => cms,
  key: () => key,
  signature: () => signature,
  pem: () => pem,
  name: () => name,
  template: () => template,
  log: () => log,
};

/** @throws {RangeError} with the doors there are. */
export async function openDoor(called: string): Promise<Door> {
  const open = Object.hasOwn(doors, called) ? doors[called] : undefined;
  if (open !== undefined) return open();
  throw new RangeError(`there is no door ${called}; there are ${Object.keys(doors).join(', ')}`);
}
