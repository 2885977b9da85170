import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ProvisioningError } from '../../src/errors.ts';
import { SidFile, type SidKey } from '../../src/profile/sid-file.ts';
import type { Subject } from '../../src/request/requested-certificate.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const sid = 'S-1-5-21-1111111111-222222222-333333333-1001';
const other = 'S-1-5-21-1111111111-222222222-333333333-1002';
const user: Subject = {
  kind: 'user',
  userPrimaryEmail: 'Ada@Example.org',
  userDirectoryApiId: 'user-1',
  deviceDirectoryApiId: 'dir-1',
  serialNumber: 'SN1',
};
const device: Subject = { kind: 'device', deviceDirectoryApiId: 'dir-1', serialNumber: 'SN1' };

let home: Awaited<ReturnType<typeof temporaryDirectory>>;
let path: string;

beforeEach(async () => {
  home = await temporaryDirectory();
  path = join(home.path, 'sids.csv');
});
afterEach(() => home[Symbol.asyncDispose]());

function problem(work: () => unknown): ProvisioningError {
  try {
    work();
  } catch (error) {
    if (error instanceof ProvisioningError) return error;
    throw error;
  }
  throw new Error('Nothing was wrong.');
}

describe('a file of SIDs', () => {
  it.each<[SidKey, Subject, string]>([
    ['email', user, 'ada@example.org'],
    ['userDirectoryId', user, 'user-1'],
    ['deviceDirectoryId', device, 'dir-1'],
    ['serialNumber', device, 'SN1'],
  ])('is asked by %s', async (key, subject, name) => {
    await writeFile(path, `${name},${sid}\n`);
    expect(new SidFile(path, key).sidOf(subject)).toBe(sid);
  });

  it.each<[SidKey, Subject]>([
    ['serialNumber', user],
    ['deviceDirectoryId', user],
    ['email', device],
    ['userDirectoryId', device],
  ])('gives no SID found by %s to the other kind of subject', async (key, subject) => {
    await writeFile(path, `SN1,${sid}\ndir-1,${sid}\nada@example.org,${sid}\nuser-1,${sid}\n`);
    expect(new SidFile(path, key).sidOf(subject)).toBeUndefined();
  });

  it('is read as Windows exports it', async () => {
    const lines = ['"mail","sid"', `"ADA@example.org","${sid}"`, '', '# gone: bob', ''];
    await writeFile(path, `\uFEFF${lines.join('\r\n')}`);
    expect(new SidFile(path, 'email').sidOf(user)).toBe(sid);
  });

  it.each([
    ['a line without a comma', 'ada@example.org', 'line 1'],
    ['a third field', `a,${sid},b`, 'line 1'],
    ['no key', `,${sid}`, 'line 1'],
    ['no SID', `a,${sid}\nb,S-1-5-x`, 'line 2'],
    ['a name in its place', 'ada@example.org,ada', 'line 1'],
    ['a heading further down', `a,${sid}\nmail,sid`, 'line 2'],
    ['two SIDs for one', `ada@example.org,${sid}\nADA@example.org,${other}`, 'line 2'],
  ])('is refused as a whole for %s', async (_what, text, where) => {
    await writeFile(path, `${text}\n`);
    const found = problem(() => new SidFile(path, 'email').sidOf(user));
    expect(found.code).toBe('sid-file-unusable');
    expect(found.message).toContain(`${path} cannot be used: ${where} `);
  });

  it('that is written only in part is not believed', async () => {
    await writeFile(path, `ada@example.org,${sid.slice(0, -1)}`);
    expect(problem(() => new SidFile(path, 'email').sidOf(user)).message).toContain('in part');
  });

  it('has to be a file', () => {
    const found = problem(() => new SidFile(home.path, 'email').refresh());
    expect(found.message).toContain('no plain file');
  });

  it('is read anew when it has changed', async () => {
    const file = new SidFile(path, 'email');
    expect(problem(() => file.sidOf(user)).code).toBe('sid-file-unusable');
    await writeFile(path, `bob@example.org,${other}\n`);
    expect(file.sidOf(user)).toBeUndefined();
    await writeFile(join(home.path, 'new'), `ada@example.org,${sid}\n`);
    await rename(join(home.path, 'new'), path);
    expect(file.sidOf(user)).toBe(sid);
  });

  it('that went bad or away gives no old answers', async () => {
    await writeFile(path, `ada@example.org,${sid}\n`);
    const file = new SidFile(path, 'email');
    expect(file.sidOf(user)).toBe(sid);
    await writeFile(path, 'ada@example.org,nobody at all\n');
    expect(problem(() => file.sidOf(user)).code).toBe('sid-file-unusable');
    expect(problem(() => file.sidOf(user)).code).toBe('sid-file-unusable');
    await rm(path);
    expect(problem(() => file.sidOf(user)).code).toBe('sid-file-unusable');
  });
});
