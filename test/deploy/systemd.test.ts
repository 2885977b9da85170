import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { adapters } from '../../adapters/index.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { adapterLoader } from '../../src/plug-in/adapter-loader.ts';

const directory = resolve(import.meta.dirname, '../../deploy/systemd');

/** The unit's settings; a key that stands several times has several values. */
function settings(): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const line of readFileSync(join(directory, 'certprov.service'), 'utf8').split('\n')) {
    if (line === '' || /^[#[]/.test(line)) continue;
    const at = line.indexOf('=');
    expect(at, line).toBeGreaterThan(0);
    const key = line.slice(0, at);
    found.set(key, [...(found.get(key) ?? []), line.slice(at + 1)]);
  }
  return found;
}

const load = () =>
  loadConfig(join(directory, 'config.yaml'), { loadAdapter: adapterLoader(adapters), env: {} });

it('the unit’s configuration can be used, and writes only to its state directory', async () => {
  const { journal, authorities, google } = await load();
  const state = `/var/lib/${settings().get('StateDirectory')?.[0]}/`;
  expect(journal).toMatchObject({ kind: 'sqlite', path: `${state}journal.db` });
  expect(authorities.get('default_ca_config')?.options).toMatchObject({ directory: `${state}ca` });
  // The unit hands the key over as the library's own variable.
  expect(google.credentials).toBe('application-default');
  expect(settings().get('Environment')).toContain('GOOGLE_APPLICATION_CREDENTIALS=%d/google.json');
});

it('the unit starts the service and leaves it the time to drain', async () => {
  const unit = settings();
  expect(unit.get('ExecStart')).toEqual([
    '/opt/certprov/node_modules/.bin/node src/main.ts serve --config /etc/certprov/config.yaml',
  ]);
  const { limits } = await load();
  const patience = Number(unit.get('TimeoutStopSec')?.[0]);
  expect(patience).toBeGreaterThanOrEqual(limits.drainSeconds + 10);
  expect(unit.get('RestartPreventExitStatus')).toEqual(['2']);
});

it.each([
  ['DynamicUser', 'yes'],
  ['NoNewPrivileges', 'yes'],
  ['ProtectSystem', 'strict'],
  ['ProtectHome', 'yes'],
  ['PrivateTmp', 'yes'],
  ['PrivateDevices', 'yes'],
  ['CapabilityBoundingSet', ''],
  ['UMask', '0077'],
])('the unit is locked in: %s=%s', (key, value) => {
  expect(settings().get(key)).toEqual([value]);
});

it('the unit lets V8 compile', () => {
  expect(settings().has('MemoryDenyWriteExecute')).toBe(false);
});
