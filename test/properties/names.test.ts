import { AsnConvert } from '@peculiar/asn1-schema';
import { Name } from '@peculiar/asn1-x509';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anyCharacter } from '../../proofs/fuzz/door.ts';
import { ProvisioningError } from '../../src/errors.ts';
import { wantedFromProfile } from '../../src/profile/profile.ts';
import type { Subject } from '../../src/request/requested-certificate.ts';
import { altNameProblem } from '../../src/x509/alt-name-form.ts';
import type { DistinguishedName } from '../../src/x509/distinguished-name.ts';
import {
  decodeName,
  encodeName,
  formatName,
  NameError,
  nameProblem,
  parseName,
  sameName,
} from '../../src/x509/distinguished-name.ts';

/** Text with many of the characters that mean something in RFC 4514. */
const text = fc
  .array(fc.oneof(fc.constantFrom(...' "#+,;<>=\\äß😀${}:%@.'), fc.string({ unit: 'grapheme' })), {
    minLength: 1,
    maxLength: 10,
  })
  .map((parts) => parts.join(''))
  .filter((value) => nameProblem([[{ type: '2.5.4.3', value }]]) === undefined);

const types = fc.constantFrom(
  '2.5.4.3',
  '2.5.4.10',
  '2.5.4.11',
  '0.9.2342.19200300.100.1.1',
  '1.2.3.4',
);

const name: fc.Arbitrary<DistinguishedName> = fc.array(
  fc.uniqueArray(fc.record({ type: types, value: text }), {
    minLength: 1,
    maxLength: 3,
    selector: ({ type }) => type,
  }),
  { maxLength: 6 },
);

describe('names', () => {
  it('are read from their text form as they were written', () => {
    fc.assert(
      fc.property(name, (one) => {
        expect(parseName(formatName(one))).toEqual(one);
      }),
    );
  });

  it('are read from their encoding as they were, here and by another library', () => {
    fc.assert(
      fc.property(name, (one) => {
        const der = encodeName(one);
        expect(sameName(decodeName(der), one)).toBe(true);
        expect(encodeName(decodeName(der))).toEqual(der);
        expect(Buffer.from(AsnConvert.serialize(AsnConvert.parse(der, Name))).equals(der)).toBe(
          true,
        );
      }),
    );
  });

  it('that are any text are read or refused with a NameError', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: anyCharacter }),
          text.map((one) => `CN=${one}`),
        ),
        (any) => {
          try {
            parseName(any);
          } catch (error) {
            expect(error).toBeInstanceOf(NameError);
          }
        },
      ),
    );
  });
});

describe('templates', () => {
  const value = fc.option(fc.oneof(text, fc.string({ unit: anyCharacter }), fc.emailAddress()), {
    nil: undefined,
  });
  const subject: fc.Arbitrary<Subject> = fc
    .record({
      kind: fc.constantFrom('device', 'user'),
      serialNumber: value,
      deviceDirectoryApiId: value,
      userPrimaryEmail: value,
      userDirectoryApiId: value,
    })
    .map((record) => record as Subject);

  const profile = {
    subject:
      'CN=${DEVICE_SERIAL_NUMBER:USER_EMAIL_NAME}+UID=${USER_DIRECTORY_ID:DEVICE_DIRECTORY_ID},O=Example',
    subjectAltNames: [
      { type: 'uri', value: 'urn:x:${DEVICE_SERIAL_NUMBER:USER_EMAIL}' },
      { type: 'dns', value: '${DEVICE_SERIAL_NUMBER:USER_EMAIL_NAME}.example.com' },
    ],
    keyUsages: [],
    extendedKeyUsages: [],
    validityDays: 1,
  } as const;

  it('give the parts of the template and no others, whatever Google’s record holds', () => {
    fc.assert(
      fc.property(subject, (one) => {
        try {
          const wanted = wantedFromProfile(profile, one);
          const types = decodeName(encodeName(wanted.subject)).map((rdn) => rdn.length);
          expect(types).toEqual([1, 2]);
          expect(wanted.subject[0]).toEqual([{ type: '2.5.4.10', value: 'Example' }]);
          const [uri, dns] = wanted.subjectAltNames;
          expect(uri?.value).toMatch(/^urn:x:[A-Za-z0-9\-._~%]+$/);
          expect(dns?.value.endsWith('.example.com')).toBe(true);
          for (const each of wanted.subjectAltNames) expect(altNameProblem(each)).toBeUndefined();
        } catch (error) {
          if (!(error instanceof ProvisioningError)) throw error;
          expect(['name-empty', 'name-invalid']).toContain(error.code);
        }
      }),
      { numRuns: 500 },
    );
  });
});
