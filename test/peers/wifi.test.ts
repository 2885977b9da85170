import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import localCa from '../../adapters/local-ca/local-ca.ts';
import type { DeviceSpecInput } from '../../simulator/device-spec.ts';
import type { Simulator } from '../../simulator/outside-world.ts';
import { startSimulator } from '../../simulator/simulator.ts';
import type { KeyType } from '../../src/request/requested-certificate.ts';
import { readCertificates } from '../../src/x509/pem.ts';
import { connectContext } from '../support/connect-context.ts';
import { requirePeer } from '../support/peer.ts';
import { ServiceHome } from '../support/service-process.ts';
import {
  type Credentials,
  findEapolTest,
  howToGetEapolTest,
  logIn,
  type TlsVersion,
} from './eapol.ts';
import {
  type FreeRadius,
  findFreeRadius,
  howToGetFreeRadius,
  startFreeRadius,
} from './freeradius-server.ts';

/*
 * Does it open the Wi-Fi? Each certificate is made by the whole service for a simulated device, and then
 * that device logs in to FreeRADIUS by EAP-TLS.
 */

const radiusThere = await requirePeer('FreeRADIUS', findFreeRadius, howToGetFreeRadius);
const supplicantThere = await requirePeer('eapol_test', findEapolTest, howToGetEapolTest);

const versions = ['1.2', '1.3'] as const satisfies readonly TlsVersion[];
const authorities = ['rsa', 'ec'] as const satisfies readonly KeyType[];
const never = new AbortController().signal;

/** A RADIUS server: which local CA's files it has, and what its clock says. */
interface Door {
  readonly of: string;
  readonly files?: readonly string[];
  readonly daysAhead?: number;
}

interface Refusal {
  readonly what: string;
  readonly profile?: string;
  /** A door that lets the same certificate in; for a certificate that fits none there is no such door. */
  readonly open?: (authority: string) => Door;
  readonly closed: (authority: string) => Door;
  /** What makes the difference where both doors are alike. */
  readonly meanwhile?: 'revoked' | 'renamed';
  /** What FreeRADIUS writes, and docs/run/wifi.md explains. */
  readonly reason: string;
  /** RFC 8446 6.2. */
  readonly alert: string;
}

const usualFiles = ['root.pem', 'issuing.pem', 'crl.pem'];
const usual = (of: string): Door => ({ of });
const refusals: readonly Refusal[] = [
  {
    what: 'where another CA is trusted',
    open: usual,
    closed: () => ({ of: 'other' }),
    reason: 'unable to get local issuer certificate',
    alert: 'unknown_ca',
  },
  {
    what: 'where the intermediate is missing',
    open: usual,
    closed: (of) => ({ of, files: ['root.pem', 'crl.pem'] }),
    reason: 'unable to get local issuer certificate',
    alert: 'unknown_ca',
  },
  {
    what: 'once the CRL revokes it',
    open: usual,
    closed: usual,
    meanwhile: 'revoked',
    reason: 'certificate revoked',
    alert: 'certificate_revoked',
  },
  {
    what: 'once it has expired',
    profile: 'brief_profile',
    open: usual,
    closed: (of) => ({ of, daysAhead: 3 }),
    reason: 'certificate has expired',
    alert: 'certificate_expired',
  },
  {
    what: 'when it is good for serverAuth only',
    profile: 'server_profile',
    closed: usual,
    reason: 'unsuitable certificate purpose',
    alert: 'unsupported_certificate',
  },
  {
    what: 'once the server’s CRL is out of date',
    open: usual,
    closed: (of) => ({ of, daysAhead: 8 }),
    reason: 'CRL has expired',
    alert: 'certificate_expired',
  },
  {
    what: 'where the CRL is missing',
    open: usual,
    closed: (of) => ({ of, files: ['root.pem', 'issuing.pem'] }),
    reason: 'unable to get certificate CRL',
    alert: 'unknown_ca',
  },
  {
    what: 'under a name that is not its own',
    open: usual,
    closed: usual,
    meanwhile: 'renamed',
    reason: 'does not match specified value',
    alert: 'internal_error',
  },
];

describe.skipIf(!radiusThere || !supplicantThere)('Wi-Fi, by EAP-TLS', () => {
  let simulator: Simulator;
  let home: ServiceHome;

  beforeAll(async () => {
    simulator = await startSimulator({ faults: 0, distinctKeys: { rsa: 4, ec: 16 } });
    home = await ServiceHome.make(simulator);
    const subject = 'CN=${DEVICE_SERIAL_NUMBER},O=Example';
    const userSubject = 'CN=${USER_EMAIL},O=Example';
    const service = await home.start({
      authorities: {
        rsa: { kind: 'local-ca', options: optionsOf('rsa', 'rsa') },
        ec: { kind: 'local-ca', options: optionsOf('ec', 'ec') },
        other: { kind: 'local-ca', options: optionsOf('other', 'ec') },
      },
      profiles: {
        device_profile: { subject },
        user_profile: {
          subject: userSubject,
          subjectAltNames: [{ type: 'email', value: '${USER_EMAIL}' }],
        },
        brief_profile: { subject, validityDays: 2 },
        server_profile: { subject, extendedKeyUsages: ['serverAuth'] },
      },
    });
    await service.running();
  });

  afterAll(async () => {
    await home?.[Symbol.asyncDispose]();
    await simulator?.[Symbol.asyncDispose]();
  });

  describe.concurrent.each(authorities)('a certificate of an %s local CA', (authority) => {
    for (const version of versions) {
      for (const key of ['rsa', 'ec'] as const) {
        for (const subject of ['device', 'user'] as const) {
          it(`lets a ${subject} with an ${key} key in, over TLS ${version}`, async () => {
            const credentials = await enrolled({ caConnection: authority, key, subject });
            await letIn({ of: authority }, version, credentials);
          });
        }
      }

      it.each(refusals)(`is refused $what, over TLS ${version}`, async (refusal) => {
        const { profile, open, closed, meanwhile, reason, alert } = refusal;
        const credentials = await enrolled({
          caConnection: authority,
          key: authority,
          ...(profile === undefined ? {} : { profileReference: profile }),
        });
        if (open !== undefined) await letIn(open(authority), version, credentials);
        if (meanwhile === 'revoked') await revoke(authority, credentials);
        const stranger = { ...credentials, identity: 'SIM-somebody-else' };
        const { succeeded, server } = await knock(
          closed(authority),
          version,
          meanwhile === 'renamed' ? stranger : credentials,
        );
        expect(succeeded).toBe(false);
        expect(server).toContain(reason);
        expect(server).toContain(`send TLS ${version} Alert, fatal ${alert}\n`);
        expect(server).toContain('Sent Access-Reject');
        expect(server).not.toContain('Sent Access-Accept');
      });
    }
  });

  it.each(versions)(
    'is not shown to a server that the device does not know, over TLS %s',
    async (version) => {
      const credentials = await enrolled({ caConnection: 'ec', key: 'ec' });
      await using known = await start({ of: 'ec' });
      await using stranger = await start({ of: 'ec' });
      const { certificateFile } = known;
      const { succeeded, server } = await logIn(
        { ...stranger, certificateFile },
        version,
        credentials,
      );
      expect(succeeded).toBe(false);
      expect(server).toContain(`recv TLS ${version} Alert, fatal unknown_ca\n`);
      expect(server).not.toContain('TLS-Client-Cert');
    },
  );

  it('has every reason for a refusal in the page for administrators', async () => {
    const page = await readFile(join(import.meta.dirname, '../../docs/run/wifi.md'), 'utf8');
    for (const { reason } of refusals) expect(page).toContain(reason);
  });

  /** A new device or user, with the certificate that the service got for it. */
  async function enrolled(spec: DeviceSpecInput): Promise<Credentials> {
    const [added] = await simulator.addDevices(spec);
    const id = added?.id ?? '';
    const [process] = await simulator.settled([id], { timeoutMs: 60_000 });
    const key = simulator.keyOf(id);
    if (process?.certificatePem === undefined || key === undefined) {
      throw new Error(`There is no certificate: ${JSON.stringify(process)}`);
    }
    expect(process.device).toEqual({ accepted: true });
    return { identity: process.who, certificate: process.certificatePem, key: key.privateKey };
  }

  async function start({ of, files = usualFiles, daysAhead = 0 }: Door): Promise<FreeRadius> {
    const contents = files.map((name) => readFile(join(home.directory, of, name), 'utf8'));
    return startFreeRadius((await Promise.all(contents)).join(''), daysAhead);
  }

  async function knock(door: Door, version: TlsVersion, credentials: Credentials) {
    await using radius = await start(door);
    return await logIn(radius, version, credentials);
  }

  async function letIn(door: Door, version: TlsVersion, credentials: Credentials): Promise<void> {
    const { succeeded, supplicant, server } = await knock(door, version, credentials);
    expect(succeeded, server).toBe(true);
    expect(server).toContain(`TLS-Session-Version = "TLS ${version}"`);
    expect(server).toContain(`TLS-Client-Cert-Common-Name := "${credentials.identity}"`);
    expect(server).toContain('Sent Access-Accept');
    // The keys for the air are the same on both sides.
    expect(supplicant).toContain('MPPE keys OK: 1  mismatch: 0');
  }

  /** As another process of the same CA, beside the service. */
  async function revoke(authority: KeyType, { certificate }: Credentials): Promise<void> {
    const context = connectContext(home.directory);
    const options = localCa.options.parse(optionsOf(authority, authority));
    await using ca = await localCa.connect(options, context, never);
    const [der = new Uint8Array()] = readCertificates(certificate);
    await ca.revoke?.(der, 'keyCompromise', never);
  }
});

function optionsOf(name: string, keyType: KeyType) {
  return { directory: `./${name}`, keyType, name: `${name} CA` };
}
