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
  readonly note: string;
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
    note: 'DNS names only; the CA must be able to check each name',
  },
  adcs: {
    options: [
      { url, template: 'Chromebooks', username: 'ra', password: secret },
      { url, template: 'Chromebooks', username: 'ra', password: secret, transport: 'certsrv' },
    ],
    proofs: [],
    note: 'Windows CAs; the template decides about names and validity ([more](windows-ca.md))',
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
    note: 'each certificate is paid for',
  },
  cfssl: {
    options: [{ url }, { url, revoke: true }],
    proofs: [{ server: 'cfssl 1.2', test: 'test/peers/cfssl.test.ts', package: 'golang-cfssl' }],
    note: 'the signing profile decides about usages and validity; to revoke it needs a database',
  },
  cmp: {
    options: [cmp, { ...cmp, revoke: false }],
    proofs: [
      { server: 'OpenSSL 3.0’s mock server', test: 'test/peers/cmp.test.ts', package: 'openssl' },
    ],
    note: 'RFC 4210 and 9483, with a shared secret or a signature',
  },
  ejbca: {
    options: [ejbca, { ...ejbca, lookUp: false }],
    proofs: [],
    note: 'the end entity profile decides about names ([more](ejbca.md))',
  },
  est: {
    options: [{ url, username: 'ra', password: secret }],
    proofs: [],
    note: 'validity cannot be asked for',
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
    note: 'whatever your command does; one for `openssl ca` and Easy-RSA is there ([more](exec.md))',
  },
  'google-cas': {
    options: [cas, { ...cas, tier: 'devops' }],
    proofs: [],
    note: 'the tier decides; the rate is the quota of one CA of the tier enterprise',
  },
  'local-ca': {
    options: [{ directory: './local-ca' }],
    proofs: [
      { server: 'openssl verify', test: 'test/adapters/local-ca.test.ts', package: 'openssl' },
      { server: 'SoftHSM 2.6', test: 'test/peers/local-ca-pkcs11.test.ts', package: 'softhsm2' },
      { server: 'FreeRADIUS 3.2', test: 'test/peers/wifi.test.ts', package: 'freeradius' },
    ],
    note: 'needs no server; keys in files or in a PKCS#11 token ([more](local-ca.md))',
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
    note: 'also NDES; validity cannot be asked for ([more](scep.md))',
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
    note: 'the provisioner’s template decides about names',
  },
  'vault-pki': {
    options: [vault, { ...vault, mode: 'sign-verbatim' }],
    proofs: [],
    note: 'Vault and OpenBao; the role decides about names ([more](vault-pki.md))',
  },
  webhook: {
    options: [
      { url, secret },
      { url, secret, idempotent: true, revoke: true },
    ],
    proofs: [],
    note: 'a web service of yours ([more](webhook.md))',
  },
};
