import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Simulator } from '../../simulator/outside-world.ts';
import {
  howToGetScepServer,
  type ScepServer,
  scepServerIsThere,
  startScepServer,
} from '../../simulator/peers/scep-server.ts';
import { startSimulator } from '../../simulator/simulator.ts';
import { requirePeer } from '../support/peer.ts';
import { ServiceHome, until } from '../support/service-process.ts';

const there = await requirePeer('micromdm’s scepserver', scepServerIsThere, howToGetScepServer);

describe.skipIf(!there)(
  'a wrong challenge, against a real SCEP server',
  { timeout: 240_000 },
  () => {
    let server: ScepServer;
    let simulator: Simulator;
    let home: ServiceHome;
    beforeAll(async () => {
      server = await startScepServer();
      simulator = await startSimulator({ faults: 0, distinctKeys: { rsa: 4, ec: 1 } });
      home = await ServiceHome.make(simulator);
    }, 60_000);
    afterAll(async () => {
      await home[Symbol.asyncDispose]();
      await simulator[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    });

    it('refuses nobody of 50, is red within a minute, and delivers once it is corrected', async () => {
      const start = (challenge: string) =>
        home.start(
          {
            authorities: {
              default_ca_config: {
                kind: 'scep',
                options: {
                  url: server.url,
                  caFingerprints: [new X509Certificate(server.ca).fingerprint256],
                  challenge: { env: 'CHALLENGE' },
                },
              },
            },
          },
          { CHALLENGE: challenge },
        );
      const wrong = await start('mistyped');
      await wrong.running();
      const added = await simulator.addDevices({ key: 'rsa', count: 50 });
      const ids = added.map(({ id }) => id);
      await until(
        async () => /every order is rejected: /.test((await wrong.fetch('/readyz')).text),
        () => 'not ready',
        60_000,
      );
      expect((await wrong.fetch('/readyz')).status).toBe(503);
      expect(await wrong.metric('certprov_authority_up')).toBe(0);
      const states = () => ids.map((id) => simulator.process(id));
      const refused = () => states().filter((each) => each?.failureMessage !== undefined).length;
      const delivered = () => states().filter((each) => each?.certificatePem !== undefined).length;
      expect(refused()).toBe(0);
      // The challenge stands in what a device signs, and it signs once: those that have are spoilt.
      const spoilt = states().filter((each) => (each?.calls.signData ?? 0) > 0).length;
      expect(spoilt).toBeLessThanOrEqual(3);
      await wrong.kill('SIGTERM');
      const right = await start(server.challenge);
      await until(
        () => delivered() === ids.length - spoilt,
        () => `delivered: ${delivered()}`,
        100_000,
      );
      expect(refused()).toBeLessThanOrEqual(spoilt);
      expect(right.hasEnded).toBe(false);
    });
  },
);
