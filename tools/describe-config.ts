import { z } from 'zod';
import type { AdapterDefinition } from '../src/plug-in/certificate-authority.ts';
import { isRecord } from '../src/words/record.ts';

/*
 * Writes the reference part of docs/run/configuration.md from the schemas that check the configuration, so that
 * the two cannot differ. A test compares them; `npm test -- test/docs -u` writes the file anew.
 */

type Schema = z.core.JSONSchema.BaseSchema;

/** What stands between these lines of a document is generated. */
const markers = {
  begin: '<!-- generated: do not edit -->',
  end: '<!-- end of the generated part -->',
} as const;

/** The document with its generated part replaced. Throws when the markers are not there. */
export function replaceGenerated(document: string, generated: string): string {
  const begin = document.indexOf(markers.begin);
  const end = document.indexOf(markers.end);
  if (begin < 0 || end < begin) throw new Error('The document has no generated part.');
  return `${document.slice(0, begin)}${markers.begin}\n\n${generated}\n${document.slice(end)}`;
}

/** Markdown for every key of the configuration. */
export function describeConfig(schema: Schema): string {
  const sections: string[] = [];
  const plain: [string, Schema][] = [];
  for (const [name, section] of properties(schema)) {
    const entry = entryOf(section);
    if (entry !== undefined) {
      sections.push(describeGroup(`${name}.<reference>`, section, entry));
    } else if (section.properties !== undefined) {
      sections.push(describeGroup(name, section, section));
    } else {
      plain.push([name, section]);
    }
  }
  const heading = '### Keys at the top\n\n';
  return `${heading}${table(plain, schema.required)}\n${sections.join('\n')}`;
}

/** Markdown for the options of each kind of CA. What most kinds share is told once, in front. */
export function describeAdapters(definitions: readonly AdapterDefinition[]): string {
  const kinds = definitions.map(({ kind, options }) => {
    const schema = z.toJSONSchema(options, { io: 'input', unrepresentable: 'any' });
    return { kind, rows: flattened('', schema).map(rowOf) };
  });
  const seen = kinds.flatMap(({ rows }) => rows);
  const shared = [...new Set(seen)].filter(
    (row) => seen.filter((other) => other === row).length > kinds.length / 2,
  );
  const sections = kinds.map(({ kind, rows }) => {
    const has = shared.every((row) => rows.includes(row));
    const own = has ? rows.filter((row) => !shared.includes(row)) : rows;
    const more = has ? '\nAnd [`tls` and `proxy`](#tls-and-proxy).\n' : '';
    return `### Options of \`${kind}\`\n\n${tableHead}${own.join('')}${more}`;
  });
  const common = `### \`tls\` and \`proxy\`\n\nMost kinds reach their CA over HTTP and have these options.\n\n${tableHead}${shared.join('')}`;
  return [common, ...sections].join('\n');
}

function describeGroup(name: string, section: Schema, group: Schema): string {
  return `### \`${name}\`\n\n${section.description ?? ''}\n\n${table(flattened('', group), undefined)}`;
}

/** The keys of a group; those of groups inside it follow with their path. */
function flattened(prefix: string, group: Schema): [string, Schema][] {
  return properties(group).flatMap(([name, schema]): [string, Schema][] => {
    const path = `${prefix}${name}`;
    const required = group.required?.includes(name) === true;
    const row: [string, Schema] = [path, required ? { ...schema, isRequired: true } : schema];
    const items = asSchema(schema.items);
    if (items.properties !== undefined) return [row, ...flattened(`${path}[].`, items)];
    if (schema.properties !== undefined) return [row, ...flattened(`${path}.`, schema)];
    return [row];
  });
}

function table(rows: readonly [string, Schema][], required: readonly string[] | undefined): string {
  const lines = rows.map(([name, schema]) =>
    rowOf([name, required?.includes(name) === true ? { ...schema, isRequired: true } : schema]),
  );
  return `${tableHead}${lines.join('')}`;
}

const tableHead = '| key | value | default | meaning |\n| --- | --- | --- | --- |\n';

function rowOf([name, schema]: readonly [string, Schema]): string {
  const standard = schema['isRequired'] === true ? '**required**' : defaultOf(schema);
  return `| \`${name}\` | ${cell(typeOf(schema))} | ${cell(standard)} | ${cell(schema.description ?? '')} |\n`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

function defaultOf(schema: Schema): string {
  if (schema.default === undefined || schema.default === '') return '';
  if (schema.properties !== undefined) return 'see below';
  return `\`${typeof schema.default === 'string' ? schema.default : JSON.stringify(schema.default)}\``;
}

function typeOf(schema: Schema): string {
  const branches = [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].map(asSchema);
  if (schema['secret'] === true) return 'secret';
  if (branches.length > 0) return branches.map(typeOf).join(' or ');
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${value}\``).join(', ');
  if (schema.const !== undefined) return `\`${schema.const}\``;
  switch (schema.type) {
    case 'array':
      return `list of ${typeOf(asSchema(schema.items))}`;
    case 'object':
      return groupOf(schema);
    case 'number':
    case 'integer':
      return `${schema.type === 'integer' ? 'whole number' : 'number'}${rangeOf(schema)}`;
    case 'boolean':
      return '`true`, `false`';
    case 'string':
      return 'text';
    default:
      return 'anything';
  }
}

/** A group of one key is short enough to be shown. */
function groupOf(schema: Schema): string {
  const [key, ...others] = Object.keys(schema.properties ?? {});
  return key === undefined || others.length > 0 ? 'group' : `\`{ ${key}: … }\``;
}

function rangeOf(schema: Schema): string {
  const least =
    schema.exclusiveMinimum === undefined ? schema.minimum : `more than ${schema.exclusiveMinimum}`;
  const most = schema.maximum === Number.MAX_SAFE_INTEGER ? undefined : schema.maximum;
  if (least === undefined && most === undefined) return '';
  if (most === undefined) return ` from ${least}`;
  if (least === undefined) return ` up to ${most}`;
  return ` ${least} to ${most}`;
}

function properties(schema: Schema): [string, Schema][] {
  return Object.entries(schema.properties ?? {}).map(([name, inner]) => [name, asSchema(inner)]);
}

/** What stands under each name of a table such as `authorities`. */
function entryOf(schema: Schema): Schema | undefined {
  const entry = schema.additionalProperties;
  return typeof entry === 'object' && entry.properties !== undefined ? entry : undefined;
}

function asSchema(value: unknown): Schema {
  return isRecord(value) ? value : {};
}
