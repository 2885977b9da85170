import { constants, existsSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { backup, DatabaseSync } from 'node:sqlite';
import { ProvisioningError } from '../../src/errors.ts';
import { messageOf } from '../../src/words/message-of.ts';

/** Without these it is no CA. */
const needed = ['root.pem', 'issuing.pem'];
/** The root's key may be kept elsewhere, and in a token no key has a file. */
const others = ['root-key.pem', 'issuing-key.pem', 'token-keys.json', 'crl.pem'];

/**
 * Copies a CA as it is at one moment, also while processes issue from it: its files are written once, and the ledger,
 * which grows, is copied after them by SQLite itself.
 *
 * @throws {ProvisioningError} `ca-misconfigured` when there is no whole CA, or it cannot be read.
 */
export async function copyCa(directory: string, into: string): Promise<void> {
  try {
    for (const name of needed)
      await copyFile(join(directory, name), join(into, name), constants.COPYFILE_EXCL);
    for (const name of others) {
      const file = join(directory, name);
      if (existsSync(file)) await copyFile(file, join(into, name), constants.COPYFILE_EXCL);
    }
    using ledger = new DatabaseSync(join(directory, 'ledger.db'), { readOnly: true });
    await backup(ledger, join(into, 'ledger.db'));
  } catch (error) {
    throw new ProvisioningError(
      'ca-misconfigured',
      `The local CA in ${directory} cannot be copied: ${messageOf(error)}. Run the command as the service's user.`,
      { cause: error },
    );
  }
}
