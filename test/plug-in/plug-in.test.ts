import { X509Certificate } from 'node:crypto';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FakeCa } from '../../examples/my-ca/fake-ca.ts';
import { startSimulator } from '../../simulator/simulator.ts';
import { ServiceHome } from '../support/service-process.ts';

/*
 * The example's plug-in in the service as it runs: beside the configuration, and as a package installed there.
 */

const example = join(import.meta.dirname, '../../examples/my-ca');

/** As its author's build makes it: Node runs no TypeScript below node_modules. */
async function installPackage(directory: string): Promise<void> {
  const own = join(directory, 'node_modules/certprov-my-ca');
  await mkdir(join(own, 'dist'), { recursive: true });
  await cp(join(example, 'package.json'), join(own, 'package.json'));
  const source = await readFile(join(example, 'my-ca.ts'), 'utf8');
  await writeFile(join(own, 'dist/my-ca.js'), stripTypeScriptTypes(source));
}

/** A copy that a package manager may have put beside the plug-in: its errors would not be the service's. */
async function installOtherCopy(directory: string): Promise<void> {
  const own = join(directory, 'node_modules/certprov');
  await mkdir(own, { recursive: true });
  await writeFile(join(own, 'package.json'), '{ "type": "module", "exports": "./copy.js" }');
  await writeFile(join(own, 'copy.js'), `throw new Error('This is another copy.');`);
}

describe('the service with a plug-in from outside', { timeout: 90_000 }, () => {
  it('delivers a certificate from each, loaded by path and as a package', async () => {
    await using ca = await FakeCa.start();
    await using simulator = await startSimulator({ faults: 0, distinctKeys: { rsa: 1, ec: 2 } });
    await using home = await ServiceHome.make(simulator);
    await cp(join(example, 'my-ca.ts'), join(home.directory, 'my-ca.ts'));
    await installPackage(home.directory);
    await installOtherCopy(home.directory);
    await writeFile(join(home.directory, 'root.pem'), new X509Certificate(ca.root).toString());
    const options = { url: ca.url, token: { env: 'MY_CA_TOKEN' } };
    const authorities = {
      by_path: { kind: './my-ca.ts', options, roots: ['root.pem'] },
      as_package: { kind: 'certprov-my-ca', options, roots: ['root.pem'] },
    };
    const service = await home.start({ authorities }, { MY_CA_TOKEN: ca.token });
    for (const caConnection of Object.keys(authorities)) {
      await simulator.addDevices({ key: 'ec', subject: 'user', caConnection });
    }
    const processes = simulator.processes();
    await simulator.settled(
      processes.map(({ id }) => id),
      { timeoutMs: 60_000 },
    );

    for (const { certificatePem, device, state } of simulator.processes()) {
      expect({ device, state }).toEqual({ device: { accepted: true }, state: 'delivered' });
      const root = new X509Certificate(ca.root);
      expect(new X509Certificate(certificatePem ?? '').verify(root.publicKey)).toBe(true);
    }
    expect(ca.issued).toBe(2);
    const { status, stdout, stderr } = await service.kill('SIGTERM');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).not.toContain(ca.token);
  });
});
