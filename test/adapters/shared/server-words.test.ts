import { describe, expect, it } from 'vitest';
import { serverWords } from '../../../adapters/shared/server-words.ts';
import { withoutSecrets } from '../../../adapters/shared/without-secrets.ts';

const secret = 'Pä$$wort & <"Schlüssel"> +/%';
const bytes = Buffer.from(secret);

describe('a server’s words hold no secret of ours', () => {
  it.each([
    ['as it is', secret],
    ['in capitals', secret.toUpperCase()],
    ['in JSON', JSON.stringify(secret)],
    ['in XML', 'Pä$$wort &amp; &lt;&quot;Schlüssel&quot;&gt; +/%'],
    ['in a URL', encodeURIComponent(secret)],
    ['in a form', new URLSearchParams({ secret }).toString()],
    ['in base64', bytes.toString('base64')],
    ['in base64url', bytes.toString('base64url')],
    ['in lines', `${secret.slice(0, 5)}\r\n ${secret.slice(5)}`],
    ['with what does not show', [...secret].join('\u200b')],
    ['in a page', `<html><body>${secret}</body></html>`],
    [
      'in a page, with tags',
      '<html><b>Pä$$</b><i>wort</i> &amp; &lt;&quot;Schlüssel&quot;&gt; +/%</html>',
    ],
  ])('%s', (_form, said) => {
    const words = serverWords(said, [secret]);
    expect(words.toLowerCase()).not.toMatch(/wort|schl|udokjc|quot/);
    expect(words).toContain('[secret]');
  });

  it('and what is around them is kept', () => {
    expect(withoutSecrets('a hunter2 and HUNTER2, hunter', ['hunter2', 'no'])).toBe(
      'a [secret] and [secret], hunter',
    );
    expect(withoutSecrets('longer secret', ['longer', 'longer secret'])).toBe('[secret]');
  });
});
