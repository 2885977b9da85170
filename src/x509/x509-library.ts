import 'reflect-metadata';
import type { webcrypto } from 'node:crypto';
import { createRequire } from 'node:module';
import * as x509 from '@peculiar/x509';

/*
 * The field's library for certificates, with @peculiar/webcrypto as its crypto provider. It takes a third of a second
 * and 25 MB to load, and reads more laxly than what stands beside it: it is imported by import(), where it is needed.
 */

/** Its own types need a browser's. */
const { Crypto }: { Crypto: new () => webcrypto.Crypto } = createRequire(import.meta.url)(
  '@peculiar/webcrypto',
);
const provider = new Crypto();
x509.cryptoProvider.set(provider);

export const { subtle } = provider;
export { x509 };
