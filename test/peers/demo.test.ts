import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { findPebble, howToGetPebble } from '../../simulator/peers/pebble-server.ts';
import { howToGetScepServer, scepServerIsThere } from '../../simulator/peers/scep-server.ts';
import { requirePeer } from '../support/peer.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

/*
 * `npm run demo -- --kind …`, as people run it, with the real servers that it starts.
 */

const program = join(import.meta.dirname, '../../simulator/demo.ts');
const kinds = [
  {
    kind: 'scep',
    there: await requirePeer('micromdm’s scepserver', scepServerIsThere, howToGetScepServer),
    server: /^CA: micromdm’s scepserver on .* RSA keys only/m,
    user: /^user3@simulator\.example +CN=user3@simulator\.example,O=Example /m,
  },
  {
    kind: 'acme',
    there: await requirePeer('pebble', findPebble, howToGetPebble),
    server: /^CA: pebble on .* DNS names only/m,
    user: /^user3@simulator\.example +CN=user3\.users\.example /m,
  },
];

async function demo(directory: string, words: readonly string[], env = process.env) {
  const child = spawn(process.execPath, [program, ...words], {
    cwd: directory,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [stdout, stderr, [status]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ]);
  return { status, stdout, stderr };
}

describe('npm run demo', () => {
  for (const { kind, there, server, user } of kinds) {
    it.skipIf(!there)(`enrols everybody with --kind ${kind}`, async () => {
      await using directory = await temporaryDirectory();
      const words = ['--kind', kind, '--devices', '4', '--faults', '0'];
      const { status, stdout, stderr } = await demo(directory.path, words);
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(stdout).toMatch(server);
      expect(stdout).toMatch(/^who +subject +serial +not after +seconds$/m);
      expect(stdout).toMatch(user);
      expect(stdout).toContain('4 of 4 hold an accepted certificate');
      const kept = await readdir(join(directory.path, 'data/demo/certificates'));
      expect(kept).toHaveLength(4);
    });
  }

  it('says what to install when the server is not there', async () => {
    await using directory = await temporaryDirectory();
    const nothing = { PATH: directory.path };
    const { status, stdout, stderr } = await demo(directory.path, ['--kind', 'scep'], nothing);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toBe(
      `The demo with --kind scep needs micromdm’s scepserver: ${howToGetScepServer}.\n`,
    );
  });
});
