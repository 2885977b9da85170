import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const read = (file: string) => readFileSync(resolve(import.meta.dirname, '..', file), 'utf8');

describe('the package', () => {
  it('locks versions without download addresses', () => {
    expect(read('package-lock.json')).not.toContain('"resolved"');
  });

  it('pins every direct dependency exactly, and Node to its .node-version', () => {
    const { dependencies, optionalDependencies, devDependencies } = JSON.parse(
      read('package.json'),
    );
    const all = { ...dependencies, ...optionalDependencies, ...devDependencies };
    for (const [name, version] of Object.entries(all)) {
      expect(version, name).toMatch(/^\d+\.\d+\.\d+$/);
    }
    expect(devDependencies.node).toBe(read('.node-version').trim());
  });

  it('is an optional peer of the example, which then installs where there is only a tarball of it', () => {
    const { name, version } = JSON.parse(read('package.json'));
    const example = JSON.parse(read('examples/my-ca/package.json'));
    expect(example.peerDependencies).toEqual({ [name]: `>=${version}` });
    expect(example.peerDependenciesMeta).toEqual({ [name]: { optional: true } });
    expect(example.dependencies).toBeUndefined();
  });
});
