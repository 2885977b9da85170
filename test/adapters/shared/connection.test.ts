import { describe, expect, it } from 'vitest';
import { serverUrl } from '../../../adapters/shared/connection.ts';

describe('a server’s URL', () => {
  it.each(['https://ca.example.org/x', 'http://127.0.0.1:8', 'http://localhost', 'http://[::1]:1'])(
    'may be %s',
    (url) => expect(serverUrl.safeParse(url).success).toBe(true),
  );

  it.each([
    'http://ca.example.org',
    'ftp://127.0.0.1',
    'https://u:p@ca.example.org',
    'ca',
    'http://127.evil.example',
  ])('may not be %s', (url) => expect(serverUrl.safeParse(url).success).toBe(false));
});
