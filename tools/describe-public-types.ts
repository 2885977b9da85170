import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  type Declaration as DeclarationNode,
  type ModuleExportName,
  parseSync,
  type Span,
  Visitor,
} from 'oxc-parser';

/*
 * The types of the package's exports as one text, without comments: what each exports, then what can be reached from
 * there. A breaking change is a line that changes in it.
 */

/** Where something is declared; `file` is not there for what a package brings. */
interface Place {
  readonly file?: string;
  readonly name: string;
}

interface Declaration {
  readonly text: string;
  /** Every name in it, also those that mean nothing outside of it. */
  readonly mentions: ReadonlySet<string>;
}

interface Module {
  readonly declared: ReadonlyMap<string, Declaration>;
  readonly imported: ReadonlyMap<string, Place>;
  readonly exported: ReadonlyMap<string, Place>;
}

/** `entries` are .d.ts files as the compiler writes them, by the name under which they are imported. */
export function describePublicTypes(entries: Readonly<Record<string, string>>): string {
  const modules = new Map<string, Module>();
  const moduleOf = (file: string) => {
    const module = modules.get(file) ?? readModule(file);
    modules.set(file, module);
    return module;
  };

  function origin(place: Place): Place {
    if (place.file === undefined) return place;
    const { declared, imported, exported } = moduleOf(place.file);
    if (declared.has(place.name)) return place;
    const from = imported.get(place.name) ?? exported.get(place.name);
    if (from === undefined) throw new Error(`${place.file} does not have ${place.name}.`);
    return origin(from);
  }

  const sections = Object.entries(entries).map(([title, entry]) => {
    const exported = moduleOf(entry).exported;
    return { title: `import … from '${title}'`, places: [...exported.values()].map(origin) };
  });
  const found = new Map<string, Place>();
  const queue = sections.flatMap(({ places }) => places);
  const exported = new Set(queue.map(({ name }) => name));
  for (const place of queue) {
    const same = found.get(place.name);
    if (same !== undefined && same.file !== place.file) {
      throw new Error(`${place.name} is declared in ${same.file} and in ${place.file}.`);
    }
    if (same !== undefined || place.file === undefined) continue;
    found.set(place.name, place);
    const { declared, imported } = moduleOf(place.file);
    for (const name of declared.get(place.name)?.mentions ?? []) {
      if (declared.has(name) || imported.has(name)) queue.push(origin({ file: place.file, name }));
    }
  }

  const reached = [...found.values()].filter(({ name }) => !exported.has(name));
  const textOf = ({ file, name }: Place) =>
    (file && moduleOf(file).declared.get(name)?.text) ?? `${name} // of another package`;
  return [...sections, { title: 'not exported, but reached from there', places: reached }]
    .map(({ title, places }) => {
      const sorted = places.toSorted((one, other) => (one.name < other.name ? -1 : 1));
      return [`// ${title}`, ...sorted.map(textOf)].join('\n\n');
    })
    .join('\n\n')
    .concat('\n');
}

function readModule(file: string): Module {
  const source = readFileSync(file, 'utf8');
  const { program, comments, errors } = parseSync(file, source);
  if (errors[0] !== undefined) throw new Error(`${file}: ${errors[0].message}`);
  const read = {
    declared: new Map<string, Declaration>(),
    imported: new Map<string, Place>(),
    exported: new Map<string, Place>(),
  };
  const identifiers: (Span & { readonly name: string })[] = [];
  new Visitor({ Identifier: (node) => void identifiers.push(node) }).visit(program);
  const mentions = (within: Span) =>
    new Set(identifiers.filter((each) => isIn(each, within)).map(({ name }) => name));

  for (const statement of program.body) {
    if (statement.type === 'ImportDeclaration') {
      const from = sourceOf(file, statement.source.value);
      for (const specifier of statement.specifiers) {
        if (specifier.type !== 'ImportSpecifier') throw new Error(`${file} imports a whole.`);
        const name = nameOf(specifier.imported);
        read.imported.set(specifier.local.name, { ...from, name });
      }
      continue;
    }
    const isExported = statement.type === 'ExportNamedDeclaration';
    if (isExported && statement.declaration === null) {
      const from = statement.source === null ? { file } : sourceOf(file, statement.source.value);
      for (const { local, exported } of statement.specifiers) {
        const name = nameOf(local);
        if (nameOf(exported) !== name) throw new Error(`${file} exports ${name} by another name.`);
        read.exported.set(name, { ...from, name });
      }
      continue;
    }
    const node = (isExported ? statement.declaration : statement) as DeclarationNode;
    const { name, body } = described(file, node);
    const text = body ?? withoutComments(source, comments, node);
    read.declared.set(name, { text, mentions: mentions(node) });
    if (isExported) read.exported.set(name, { file, name });
  }
  return read;
}

/** Of a table that is written out as a type only the keys: its texts are no promise. */
function described(file: string, node: DeclarationNode): { name: string; body?: string } {
  if (node.type !== 'VariableDeclaration') {
    if ('id' in node && node.id?.type === 'Identifier') return { name: node.id.name };
    throw new Error(`${file}: ${node.type} cannot be described.`);
  }
  const id = node.declarations[0]?.id;
  if (id?.type !== 'Identifier') throw new Error(`${file}: a variable without a name.`);
  const type = id.typeAnnotation?.typeAnnotation;
  if (type?.type !== 'TSTypeLiteral') return { name: id.name };
  const keys = type.members.map((member) => {
    const key = member.type === 'TSPropertySignature' ? member.key : undefined;
    if (key?.type === 'Literal') return String(key.value);
    if (key?.type === 'Identifier') return key.name;
    throw new Error(`${file}: ${id.name} has a key that cannot be described.`);
  });
  return { name: id.name, body: `declare const ${id.name}: {\n    ${keys.join(',\n    ')}\n};` };
}

function withoutComments(source: string, comments: readonly Span[], { start, end }: Span): string {
  let text = '';
  let from = start;
  for (const comment of comments) {
    if (!isIn(comment, { start, end })) continue;
    text += source.slice(from, comment.start);
    from = comment.end;
  }
  return (text + source.slice(from, end)).replace(/^\s*\n/gm, '');
}

function sourceOf(file: string, specifier: string): { readonly file?: string } {
  if (!specifier.startsWith('.')) return {};
  return { file: join(dirname(file), specifier.replace(/\.[tj]s$/, '.d.ts')) };
}

function nameOf(node: ModuleExportName): string {
  return node.type === 'Literal' ? node.value : node.name;
}

function isIn(inner: Span, outer: Span): boolean {
  return inner.start >= outer.start && inner.end <= outer.end;
}
