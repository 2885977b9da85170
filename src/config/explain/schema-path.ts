import type { z } from 'zod';
import { isRecord } from '../../words/record.ts';
import type { Path } from './document.ts';

/** JSON Schema as zod writes it: where the keys, descriptions and marks of a path are looked up. */
export type Schema = z.core.JSONSchema.BaseSchema;

/** The section in which `key` would be known, searched one level below the root. */
export function findKey(root: Schema, key: string): readonly string[] | undefined {
  for (const [section, schema] of Object.entries(root.properties ?? {})) {
    if (hasKey(schema, key)) return [section];
    if (hasKey(asSchema(schema).additionalProperties, key)) return [section, '<name>'];
  }
  return undefined;
}

function hasKey(schema: unknown, key: string): boolean {
  return Object.hasOwn(asSchema(schema).properties ?? {}, key);
}

/** The schemas that may describe what stands at `path`; several where there is a union on the way. */
export function schemasAt(root: Schema, path: Path): readonly Schema[] {
  let here = branches(root);
  for (const key of path) {
    here = here.flatMap((schema) => branches(next(schema, key)));
  }
  return here;
}

function next(schema: Schema, key: PropertyKey): unknown {
  if (typeof key === 'number') return schema.items;
  const { properties } = schema;
  if (properties !== undefined && Object.hasOwn(properties, key)) return properties[String(key)];
  return schema.additionalProperties;
}

/** The schema itself and all that its unions offer. */
function branches(value: unknown): readonly Schema[] {
  const schema = asSchema(value);
  return [schema, ...[...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].flatMap(branches)];
}

/** JSON Schema allows `true` and `false` for "anything" and "nothing"; neither says what it is about. */
function asSchema(value: unknown): Schema {
  return isRecord(value) ? value : {};
}

export function descriptionAt(root: Schema, path: Path): string {
  return schemasAt(root, path).find(({ description }) => description)?.description ?? '';
}
