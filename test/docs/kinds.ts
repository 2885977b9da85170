import { generateKeyPairSync } from 'node:crypto';
import type { adapters } from '../../adapters/index.ts';

/** A test against a real server, and the package of .ci/run that brings it. */
interface Proof {
  readonly server: string;
  readonly test: string;
  readonly package: string;
}

export interface Kind {
  /** The least that connects, and then what changes the declared features, one set of options each. */
  readonly options: readonly [object, ...object[]];
  readonly proofs: readonly Proof[];
  /** What it talks to, for the README. */
  readonly speaksTo: string;
  /** What else to know before choosing it. */
  readonly note: string;
  /** Its own page, beside choosing-a-ca.md. */
  readonly page?: string;
}

/** What the options above refer to. */
export const secrets = {
  SECRET: 'not used against anything',
  JWK: JSON.stringify(
    generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }),
  ),
};

const secret = { env: 'SECRET' };
const url = 'https://ca.example';

const acme = { directoryUrl: `${url}/directory`, directory: './acme', termsOfServiceAgreed: true };
const stepCa = { url, provisioner: 'certprov', key: { env: 'JWK' } };
const vault = { url, role: 'wifi', auth: { method: 'token', token: secret } };
const ejbca = {
  url,
  certificateAuthority: 'Wi-Fi CA',
  endEntityProfile: 'Chromebooks',
  certificateProfile: 'Wi-Fi',
  auth: { method: 'oauth', tokenUrl: `${url}/token`, clientId: 'certprov', clientSecret: secret },
};
const cas = { caPool: 'projects/p/locations/l/caPools/pool' };
const cmp = { url, reference: 'ra', secret };

/** Versions are those of Debian 12, which .ci/run installs. */
export const kinds: Readonly<Record<keyof typeof adapters, Kind>> = {
  acme: {
    options: [acme],
    proofs: [
      { server: 'pebble 2.4', test: 'test/peers/acme.test.ts', package: 'pebble' },
      {
        server: 'step-ca 0.19',
        test: 'test/peers/acme.test.ts',
        package: 'golang-github-smallstep-certificates-dev',
      },
    ],
    speaksTo: 'RFC 8555, with http-01 or dns-01, and EAB',
    note: 'DNS names only; the CA must be able to check each name',
  },
  adcs: {
    options: [
      { url, template: 'Chromebooks', username: 'ra', password: secret },
      { url, template: 'Chromebooks', username: 'ra', password: secret, transport: 'certsrv' },
    ],
    proofs: [],
    speaksTo: 'Windows CAs, through CES or certsrv',
    note: 'the template decides names and validity',
    page: 'windows-ca.md',
  },
  'aws-private-ca': {
    options: [
      {
        certificateAuthorityArn:
          'arn:aws:acm-pca:eu-central-1:123456789012:certificate-authority/11111111-2222-3333-4444-555555555555',
        credentials: { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: secret },
      },
    ],
    proofs: [],
    speaksTo: 'AWS Private CA',
    note: 'every certificate costs money',
  },
  cfssl: {
    options: [{ url }, { url, revoke: true }],
    proofs: [{ server: 'cfssl 1.2', test: 'test/peers/cfssl.test.ts', package: 'golang-cfssl' }],
    speaksTo: 'cfssl, its sign and authsign',
    note: 'the signing profile decides usages and validity; revoking needs a database',
  },
  cmp: {
    options: [cmp, { ...cmp, revoke: false }],
    proofs: [
      { server: 'OpenSSL 3.0’s mock server', test: 'test/peers/cmp.test.ts', package: 'openssl' },
    ],
    speaksTo: 'RFC 4210 and 9483: p10cr, with a shared secret or a signature',
    note: 'a shared secret or a signature protects the messages',
  },
  ejbca: {
    options: [ejbca, { ...ejbca, lookUp: false }],
    proofs: [],
    speaksTo: 'EJBCA’s REST API',
    note: 'the end entity profile decides names',
    page: 'ejbca.md',
  },
  est: {
    options: [{ url, username: 'ra', password: secret }],
    proofs: [],
    speaksTo: 'RFC 7030',
    note: 'validity cannot be requested',
  },
  exec: {
    options: [
      { command: ['./sign'] },
      { command: ['./sign'], idempotent: true, revokeCommand: ['./revoke'] },
    ],
    proofs: [
      { server: '`openssl ca`', test: 'test/peers/exec.test.ts', package: 'openssl' },
      { server: 'Easy-RSA 3.1', test: 'test/peers/exec.test.ts', package: 'easy-rsa' },
    ],
    speaksTo: 'any command of yours: CSR on stdin, certificate on stdout',
    note: 'whatever your command does; one for `openssl ca` and Easy-RSA is included',
    page: 'exec.md',
  },
  'google-cas': {
    options: [cas, { ...cas, tier: 'devops' }],
    proofs: [],
    speaksTo: 'Google’s Certificate Authority Service',
    note: 'the tier decides; the rate is the quota of one CA in the enterprise tier',
  },
  'local-ca': {
    options: [{ directory: './local-ca' }],
    proofs: [
      { server: 'openssl verify', test: 'test/adapters/local-ca.test.ts', package: 'openssl' },
      { server: 'SoftHSM 2.6', test: 'test/peers/local-ca-pkcs11.test.ts', package: 'softhsm2' },
      { server: 'FreeRADIUS 3.2', test: 'test/peers/wifi.test.ts', package: 'freeradius' },
    ],
    speaksTo: 'nothing: certprov makes and keeps a root and an issuing CA itself',
    note: 'needs no server; keys in files or in a PKCS#11 token',
    page: 'local-ca.md',
  },
  scep: {
    options: [
      { url, challenge: secret },
      { url, challenge: secret, keyTypes: ['rsa'] },
    ],
    proofs: [
      { server: 'micromdm scepserver 2.1', test: 'test/peers/scep.test.ts', package: 'scep' },
      {
        server: 'step-ca 0.19',
        test: 'test/peers/scep.test.ts',
        package: 'golang-github-smallstep-certificates-dev',
      },
    ],
    speaksTo: 'RFC 8894, Microsoft’s NDES included',
    note: 'also NDES; validity cannot be requested',
    page: 'scep.md',
  },
  'step-ca': {
    options: [stepCa, { ...stepCa, leafTemplate: 'own' }],
    proofs: [
      {
        server: 'step-ca 0.19',
        test: 'test/peers/step-ca.test.ts',
        package: 'golang-github-smallstep-certificates-dev',
      },
    ],
    speaksTo: 'smallstep’s own API, with a JWK provisioner',
    note: 'the provisioner’s template decides names',
  },
  'vault-pki': {
    options: [vault, { ...vault, mode: 'sign-verbatim' }],
    proofs: [],
    speaksTo: 'HashiCorp Vault and OpenBao',
    note: 'Vault and OpenBao; the role decides names',
    page: 'vault-pki.md',
  },
  webhook: {
    options: [
      { url, secret },
      { url, secret, idempotent: true, revoke: true },
    ],
    proofs: [],
    speaksTo: 'a web service of yours',
    note: 'a web service of yours',
    page: 'webhook.md',
  },
};
