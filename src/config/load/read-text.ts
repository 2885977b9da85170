import { readLimited } from '../../plug-in/read-limited.ts';
import { messageOf } from '../../words/message-of.ts';
import { plainText } from '../../words/plain-text.ts';
import { ConfigError } from '../explain/problem.ts';

/** A configuration is a few pages; more is some other file. In bytes. */
const largestFileBytes = 256 * 1024;

/**
 * The text of a file in YAML that was named on the command line by `option`.
 * @throws {ConfigError} when it cannot be read, is too large, or is not UTF-8.
 */
export async function readConfigText(path: string, option: string): Promise<string> {
  let reason: string;
  try {
    const bytes = await readLimited(path, largestFileBytes);
    if (bytes !== undefined) return plainText(bytes);
    reason = `is larger than ${largestFileBytes / 1024} KiB`;
  } catch (error) {
    reason = `cannot be read (${messageOf(error)})`;
  }
  throw new ConfigError([
    {
      file: path,
      line: 1,
      column: 1,
      path: '',
      message: `the file ${reason}`,
      fix: `name the file with ${option} FILE; it is YAML in UTF-8, readable for the user of the service`,
    },
  ]);
}
