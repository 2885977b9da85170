import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { childOf, escapeXml, parseXml, XmlError } from '../../adapters/adcs/xml.ts';

describe('the XML reader', () => {
  it('reads elements, namespaces, attributes and text', () => {
    const root = parseXml(
      '\uFEFF<?xml version="1.0" encoding="utf-8"?>\n<!-- a --><a:x xmlns:a="urn:a" xmlns="urn:d" a:k="1&amp;2"><y>t<!-- b -->e<![CDATA[<x]]>&#xD;</y><z xmlns=""/></a:x>\n',
    );
    expect(root).toMatchObject({ name: 'x', namespace: 'urn:a' });
    expect(root.attributes.get('k')).toBe('1&2');
    expect(childOf(root, 'urn:d', 'y')?.text).toBe('te<x\r');
    expect(childOf(root, '', 'z')?.children).toEqual([]);
    expect(childOf(root, 'urn:a', 'y')).toBeUndefined();
  });

  it.each([
    ['a document type', '<!DOCTYPE x [<!ENTITY e "e">]><x>&e;</x>'],
    ['an external entity', '<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>'],
    ['an unknown entity', '<x>&e;</x>'],
    ['an entity without an end', '<x>&amp</x>'],
    ['a character that is none', '<x>&#0;</x>'],
    ['a surrogate', '<x>&#xD800;</x>'],
    ['a processing instruction', '<x><?php ?></x>'],
    ['another end tag', '<x></y>'],
    ['an end tag without a start', '</x>'],
    ['no end', '<x><y/>'],
    ['two roots', '<x/><y/>'],
    ['text before the root', 'hello <x/>'],
    ['an undeclared prefix', '<a:x/>'],
    ['an attribute twice', '<x a="1" a="2"/>'],
    ['an attribute without quotes', '<x a=1/>'],
    ['a page of HTML', '<!DOCTYPE html><html><br></html>'],
    ['nothing', ''],
    ['depth', '<x>'.repeat(100)],
    ['a crowd', `<x>${'<y/>'.repeat(6_000)}</x>`],
    ['length', `<x>${' '.repeat(1_100_000)}</x>`],
  ])('refuses %s', (_what, text) => {
    expect(() => parseXml(text)).toThrow(XmlError);
  });

  it('fails only in its own way, and soon', () => {
    const piece = fc.constantFrom(
      '<',
      '>',
      '/',
      'a',
      '"',
      '=',
      ' ',
      '&',
      ';',
      '<![CDATA[',
      ']]>',
      '<!--',
      '-->',
      'xmlns',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 200 }), (pieces) => {
        try {
          parseXml(pieces.join(''));
        } catch (error) {
          expect(error).toBeInstanceOf(XmlError);
        }
      }),
    );
  });

  it('reads back what was escaped', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 50 }), (text) => {
        const root = parseXml(`<x a="${escapeXml(text)}">${escapeXml(text)}</x>`);
        const kept = text.replace(/[^\P{Cc}\t\n\r]|[\uFFFE\uFFFF]/gu, ' ');
        expect(root.text).toBe(kept);
        expect(root.attributes.get('a')).toBe(kept);
      }),
    );
  });
});
