// A dns-01 hook, as an administrator would write one: a record is a file in the directory that is its argument.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [directory, verb, name, value] = process.argv.slice(2);
const record = join(directory, name);
if (verb === 'set') writeFileSync(record, value);
else rmSync(record);
