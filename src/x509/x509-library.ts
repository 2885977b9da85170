import 'reflect-metadata';
import type { webcrypto } from 'node:crypto';
import { createRequire } from 'node:module';
import * as x509 from '@peculiar/x509';

/*
 * The field's library for certificates, with @peculiar/webcrypto as its crypto provider. It takes a third of a second
 * and 25 MB to load, and reads more laxly than what stands beside it: it is imported by import(), where it is needed.
 * The provider is handed in with each call and never set for all: a plug-in may use the same library with its own keys.
 */

/** Its own types need a browser's. */
const { Crypto }: { Crypto: new () => webcrypto.Crypto } = createRequire(import.meta.url)(
  '@peculiar/webcrypto',
);
export const provider = new Crypto();
export { x509 };
