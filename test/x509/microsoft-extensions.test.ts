import { describe, expect, it } from 'vitest';
import {
  decodeSid,
  isSid,
  sidExtension,
  sidUri,
  templateIdExtension,
} from '../../src/x509/microsoft-extensions.ts';

const sid = 'S-1-5-21-1111111111-222222222-333333333-1001';

describe('the security identifier', () => {
  it('is encoded as openssl encodes the structure of MS-WCCE', () => {
    const extension = sidExtension(sid);
    expect(extension).toMatchObject({ type: '1.3.6.1.4.1.311.25.2', critical: false });
    expect(Buffer.from(extension.value).toString('hex')).toBe(
      `303ea03c060a2b060104018237190201a02e042c${Buffer.from(sid).toString('hex')}`,
    );
    expect(decodeSid(extension.value)).toBe(sid);
  });

  it('has a form as a URI', () => {
    expect(sidUri(sid)).toBe(`tag:microsoft.com,2022-09-14:sid:${sid}`);
  });

  it.each(['', 'S-1-5', 'S-1-5-21-x', `${sid} `, `${sid}\n`, 'S-2-5-21-1'])('is not %j', (text) => {
    expect(isSid(text)).toBe(false);
    expect(() => sidExtension(text)).toThrow('not a SID');
    expect(() => sidUri(text)).toThrow('not a SID');
  });

  it.each([
    ['another kind of name', '3010a00e06032a0304a007040553 2d312d35'.replace(' ', '')],
    ['something behind it', '303ea03c060a2b060104018237190201a02e042c'],
    ['nothing', '3000'],
  ])('is not read from %s', (_what, hex) => {
    expect(() => decodeSid(Buffer.from(hex, 'hex'))).toThrow();
  });
});

describe('the identifier of a template', () => {
  it.each([
    ['alone', { oid: '1.2.3' }, '300406022a03'],
    ['with its major version', { oid: '1.2.3', majorVersion: 200 }, '300806022a03020200c8'],
    [
      'with both versions',
      { oid: '1.2.3', majorVersion: 100, minorVersion: 0 },
      '300a06022a03020164020100',
    ],
  ])('is encoded as Windows does it, %s', (_what, templateId, hex) => {
    expect(Buffer.from(templateIdExtension(templateId).value).toString('hex')).toBe(hex);
  });

  it('has no minor version alone', () => {
    expect(() => templateIdExtension({ oid: '1.2.3', minorVersion: 3 })).toThrow('major');
  });
});
