// Orders from the local CA in the directory that is its argument; the order is JSON on stdin.
import { text } from 'node:stream/consumers';
import localCa from '../../../adapters/local-ca/local-ca.ts';
import { systemClock } from '../../../src/time/clock.ts';
import { encodePem } from '../../../src/x509/pem.ts';

const { order, subjectPublicKeyInfo, csr } = JSON.parse(await text(process.stdin));
const signal = new AbortController().signal;
await using ca = await localCa.connect(
  localCa.options.parse({ directory: process.argv[2] }),
  { clock: systemClock, resolvePath: (path) => path, readSecret: async () => '' },
  signal,
);
const answer = await ca.issue(
  {
    ...JSON.parse(order),
    subjectPublicKeyInfo: Buffer.from(subjectPublicKeyInfo, 'base64'),
    csr: Buffer.from(csr, 'base64'),
  },
  signal,
);
process.stdout.write(encodePem('CERTIFICATE', answer.certificate));
