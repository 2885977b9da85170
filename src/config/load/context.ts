import type { LoadAdapter } from '../../plug-in/adapter-loader.ts';
import type { Finding } from '../explain/explain-issue.ts';

export interface LoadOptions {
  readonly loadAdapter: LoadAdapter;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** What is looked at outside the file is found with this; what is wrong with it is reported. */
export interface LoadContext extends LoadOptions {
  /** The configuration file's, where relative paths start. */
  readonly directory: string;
  report(...finding: Finding): void;
}

/** What has been looked up. Where it could not be, a problem was reported, and nobody comes here. */
export function found<Value>(value: Value | undefined): Value {
  if (value !== undefined) return value;
  throw new Error('A part of the configuration could not be resolved and no problem was reported.');
}
