import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { adapters } from '../../adapters/index.ts';
import { configJsonSchema } from '../../src/config/schema/config-schema.ts';
import type { AdapterDefinition } from '../../src/plug-in/certificate-authority.ts';
import { describeAdapters, describeConfig, replaceGenerated } from '../../tools/describe-config.ts';

const file = `${import.meta.dirname}/../../docs/run/configuration.md`;

async function definitions(): Promise<AdapterDefinition[]> {
  const modules = await Promise.all(Object.values(adapters).map((load) => load()));
  return modules.map((module): AdapterDefinition => module.default);
}

describe('docs/run/configuration.md', () => {
  it('is what the schemas say (npm test -- test/docs -u writes it anew)', async () => {
    const generated = `${describeConfig(configJsonSchema())}\n${describeAdapters(await definitions())}`;
    const written = readFileSync(file, 'utf8');
    await expect(replaceGenerated(written, generated)).toMatchFileSnapshot(file);
  });

  it('finds every key described', () => {
    const undescribed: string[] = [];
    visit(configJsonSchema(), '');
    expect(undescribed).toEqual([]);

    function visit(schema: unknown, path: string): void {
      if (typeof schema !== 'object' || schema === null) return;
      for (const [name, inner] of Object.entries(parseable(schema).properties ?? {})) {
        if (parseable(inner).description === undefined) undescribed.push(`${path}${name}`);
        visit(inner, `${path}${name}.`);
      }
      visit(parseable(schema).items, `${path}[].`);
      visit(parseable(schema).additionalProperties, `${path}*.`);
    }
  });
});

interface Parseable {
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly items?: unknown;
  readonly additionalProperties?: unknown;
  readonly description?: string;
}

function parseable(schema: unknown): Parseable {
  return typeof schema === 'object' && schema !== null ? schema : {};
}

describe('config.yaml', () => {
  const text = readFileSync(`${import.meta.dirname}/../../config.yaml`, 'utf8');

  it('shows every key, written or in a comment', () => {
    const missing: string[] = [];
    for (const [section, schema] of Object.entries(
      parseable(configJsonSchema()).properties ?? {},
    )) {
      const group = parseable(schema);
      const entry = parseable(group.additionalProperties);
      const keys = Object.keys(group.properties ?? entry.properties ?? {});
      for (const key of [section, ...keys]) {
        if (!new RegExp(`^[ #]*${key}:`, 'm').test(text)) missing.push(`${section}.${key}`);
      }
    }
    expect(missing).toEqual([]);
  });

  it('is still good YAML when the commented keys with values are switched on', () => {
    const sections = ['scepProfiles', 'limits', 'server', 'log', 'unmatched'];
    const switchedOn = text.replace(/^# ((?:\w+:| {2}\w+:).*)$/gm, (line, content: string) =>
      sections.some((section) => content.startsWith(section)) || content.startsWith('  ')
        ? content
        : line,
    );
    expect(Object.keys(parse(switchedOn))).toEqual(expect.arrayContaining(sections));
  });
});
