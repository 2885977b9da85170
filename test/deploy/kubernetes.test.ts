import { execFileSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments, parse as parseYaml } from 'yaml';
import { adapters } from '../../adapters/index.ts';
import { loadConfig } from '../../src/config.ts';
import { adapterLoader } from '../../src/issue/adapter-loader.ts';

const root = resolve(import.meta.dirname, '../..');
const directory = join(root, 'deploy/kubernetes');

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
    const listed = ['.', 'keda', 'prometheus'].flatMap((part) => {
      const { resources = [], configMapGenerator = [] } = manifest(`${part}/kustomization.yaml`);
      const generated = configMapGenerator.flatMap((one: Manifest) => one.files);
      return ['kustomization.yaml', ...resources, ...generated].map((name) => join(part, name));
    });
    expect(globSync('**/*.yaml', { cwd: directory }).sort()).toEqual(listed.sort());
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
    expect(container.args).toEqual(cmd);
    expect(container.args.at(-1)).toBe('/etc/certprov/config.yaml');
  });

  it('has a configuration that can be used, on the port that is probed', async () => {
    const config = await loadConfig(join(directory, 'config.yaml'), {
      loadAdapter: adapterLoader(adapters),
      env: { DATABASE_URL: 'postgres://certprov@db.example/certprov' },
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

  it('is built by kustomize, with both components', async ({ skip }) => {
    try {
      execFileSync('kubectl', ['version', '--client'], { stdio: 'pipe' });
    } catch {
      skip('kubectl is not on this machine');
    }
    const copy = await mkdtemp(join(tmpdir(), 'certprov-kustomize-'));
    try {
      await cp(directory, copy, { recursive: true });
      const file = join(copy, 'kustomization.yaml');
      const text = readFileSync(file, 'utf8').replace('# components:', 'components:');
      await writeFile(file, text);
      const built = execFileSync('kubectl', ['kustomize', copy], { encoding: 'utf8' });
      const manifests: Manifest[] = parseAllDocuments(built).map((document) => document.toJS());
      const kinds = manifests.map(({ kind }) => kind);
      expect(kinds).toEqual(expect.arrayContaining(['ConfigMap', 'PodMonitor', 'ScaledObject']));
      const scaled = manifests.find(({ kind }) => kind === 'Deployment');
      expect(scaled.spec.replicas).toBeUndefined();
      const { name } = manifests.find(({ kind }) => kind === 'ConfigMap').metadata;
      expect(name).toMatch(/^certprov-config-/);
      expect(scaled.spec.template.spec.volumes[0].configMap.name).toBe(name);
    } finally {
      await rm(copy, { recursive: true });
    }
  });
});
