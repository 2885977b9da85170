import { execFileSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments, parse as parseYaml } from 'yaml';
import { adapters } from '../../adapters/index.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { adapterLoader } from '../../src/plug-in/adapter-loader.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { makeCa } from '../support/test-certificates.ts';

const root = resolve(import.meta.dirname, '../..');
const directory = join(root, 'deploy/kubernetes');

const databaseUrl = 'postgres://certprov@db.example/certprov?sslmode=verify-full';

// biome-ignore lint/suspicious/noExplicitAny: manifests have every shape
type Manifest = any;

const files = globSync('deploy/**/*.yaml', { cwd: root }).sort();
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const manifest = (name: string): Manifest => parseYaml(readFileSync(join(directory, name), 'utf8'));

describe('every YAML file under deploy/', () => {
  it.each(files)('%s parses', (file) => {
    for (const document of parseAllDocuments(read(file), { stringKeys: true })) {
      expect([...document.errors, ...document.warnings]).toEqual([]);
      expect(document.toJS()).toEqual(expect.any(Object));
    }
  });

  it('of manifests belongs to a kustomization', () => {
    const listed = ['.', 'keda', 'prometheus', 'own-ca'].flatMap((part) => {
      const { resources = [], configMapGenerator = [] } = manifest(`${part}/kustomization.yaml`);
      const generated = configMapGenerator.flatMap((one: Manifest) => one.files);
      return ['kustomization.yaml', ...resources, ...generated].map((name) => join(part, name));
    });
    const manifests = listed.filter((name) => name.endsWith('.yaml'));
    expect(globSync('**/*.yaml', { cwd: directory }).sort()).toEqual(manifests.sort());
  });
});

function dockerfile() {
  const text = read('Dockerfile');
  const list = (word: string): string[] =>
    JSON.parse(new RegExp(`^${word} (\\[.*\\])$`, 'm').exec(text)?.[1] ?? '[]');
  return {
    entrypoint: list('ENTRYPOINT'),
    cmd: list('CMD'),
    port: Number(/^EXPOSE (\d+)$/m.exec(text)?.[1]),
    healthPath: /127\.0\.0\.1:\d+(\/\w+)/.exec(text)?.[1],
    volume: /^VOLUME (\S+)$/m.exec(text)?.[1],
  };
}

describe('the deployment', () => {
  const deployment = manifest('deployment.yaml');
  const pod = deployment.spec.template.spec;
  const [container] = pod.containers;

  it('runs what the image runs', () => {
    const { entrypoint, cmd } = dockerfile();
    expect(container.command).toEqual(entrypoint);
    // Process 1 has to reap what commands leave behind.
    expect(entrypoint.slice(0, 3)).toEqual(['tini', '-s', '--']);
    expect(read('Dockerfile')).toMatch(/^RUN apt-get .*\btini\b/m);
    expect(container.args).toEqual(cmd);
    expect(container.args.at(-1)).toBe('/etc/certprov/config.yaml');
  });

  it('has a configuration that can be used, on the port that is probed', async () => {
    const config = await loadConfig(join(directory, 'config.yaml'), {
      loadAdapter: adapterLoader(adapters),
      env: { DATABASE_URL: databaseUrl },
    });
    expect(config.journal.kind).toBe('postgres');
    expect(config.server).toEqual({ host: '0.0.0.0', port: dockerfile().port });
    expect(container.ports).toEqual([{ name: 'http', containerPort: config.server.port }]);
    expect(container.env.map(({ name }: Manifest) => name)).toEqual(['DATABASE_URL']);
    const grace = pod.terminationGracePeriodSeconds;
    expect(grace).toBeGreaterThanOrEqual(config.limits.drainSeconds + 10);
  });

  it('is probed where the service answers', () => {
    const probe = (name: string) => container[`${name}Probe`].httpGet;
    expect(probe('startup')).toEqual({ path: '/livez', port: 'http' });
    expect(probe('liveness')).toEqual({ path: '/livez', port: 'http' });
    expect(probe('readiness')).toEqual({ path: '/readyz', port: 'http' });
    expect(dockerfile().healthPath).toBe('/livez');
    // Each path is one that the code knows.
    const code = read('src/telemetry/health.ts');
    for (const path of ['/livez', '/readyz', '/metrics']) expect(code).toContain(`'${path}'`);
  });

  it('has no rights that it does not need, and writes only where a volume is', () => {
    expect(pod.securityContext).toMatchObject({
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(pod.securityContext.runAsUser).toBeGreaterThan(0);
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(pod.automountServiceAccountToken).toBe(false);
    const mounts = container.volumeMounts.map(({ mountPath }: Manifest) => mountPath);
    expect(mounts).toEqual(['/etc/certprov', '/tmp', dockerfile().volume]);
  });

  it('is what everything else points at', () => {
    const { labels } = deployment.spec.template.metadata;
    expect(deployment.spec.selector.matchLabels).toEqual(labels);
    expect(manifest('pod-disruption-budget.yaml').spec.selector.matchLabels).toEqual(labels);
    expect(manifest('network-policy.yaml').spec.podSelector.matchLabels).toEqual(labels);
    const monitor = manifest('prometheus/pod-monitor.yaml').spec;
    expect(monitor.selector.matchLabels).toEqual(labels);
    expect(monitor.podMetricsEndpoints[0]).toMatchObject({ port: 'http', path: '/metrics' });
    const account = manifest('service-account.yaml').metadata;
    expect(pod.serviceAccountName).toBe(account.name);
    expect(Object.keys(account.annotations)).toEqual(['iam.gke.io/gcp-service-account']);
    const [scaled, authentication] = parseAllDocuments(
      read('deploy/kubernetes/keda/scaled-object.yaml'),
    ).map((document): Manifest => document.toJS());
    expect(scaled.spec.scaleTargetRef.name).toBe(deployment.metadata.name);
    expect(scaled.spec.triggers[0].authenticationRef.name).toBe(authentication.metadata.name);
    const { project, subscription } = manifest('config.yaml').pubsub;
    expect(scaled.spec.triggers[0].metadata.subscriptionName).toBe(
      `projects/${project}/subscriptions/${subscription}`,
    );
  });

  it('runs an image that is named by its digest, yours to fill in', () => {
    const [image] = manifest('kustomization.yaml').images;
    expect(image.name).toBe(container.image);
    expect(image.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(image.newTag).toBeUndefined();
    expect(read('Dockerfile')).toMatch(/^ARG NODE_IMAGE=node:24-slim\nFROM \$\{NODE_IMAGE\}$/m);
  });

  it('reaches a CA of one’s own, with its password, certificates and plug-in', async () => {
    const { configMapGenerator, patches } = manifest('own-ca/kustomization.yaml');
    const added = patches.flatMap(({ patch }: Manifest) => parseYaml(patch));
    const mounts: Manifest[] = added
      .filter(({ path }: Manifest) => path.endsWith('/volumeMounts/-'))
      .map(({ value }: Manifest) => value);
    expect(mounts.every(({ readOnly }) => readOnly)).toBe(true);
    // The same files where the mounts would have them, to let check-config read them.
    const home = await mkdtemp(join(tmpdir(), 'certprov-own-ca-'));
    try {
      const [plugIn] = configMapGenerator[0].files;
      await cp(join(root, 'examples/my-ca/my-ca.ts'), join(home, plugIn));
      await writeFile(join(home, 'password'), 'correct horse');
      await writeFile(join(home, 'root.pem'), encodePem('CERTIFICATE', (await makeCa()).der));
      const text = mounts.reduce(
        (moved, { mountPath }) => moved.replaceAll(mountPath, home),
        read('deploy/kubernetes/own-ca/config.yaml'),
      );
      expect(text).not.toMatch(/: \/(run|etc)\//);
      await writeFile(join(home, 'config.yaml'), text);
      const { authorities, server } = await loadConfig(join(home, 'config.yaml'), {
        loadAdapter: adapterLoader(adapters),
        env: { DATABASE_URL: databaseUrl },
      });
      expect(authorities.get('default_ca_config')?.definition.kind).toBe('my-ca');
      expect(server).toEqual({ host: '0.0.0.0', port: dockerfile().port });
    } finally {
      await rm(home, { recursive: true });
    }
    const policy = manifest('own-ca/network-policy.yaml').spec;
    expect(policy.podSelector).toEqual(manifest('network-policy.yaml').spec.podSelector);
    expect(policy.policyTypes).toEqual(['Egress']);
  });

  it('is built by kustomize, with all components', async ({ skip }) => {
    try {
      execFileSync('kubectl', ['version', '--client'], { stdio: 'pipe' });
    } catch {
      skip('kubectl is not on this machine');
    }
    const copy = await mkdtemp(join(tmpdir(), 'certprov-kustomize-'));
    try {
      await cp(directory, copy, { recursive: true });
      await cp(join(root, 'examples/my-ca/my-ca.ts'), join(copy, 'own-ca/my-ca.mts'));
      const file = join(copy, 'kustomization.yaml');
      const text = readFileSync(file, 'utf8').replace('# components:', 'components:');
      await writeFile(file, text);
      const built = execFileSync('kubectl', ['kustomize', copy], { encoding: 'utf8' });
      const manifests: Manifest[] = parseAllDocuments(built).map((document) => document.toJS());
      const kinds = manifests.map(({ kind }) => kind);
      expect(kinds).toEqual(expect.arrayContaining(['ConfigMap', 'PodMonitor', 'ScaledObject']));
      const scaled = manifests.find(({ kind }) => kind === 'Deployment');
      expect(scaled.spec.replicas).toBeUndefined();
      const { name } = manifests.find(({ data }) => data?.['config.yaml'] !== undefined).metadata;
      expect(name).toMatch(/^certprov-config-/);
      expect(scaled.spec.template.spec.volumes[0].configMap.name).toBe(name);
      const { volumes, containers } = scaled.spec.template.spec;
      const ca = volumes.find((volume: Manifest) => volume.name === 'ca');
      expect(ca.secret).toEqual({ secretName: 'certprov-ca', defaultMode: 0o440 });
      expect(containers[0].image).toMatch(/\/certprov@sha256:[0-9a-f]{64}$/);
      const policies = manifests.filter(({ kind }) => kind === 'NetworkPolicy');
      expect(policies.map(({ metadata }) => metadata.name).sort()).toEqual([
        'certprov',
        'certprov-ca',
      ]);
      const config = manifests.find(({ data }) => data?.['config.yaml'] !== undefined);
      expect(config?.data['config.yaml']).toContain('kind: /etc/certprov-plug-in/my-ca.mts');
    } finally {
      await rm(copy, { recursive: true });
    }
  });
});
