import { mkdtempDisposable, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { type ConfigDocument, parseConfigDocument } from '../src/config/explain/document.ts';
import type { Finding } from '../src/config/explain/explain-issue.ts';
import { ConfigError, type ConfigProblem } from '../src/config/explain/problem.ts';
import { checkedOptions } from '../src/config/load/options.ts';
import { readConfigText } from '../src/config/load/read-text.ts';
import type { LoadAdapter } from '../src/plug-in/adapter-loader.ts';
import type { AdapterDefinition } from '../src/plug-in/certificate-authority.ts';
import { importPlugIn } from '../src/plug-in/import-plug-in.ts';
import { loadProblem } from '../src/plug-in/plug-in-load-error.ts';
import { messageOf } from '../src/words/message-of.ts';
import { isRecord } from '../src/words/record.ts';
import { readCertificates } from '../src/x509/pem.ts';
import { adapterHarness, type CaUnderTest } from './adapter-harness.ts';
import { cameText } from './breach.ts';
import { contractCases } from './cases.ts';
import type { AdapterHarness, ContractCase } from './harness.ts';
import { Judge } from './judge.ts';
import { readNames } from './names.ts';
import { OutputWatch } from './output-watch.ts';
import { rowText, tallyText } from './report.ts';

/*
 * `conformance`: the contract over one kind of CA, as its author or an administrator runs it, with or
 * without a harness that makes the CA misbehave.
 */

export interface ConformanceArguments {
  /** A built-in name, a path, or a package; relative to the working directory. */
  readonly kind: string;
  /** YAML with the options of that kind. */
  readonly options?: string;
  /** A module whose default export sets up a CA for one case. */
  readonly harness?: string;
  /** PEM with the CA's root certificates. */
  readonly roots?: string;
  /** The subject to ask for (RFC 4514), in place of the usual names. */
  readonly subject?: string;
  /** Alternative names to ask for, in place of the usual names: `dns:a.example.org,email:someone@example.org`. */
  readonly 'alt-names'?: string;
  /** Only the cases whose name has this text, in any case. */
  readonly only?: string;
  /** How long each case may take, in real milliseconds. */
  readonly longestCaseMs?: number;
}

/** The contract cannot be run: no plug-in, no harness, or it does not connect. The message says why. */
export class CannotRunError extends Error {
  override readonly name = 'CannotRunError';
}

const silenceName = 'tells no secret in an error, a reason or its output, in any of these cases';

/** How long to wait for a CA that leaves orders pending, if no harness says so. */
const patienceMs = 30_000;

/**
 * Prints a row for each case as it ends. Gives the exit status: 0 when nothing failed, otherwise 1.
 * @throws {ConfigError | AdapterLoadError | CannotRunError} when it cannot be run.
 */
export async function conformance(
  given: ConformanceArguments,
  loadAdapter: LoadAdapter,
  print: (text: string) => void,
): Promise<number> {
  const chosen = chosenCases(given.only);
  const definition = await loadAdapter(given.kind, process.cwd());
  await using home = await homeOf(given);
  const setUp = await preparedSetUp(given, definition, home.path);
  await connectOnce(definition, setUp);
  print(`The adapters' contract over ${definition.kind} (${given.kind})\n\n`);
  const judge = new Judge(setUp, given.longestCaseMs);
  for (const contractCase of chosen) {
    print(rowText(contractCase.name, await judge.run(contractCase), judge.secrets));
  }
  print(rowText(silenceName, judge.conclude(), judge.secrets));
  print(`\n${tallyText(judge.verdicts)}\n`);
  return judge.verdicts.some(({ kind }) => kind === 'failed') ? 1 : 0;
}

function chosenCases(only = ''): readonly ContractCase[] {
  const wanted = only.toLowerCase();
  const chosen = contractCases.filter(({ name }) => name.toLowerCase().includes(wanted));
  if (chosen.length > 0) return chosen;
  const names = contractCases.map(({ name }) => `  ${name}`).join('\n');
  throw new CannotRunError(`--only ${only}: no case has this in its name. There are:\n${names}`);
}

interface Home extends AsyncDisposable {
  readonly path: string;
}

/**
 * Where relative paths start: at the options' file or the harness. Without either, nobody has said where a kind may
 * keep its files, so they go into a directory of the run's own.
 */
async function homeOf({ options, harness }: ConformanceArguments): Promise<Home> {
  const beside = options ?? harness;
  if (beside === undefined) return mkdtempDisposable(join(tmpdir(), 'certprov-conformance-'));
  return { path: dirname(resolve(beside)), [Symbol.asyncDispose]: () => Promise.resolve() };
}

async function preparedSetUp(
  given: ConformanceArguments,
  definition: AdapterDefinition,
  directory: string,
): Promise<() => Promise<AdapterHarness>> {
  const { longestCaseMs = Number.POSITIVE_INFINITY } = given;
  const { options: file, harness, roots } = given;
  const document = parseConfigDocument(
    file === undefined ? '{}' : await readConfigText(file, '--options'),
    file ?? '--options',
  );
  const setUpCa = harness === undefined ? async () => ({}) : await harnessModule(harness);
  const options = isRecord(document.data) ? document.data : {};
  await checkOptions(definition, await setUpCa(), options, document, directory);
  const wanted = askedNames(given);
  const surroundings = {
    options,
    ...(wanted === undefined ? {} : { wanted }),
    directory,
    ...(harness === undefined ? { patienceMs: Math.min(patienceMs, longestCaseMs) } : {}),
    ...(roots === undefined ? {} : { roots: () => readRoots(roots) }),
  };
  return async () => adapterHarness(definition, await setUpCa(), surroundings);
}

/** For a CA that certifies only its own names, or names that it can look up. */
function askedNames({ subject, 'alt-names': altNames }: ConformanceArguments) {
  if (subject === undefined && altNames === undefined) return undefined;
  try {
    return readNames(subject, altNames);
  } catch (error) {
    throw new CannotRunError(`--subject, --alt-names: ${messageOf(error)}`, { cause: error });
  }
}

/** @throws {ConfigError} with everything that is wrong with the options. */
async function checkOptions(
  definition: AdapterDefinition,
  ca: CaUnderTest,
  options: Readonly<Record<string, unknown>>,
  document: ConfigDocument,
  directory: string,
): Promise<void> {
  const problems = problemsOf(document);
  const report = (...finding: Finding) => problems.push(document.problem(...finding));
  try {
    const env = { ...process.env, ...ca.env };
    if (problems.length === 0) {
      const context = { directory, env, report };
      await checkedOptions(definition, { ...options, ...ca.options }, [], context);
    }
  } finally {
    await ca[Symbol.asyncDispose]?.();
  }
  if (problems.length > 0) throw new ConfigError(problems);
}

function problemsOf({ data, problems, problem }: ConfigDocument): ConfigProblem[] {
  const isRead = problems.length === 0 || data === null;
  if (isRecord(data) || !isRead) return [...problems];
  const fix = 'write the options of this kind, a key on each line, or leave out --options';
  return [problem([], 'the file holds no options', fix)];
}

async function harnessModule(path: string): Promise<() => Promise<CaUnderTest>> {
  const file = resolve(path);
  const loaded = await importPlugIn(file).catch((cause: unknown) => {
    const problem = loadProblem(file, cause);
    throw new CannotRunError(`--harness ${path}: ${file} cannot be loaded: ${problem}.`, { cause });
  });
  const setUp = isRecord(loaded) ? loaded['default'] : undefined;
  if (typeof setUp !== 'function') {
    throw new CannotRunError(
      `--harness ${path}: the module has no default export that is a function. Write \`export default async (): Promise<CaUnderTest> => ({ hooks: { … } })\`.`,
    );
  }
  return async () => {
    try {
      return (await setUp()) ?? {};
    } catch (error) {
      const problem = `it cannot set up a CA: ${cameText(error, [])}`;
      throw new CannotRunError(`--harness ${path}: ${problem}`, { cause: error });
    }
  };
}

async function readRoots(path: string): Promise<readonly Uint8Array[]> {
  try {
    return readCertificates(await readFile(path));
  } catch (error) {
    throw new CannotRunError(`--roots ${path}: ${cameText(error, [])}`, { cause: error });
  }
}

/** There is nothing to learn from an adapter that cannot even get ready. */
async function connectOnce(
  definition: AdapterDefinition,
  setUp: () => Promise<AdapterHarness>,
): Promise<void> {
  await using harness = await setUp();
  // What it prints now it prints again in each case, where it is checked.
  using _output = new OutputWatch();
  try {
    const authority = await harness.connect();
    await authority[Symbol.asyncDispose]();
    await harness.roots();
  } catch (error) {
    if (error instanceof CannotRunError) throw error;
    const reason = cameText(error, harness.secrets);
    throw new CannotRunError(
      `${definition.kind} does not connect with these options: ${reason} connect() makes ready and needs no CA that answers.`,
      { cause: error },
    );
  }
}
