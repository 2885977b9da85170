import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { adapters } from '../../adapters/index.ts';
import type { Config } from '../../src/config/config.ts';
import { ConfigError, formatProblems } from '../../src/config/explain/problem.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { adapterLoader } from '../../src/plug-in/adapter-loader.ts';
import { type AdapterDefinition, defineAdapter } from '../../src/plug-in/certificate-authority.ts';
import { certificateFile } from '../../src/plug-in/pem-file.ts';
import { secretReference } from '../../src/plug-in/secret.ts';

const toy = defineAdapter({
  kind: 'toy',
  options: z.strictObject({
    url: z.url().describe('Where it is.'),
    caFile: certificateFile.optional().describe('Its CAs.'),
    password: secretReference.optional().describe('The password.'),
    accounts: z
      .array(z.strictObject({ token: secretReference.describe('Its token.') }))
      .default([])
      .describe('Accounts.'),
    settings: z.record(z.string(), z.string()).default({}).describe('Settings.'),
  }),
  connect: () => Promise.reject(new Error('not in this test')),
});

async function loadToy(kind: string): Promise<AdapterDefinition> {
  if (kind === 'toy') return toy;
  throw new Error(`kind ${kind} is not known.`);
}

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'certprov-config-'));
});

afterEach(() => rm(directory, { recursive: true }));

const base = {
  pubsub: 'pubsub: { project: my-project, subscription: worker }',
  authorities: 'authorities:\n  ca:\n    kind: toy\n    options: { url: "https://ca.example" }',
  profiles: 'profiles:\n  p: { subject: "CN=${DEVICE_SERIAL_NUMBER}" }',
};

/** A good file, with sections replaced or added; each begins at the start of a line. */
function file(sections: Readonly<Record<string, string>> = {}): string {
  return `${Object.values({ ...base, ...sections }).join('\n')}\n`;
}

async function load(text: string | Uint8Array, env: Record<string, string> = {}): Promise<Config> {
  const path = join(directory, 'config.yaml');
  await writeFile(path, text);
  return loadConfig(path, { loadAdapter: loadToy, env });
}

/** The problems as `line path: message. Fix: …`, without the file's directory. */
async function problems(text: string, env: Record<string, string> = {}): Promise<string[]> {
  try {
    await load(text, env);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return formatProblems(error)
      .replaceAll(join(directory, 'config.yaml:'), '')
      .replaceAll(directory, '.')
      .split('\n');
  }
}

describe('loadConfig', () => {
  it('loads the example at the root, against the simulator’s default ports', async () => {
    const path = resolve(import.meta.dirname, '../../config.yaml');
    const config = await loadConfig(path, { loadAdapter: adapterLoader(adapters), env: {} });
    expect(config.google).toEqual({
      endpoint: 'http://127.0.0.1:8460',
      credentials: 'none',
      requestsPerSecond: 50,
    });
    expect(config.pubsub).toEqual({
      project: 'simulator',
      subscription: 'certprov-worker',
      endpoint: '127.0.0.1:8461',
    });
    expect(config.authorities.get('default_ca_config')?.kind).toBe('local-ca');
    expect([...config.profiles.keys()]).toEqual(['device_profile', 'user_profile']);
    expect(config.journal).toMatchObject({ path: resolve(path, '../data/journal.db') });
  });

  it('fills in every default', async () => {
    const config = await load(file());
    expect(config).toMatchObject({
      file: join(directory, 'config.yaml'),
      directory,
      instance: hostname(),
      google: {
        endpoint: 'https://chromemanagement.googleapis.com',
        credentials: 'application-default',
        requestsPerSecond: 50,
      },
      pubsub: { project: 'my-project', subscription: 'worker' },
      journal: {
        kind: 'sqlite',
        path: join(directory, 'data/journal.db'),
        leaseSeconds: 30,
        retentionDays: 90,
      },
      scepProfiles: { extendedKeyUsages: ['1.3.6.1.5.5.7.3.2'], validityDays: 365 },
      unmatched: 'hold',
      limits: {
        visits: 200,
        signingHours: 24,
        issuingHours: 72,
        unmatchedHours: 24,
        rejectedDevices: 5,
        drainSeconds: 20,
      },
      server: { host: '127.0.0.1', port: 8470 },
      log: { level: 'info', subjects: true },
    });
    expect(config.authorities.get('ca')).toMatchObject({
      concurrency: 8,
      roots: [],
      mayDrop: [],
      mayAdd: [],
    });
    expect(config.profiles.get('p')).toEqual({
      subject: 'CN=${DEVICE_SERIAL_NUMBER}',
      subjectAltNames: [],
      keyUsages: ['digitalSignature'],
      extendedKeyUsages: ['1.3.6.1.5.5.7.3.2'],
      validityDays: 365,
    });
  });

  it('takes a section whose keys are all commented out as not written', async () => {
    const config = await load(file({ limits: 'limits:\n  # visits: 3', log: 'log:' }));
    expect(config.limits.visits).toBe(200);
  });

  it('takes a full subscription name, and the emulator from the environment', async () => {
    const text = file({ pubsub: 'pubsub: { subscription: projects/p-1/subscriptions/worker }' });
    const config = await load(text, { PUBSUB_EMULATOR_HOST: '127.0.0.1:8085' });
    expect(config.pubsub).toEqual({
      project: 'p-1',
      subscription: 'worker',
      endpoint: '127.0.0.1:8085',
    });
    const topic = text.replace('subscriptions', 'topics');
    expect(await problems(topic)).toEqual([
      expect.stringMatching(/subscription: must be a subscr/),
    ]);
  });

  it('reads the journal’s URL from where its reference points', async () => {
    const text = file({ journal: 'journal: { kind: postgres, url: { env: DATABASE_URL } }' });
    const url = 'postgres://u:p@db/x?sslmode=verify-full';
    const config = await load(text, { DATABASE_URL: url });
    expect(config.journal).toMatchObject({ kind: 'postgres', url });
  });

  it('is not confused by names that JavaScript knows', async () => {
    const config = await load(
      file({
        profiles: 'profiles:\n  constructor: { subject: CN=x }\n  toString: { subject: CN=y }',
      }),
    );
    expect(config.profiles.get('constructor')?.subject).toBe('CN=x');
    expect(config.profiles.get('hasOwnProperty')).toBeUndefined();
  });
});

describe('ConfigError', () => {
  it('has every problem at once, in the file’s order, each with line, path and fix', async () => {
    const found = await problems(
      [
        'googel: { endpoint: "https://x.example" }', // 1
        'pubsub: { project: my-project }', // 2
        'journal: { kind: postgre }', // 3
        'authorities:', // 4
        '  ca: { kind: nothing, concurency: 3, roots: [none.pem] }', // 5
        '  other: { kind: toy, options: { url: 7, password: hunter2-secret } }', // 6
        'profiles:', // 7
        '  p: { subject: "CN=${DEVICE_SERIAL}", extendedKeyUsages: [clientAut] }', // 8
        '  q: {}', // 9
        'limits: { visits: "3", drainSeconds: -1 }', // 10
        'unmatched: ignored', // 11
        'unmatched: refuse', // 12
      ].join('\n'),
    );
    expect(found.map((line) => line.replace(/^(\d+):\d+ ([^:]+):.*$/, '$1 $2'))).toEqual([
      '1 googel',
      '2 pubsub.subscription',
      '3 journal.kind',
      '5 authorities.ca.kind',
      '5 authorities.ca.concurency',
      '5 authorities.ca.roots[0]',
      '6 authorities.other.options.url',
      '6 authorities.other.options.password',
      '8 profiles.p.subject',
      '8 profiles.p.extendedKeyUsages[0]',
      '9 profiles.q',
      '10 limits.visits',
      '10 limits.drainSeconds',
      '12 unmatched',
    ]);
    for (const line of found) expect(line).toMatch(/^\d+:\d+ \S+: .+[.!?] Fix: .+[.!?]$/);
    expect(found.join('\n')).not.toContain('hunter2');
  });

  it('looks at what is right in a group in which something is wrong', async () => {
    const text = file({
      google: 'google: { endpoint: "http://u@x.example", credentials: none, requestsPerSecond: x }',
      pubsub: 'pubsub: { subscription: worker, endpoint: 7 }',
      journal: 'journal: { kind: postgres, path: x, url: { env: NOT_SET }, leaseSeconds: 1 }',
      profiles: 'profiles: { p: { sid: { file: none.csv, key: email, form: x }, keyUsages: [] } }',
    });
    const found = await problems(text);
    expect(
      found.map((line) => line.replace(/^\d+:\d+ ([^:]+): (\S+ \S+ \S+).*$/, '$1 $2')),
    ).toEqual([
      'pubsub.project is missing. Fix:',
      'pubsub.endpoint must be text,',
      'profiles.p has neither a',
      'profiles.p.sid.file The file of',
      'profiles.p.sid.form must be one',
      'profiles.p.keyUsages must have at',
      'google.endpoint must not hold',
      'google.endpoint plain http would',
      'google.credentials none is allowed',
      'google.requestsPerSecond must be a',
      'journal.path is not used',
      'journal.url the environment variable',
      'journal.leaseSeconds must be at',
    ]);
  });

  it.each([
    ['authorities', '__proto__', /authorities\.__proto__: cannot be used as a name/],
    ['profiles', '__proto__', /profiles\.__proto__: cannot be used as a name/],
    ['profiles', '""', /profiles\[""\]: must not be empty/],
    ['profiles', '"a\\tb"', /must not hold control characters/],
  ])(
    'passes over no reference under %s that it cannot take: %s',
    async (section, name, problem) => {
      const entry = section === 'profiles' ? '{ subject: CN=x }' : '{ kind: toy }';
      const found = await problems(file({ [section]: `${section}:\n  ${name}: ${entry}` }));
      expect(found.join('\n')).toMatch(problem);
    },
  );

  it('proposes the nearest known key', async () => {
    expect(await problems(file({ extra: 'sever: { port: 1 }' }))).toEqual([
      expect.stringMatching(/^8:1 sever: is not a known key\. Fix: write server/),
    ]);
  });

  it('reads what an authority may add, by name or number', async () => {
    const withList = (list: string) =>
      file({ authorities: `${base.authorities}\n    mayAdd: ${list}` });
    const config = await load(withList('[codeSigning, 1.2.3.4, sha1Signature]'));
    const { mayAdd } = config.authorities.get('ca') ?? {};
    expect(mayAdd).toEqual(['1.3.6.1.5.5.7.3.3', '1.2.3.4', 'sha1Signature']);
    expect(await problems(withList('[sha1]'))).toEqual([
      expect.stringMatching(/ca\.mayAdd\[0\]: .*Fix: write sha1Signature/),
    ]);
  });

  it('says where a key belongs that stands in the wrong section', async () => {
    expect(await problems(file({ extra: 'signingHours: 3' }))).toEqual([
      expect.stringContaining('move it: this key stands under limits'),
    ]);
  });

  it('takes a map for what it is, also where a word was to stand and a key is called toString', async () => {
    for (const level of ['{ toString: 0 }', '[{ toString: 0 }]']) {
      expect(await problems(file({ log: `log: { level: ${level} }` }))).toEqual([
        expect.stringMatching(/log\.level: must be one of .*Fix: write one of them\./),
      ]);
    }
  });

  it('proposes the nearest value', async () => {
    expect(await problems(file({ log: 'log: { level: debgu }' }))).toEqual([
      expect.stringMatching(/log\.level: must be one of .*Fix: write debug\.$/),
    ]);
  });

  it.each([
    ['a password', 'password: TOPSECRET'],
    ['a number', 'password: 123456'],
    ['another shape', 'password: { value: TOPSECRET }'],
  ])('refuses %s in place of a secret’s reference, without repeating it', async (_what, option) => {
    const authorities = `authorities:\n  ca: { kind: toy, options: { url: "https://x.example", ${option} } }`;
    const found = await problems(file({ authorities }));
    expect(found).toEqual([
      expect.stringMatching(/options\.password: a secret.* Fix: .*env: NAME/),
    ]);
    expect(found[0]).not.toMatch(/TOPSECRET|123456/);
  });

  it('says which secrets are not there, and reads nothing into other options', async () => {
    const authorities = [
      'authorities:',
      '  ca:',
      '    kind: toy',
      '    options:',
      '      url: https://x.example',
      '      password: { env: NOT_SET }',
      '      accounts: [{ token: { file: ./token } }]',
      '      settings: { env: NOT_A_SECRET }',
    ].join('\n');
    expect(await problems(file({ authorities }))).toEqual([
      expect.stringMatching(/^7:7 authorities\.ca\.options\.password: .*NOT_SET is not set/),
      expect.stringMatching(
        /^8:20 authorities\.ca\.options\.accounts\[0\]\.token: .*\.\/token cannot be read/,
      ),
    ]);
    await writeFile(join(directory, 'token'), 'abc\n');
    expect(await problems(file({ authorities }), { NOT_SET: 'x' })).toEqual([]);
  });

  it('refuses a password inside the journal’s URL, and never shows it', async () => {
    const journal = 'journal: { kind: postgres, url: "postgres://u:hunter2@db/x" }';
    const found = await problems(file({ journal }));
    expect(found).toEqual([expect.stringMatching(/journal\.url: a password is never/)]);
    expect(found[0]).not.toContain('hunter2');
  });

  it('refuses to send tokens in the clear, and no credentials outside loopback', async () => {
    const google = 'google: { endpoint: "http://proxy.example", credentials: none }';
    expect(await problems(file({ google }))).toEqual([
      expect.stringMatching(/google\.endpoint: plain http/),
      expect.stringMatching(/google\.credentials: none is allowed only/),
    ]);
    expect(
      await problems(file({ google: google.replace('proxy.example', '127.0.0.1:1') })),
    ).toEqual([]);
  });

  it('looks whether the credentials file is one, without showing what is in it', async () => {
    const google = 'google: { credentials: { file: key.json } }';
    expect(await problems(file({ google }))).toEqual([expect.stringContaining('cannot be read')]);
    await writeFile(join(directory, 'key.json'), '{"private_key": "TOPSECRET"');
    const found = await problems(file({ google }));
    expect(found).toEqual([expect.stringContaining('neither a service-account key')]);
    expect(found[0]).not.toContain('TOPSECRET');
    await writeFile(join(directory, 'key.json'), '{"type": "service_account"}');
    expect(await problems(file({ google }))).toEqual([]);
  });

  it('means adcs by acds', async () => {
    await writeFile(join(directory, 'c.yaml'), file().replace('kind: toy', 'kind: acds'));
    const loadAdapter = adapterLoader(adapters);
    const loading = loadConfig(join(directory, 'c.yaml'), { loadAdapter, env: {} });
    await expect(loading).rejects.toThrow(/kind acds is not known\. Did you mean adcs\?/);
  });

  it('takes for roots what local-ca will make at its first start, and nothing else', async () => {
    const text = file().replace(
      /kind: toy.*\n.*/,
      'kind: local-ca\n    roots: [data/local-ca/root.pem]',
    );
    const loadAdapter = adapterLoader(adapters);
    await writeFile(join(directory, 'c.yaml'), text);
    const { authorities } = await loadConfig(join(directory, 'c.yaml'), { loadAdapter, env: {} });
    const lateRootFiles = [join(directory, 'data/local-ca/root.pem')];
    expect(authorities.get('ca')).toMatchObject({ roots: [], lateRootFiles });
    await writeFile(join(directory, 'c.yaml'), text.replace('root.pem', 'rot.pem'));
    const loading = loadConfig(join(directory, 'c.yaml'), { loadAdapter, env: {} });
    await expect(loading).rejects.toThrow(/no root certificate could be read from .*rot\.pem/);
  });

  it('finds a template that no authority has a use for', async () => {
    const profiles = 'profiles:\n  p:\n    subject: CN=x\n    template: Wi-Fi';
    const loadAdapter = adapterLoader(adapters);
    const problem = async (authorities: string) => {
      await writeFile(join(directory, 'c.yaml'), file({ profiles, authorities }));
      const path = join(directory, 'c.yaml');
      return loadConfig(path, { loadAdapter, env: {} }).catch((error: Error) => error.message);
    };
    const local = 'authorities:\n  a: { kind: local-ca }';
    const cfssl = '  b: { kind: cfssl, options: { url: "http://127.0.0.1:8888" } }';
    expect(await problem(local)).toMatch(
      /profiles\.p\.template: is for a CA that chooses by one, and none here does \(local-ca\)\. Fix: remove it/,
    );
    expect(await problem(`${local}\n${cfssl}`)).toMatchObject({ directory });
    expect(await problem(`${local}\n  b: { kind: cfssl }`)).not.toContain('template');
  });

  it('finds a profile that no authority can certify', async () => {
    const path = join(directory, 'c.yaml');
    const problem = async (profiles: string, authorities: string) => {
      await writeFile(path, file({ profiles: `profiles:\n  p: ${profiles}`, authorities }));
      const loading = loadConfig(path, { loadAdapter: adapterLoader(adapters), env: {} });
      return loading.catch((error: Error) => error.message);
    };
    const acme =
      'authorities:\n  a: { kind: acme, options: { directoryUrl: "https://ca.example.org/", termsOfServiceAgreed: true } }';
    const nameless = '{ subject: "CN=${DEVICE_SERIAL_NUMBER}" }';
    const named = '{ subject: CN=x, subjectAltNames: [{ type: dns, value: a.example.org }] }';
    expect(await problem(nameless, acme)).toMatch(
      /profiles\.p: cannot be certified: acme certifies DNS names and nothing else, and this profile has none\. Fix: add a name/,
    );
    expect(await problem(nameless, `${acme}\n  b: { kind: local-ca }`)).toMatchObject({
      directory,
    });
    expect(await problem(named, acme)).toMatchObject({ directory });
  });

  it('refuses a roots file without a certificate', async () => {
    await writeFile(join(directory, 'empty.pem'), 'nothing\n');
    const authorities = `${base.authorities}\n    roots: [empty.pem]`;
    expect(await problems(file({ authorities }))).toEqual([
      expect.stringMatching(/authorities\.ca\.roots\[0\]: no root certificate .*\.\/empty\.pem/),
    ]);
  });

  it('reads the files of certificates that options name: .p7b is one, UTF-16 and nothing are not', async () => {
    const found = (name: string) =>
      problems(
        file({
          authorities: `authorities: { ca: { kind: toy, options: { url: "https://x.example", caFile: ${name} } } }`,
        }),
      );
    const fixtures = fileURLToPath(new URL('../fixtures/pem/', import.meta.url));
    expect(await found(`${fixtures}ca.p7b`)).toEqual([]);
    expect(await found(`${fixtures}ca-utf16.pem`)).toEqual([
      expect.stringMatching(/authorities\.ca\.options\.caFile: .*is UTF-16, as PowerShell/),
    ]);
    expect(await found('none.pem')).toEqual([expect.stringMatching(/caFile: .*ENOENT/)]);
  });

  it('demands that a database on another machine shows who it is, unless that is allowed', async () => {
    const found = (url: string, more = '') =>
      problems(file({ journal: `journal: { kind: postgres, url: { env: DB }${more} }` }), {
        DB: url,
      });
    const unsure = 'postgres://u:TOPSECRET@db.example/x';
    expect(await found(unsure)).toEqual([
      expect.stringMatching(/journal\.url: speaks to db\.example without TLS.*sslmode=verify-full/),
    ]);
    expect(await found(`${unsure}?sslmode=require`)).toEqual([
      expect.stringMatching(/journal\.url: .*sslmode=require without sslrootcert.*as in libpq/),
    ]);
    expect(await found(unsure, ', allowUnverifiedServer: true')).toEqual([]);
    expect(await found(`${unsure}?sslmode=verify-full`)).toEqual([]);
    expect(await found(`${unsure}?sslmode=verify-full&sslrootcert=/none.pem`)).toEqual([
      expect.stringMatching(/journal\.url: sslrootcert \/none\.pem cannot be used/),
    ]);
    expect(await found('postgres://u:p@/x?host=/cloudsql/a:b:c')).toEqual([]);
    expect(await found('postgres://u:p@127.0.0.1/x')).toEqual([]);
    expect((await found('postgres//TOPSECRET')).join()).not.toContain('TOPSECRET');
    const sqlite = 'journal: { kind: sqlite, allowUnverifiedServer: true }';
    expect(await problems(file({ journal: sqlite }))).toEqual([
      expect.stringMatching(/allowUnverifiedServer: is not used by kind sqlite/),
    ]);
  });

  it('looks into the file of SIDs that a profile names', async () => {
    const profiles = 'profiles: { p: { subject: CN=x, sid: { file: sids.csv, key: email } } }';
    const found = () => problems(file({ profiles }));
    expect(await found()).toEqual([expect.stringMatching(/profiles\.p\.sid\.file: .*ENOENT/)]);
    await writeFile(join(directory, 'sids.csv'), 'a@example.org,S-1-5-21-1\nb@example.org\n');
    expect(await found()).toEqual([expect.stringMatching(/sids\.csv cannot be used: line 2 is/)]);
    await writeFile(join(directory, 'sids.csv'), 'a@example.org,S-1-5-21-1\n');
    expect(await found()).toEqual([]);
  });

  it('names keys that the chosen journal does not use', async () => {
    const journal = 'journal: { kind: memory, path: x.db }';
    expect(await problems(file({ journal }))).toEqual([
      expect.stringMatching(/journal\.path: is not used by kind memory/),
    ]);
    expect(await problems(file({ journal: 'journal: { kind: postgres }' }))).toEqual([
      expect.stringMatching(/journal\.url: is missing/),
    ]);
  });

  it('wants one project, from one place', async () => {
    expect(await problems(file({ pubsub: 'pubsub: { subscription: worker }' }))).toEqual([
      expect.stringMatching(/pubsub\.project: is missing/),
    ]);
    const two = 'pubsub: { project: other, subscription: projects/p-1/subscriptions/worker }';
    expect(await problems(file({ pubsub: two }))).toEqual([
      expect.stringMatching(/pubsub\.project: is another project/),
    ]);
  });

  it('reports a key that stands twice, and goes on', async () => {
    const found = await problems(file({ extra: 'log: {}\nlog: { level: x }' }));
    expect(found).toEqual([
      expect.stringMatching(/^9:1 log: the key "log" stands twice/),
      expect.stringMatching(/^9:8 log\.level: must be one of/),
    ]);
  });

  it.each([
    ['a tab', 'a:\n\tb: 1\n', /tabs/],
    ['an open quote', 'a: "TOPSECRET\nb: 1\n', /cannot be read/],
    ['nothing', '', /is empty/],
    ['only comments', '# nothing\n', /is empty/],
    ['a list', '- a\n', /must be a group of keys, but is a list/],
    ['two documents', 'a: 1\n---\nb: 1\n', /more than one YAML document/],
    ['a tag', 'log: !x { level: info }\n', /tags/],
    ['an alias without an anchor', 'log: *x\n', /no anchor/],
    [
      'a bomb of aliases',
      `${'a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n'}d: [*c,*c,*c,*c,*c,*c,*c]\n`,
      /aliases cannot be resolved/,
    ],
    ['a file too large', `# ${'x'.repeat(300_000)}\n`, /larger than 256 KiB/],
  ])('says what is wrong with %s', async (_what, text, message) => {
    const found = await problems(text);
    expect(found.join('\n')).toMatch(message);
    expect(found.join('\n')).not.toContain('TOPSECRET');
  });

  it('believes nothing below a line that YAML cannot read', async () => {
    const found = await problems('logg: {}\npubsub: "x\nauthorities: [\n');
    expect(found).toEqual([
      expect.stringMatching(/^1:1 logg: /),
      expect.stringMatching(/cannot be read/),
    ]);
  });

  it('says so when the file is not there', async () => {
    const path = join(directory, 'none.yaml');
    const loading = loadConfig(path, { loadAdapter: loadToy, env: {} });
    await expect(loading).rejects.toThrow(/none\.yaml:1:1 the file cannot be read .* Fix: /);
  });

  it('survives bytes that are not UTF-8', async () => {
    await expect(load(new Uint8Array([0x61, 0xff, 0xfe]))).rejects.toThrow(ConfigError);
  });

  it('tells an adapter’s own fault from the file’s', async () => {
    const broken = defineAdapter({
      kind: 'broken',
      options: z.unknown().refine(() => {
        throw new Error('a slip in the plug-in');
      }),
      connect: () => Promise.reject(new Error('not in this test')),
    });
    const path = join(directory, 'config.yaml');
    await writeFile(path, file());
    const loading = loadConfig(path, { loadAdapter: async () => broken, env: {} });
    await expect(loading).rejects.toThrow(/authorities\.ca\.options: .*a slip in the plug-in/);
  });
});
