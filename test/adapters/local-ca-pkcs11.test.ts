import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import localCa from '../../adapters/local-ca/local-ca.ts';
import { type Calls, Library, loadLibrary } from '../../adapters/local-ca/pkcs11/library.ts';
import { OpenToken } from '../../adapters/local-ca/pkcs11/open-token.ts';
import { tokenProblem } from '../../adapters/local-ca/pkcs11/problem.ts';
import { Token } from '../../adapters/local-ca/pkcs11/token.ts';
import { connectContext } from '../support/connect-context.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const never = new AbortController().signal;
const pin = 'a-pin-4711';
const keys = {
  kind: 'pkcs11',
  library: './driver.so',
  tokenLabel: 'certprov',
  pin: { env: 'TOKEN_PIN' },
};

describe('the options for keys in a token', () => {
  it.each([
    ['no token', { ...keys, tokenLabel: undefined }, 'tokenLabel', 'is needed, or slot'],
    ['two tokens', { ...keys, slot: 3 }, 'tokenLabel', 'not both'],
    ['a PIN in the configuration', { ...keys, pin }, 'pin', 'never written in the configuration'],
    ['no PIN', { ...keys, pin: undefined }, 'pin', ''],
    ['no library', { ...keys, library: undefined }, 'library', ''],
    ['another kind', { ...keys, kind: 'files' }, 'kind', 'pkcs11'],
    ['an unknown key', { ...keys, password: pin }, '', 'password'],
  ])('refuse %s', (_what, given, path, message) => {
    const { success, error } = localCa.options.safeParse({ keys: given });
    expect(success).toBe(false);
    const [issue] = error?.issues ?? [];
    expect(issue?.path.join('.')).toBe(path === '' ? 'keys' : `keys.${path}`);
    expect(issue?.message).toContain(message);
    expect(JSON.stringify(error?.issues)).not.toContain(pin);
  });

  it('end the start with a clear error when the library is not there', async () => {
    await using home = await temporaryDirectory();
    const options = localCa.options.parse({ directory: './ca', keys });
    const context = connectContext(home.path, { env: { TOKEN_PIN: pin } });
    await expect(localCa.connect(options, context, never)).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringContaining(`keys.library: ${join(home.path, 'driver.so')} cannot be`),
    });
  });

  it('end the start with a clear error when the PIN is not where they say', async () => {
    await using home = await temporaryDirectory();
    const options = localCa.options.parse({ directory: './ca', keys });
    await expect(localCa.connect(options, connectContext(home.path), never)).rejects.toThrow(
      'TOKEN_PIN is not set',
    );
  });
});

describe('loading a PKCS#11 library', () => {
  it('names the package that is missing', async () => {
    await using home = await temporaryDirectory();
    const path = join(home.path, 'driver.so');
    await writeFile(path, '');
    const missing = async () => {
      throw new Error("Cannot find package 'pkcs11js' imported from somewhere");
    };
    await expect(loadLibrary(path, missing)).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringMatching(/need the package pkcs11js.*C\+\+ compiler.*npm ci again/),
    });
  });

  it('names the file that is no library', async () => {
    await using home = await temporaryDirectory();
    const path = join(home.path, 'driver.so');
    await writeFile(path, 'no library');
    class PKCS11 {
      load(file: string) {
        throw new Error(`${file}: invalid ELF header`);
      }
    }
    await expect(loadLibrary(path, async () => ({ default: { PKCS11 } }))).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringMatching(/driver\.so cannot be loaded.*invalid ELF header/),
    });
  });
});

const flags = {
  CKF_LOGIN_REQUIRED: 4,
  CKF_USER_PIN_COUNT_LOW: 0x1_0000,
  CKF_USER_PIN_FINAL_TRY: 0x2_0000,
  CKF_USER_PIN_LOCKED: 0x4_0000,
};

/** A library with one token; `answers` are what its calls give or throw, and `called` what was called. */
function scriptedLibrary(flag: number, answers: Record<string, () => unknown> = {}) {
  const called: string[] = [];
  const label = 'certprov'.padEnd(32);
  const usual: Record<string, () => unknown> = {
    C_GetSlotList: () => [Buffer.alloc(8)],
    C_GetTokenInfo: () => ({ label, serialNumber: '17', flags: flags.CKF_LOGIN_REQUIRED | flag }),
    C_OpenSession: () => Buffer.alloc(8),
    ...answers,
  };
  const calls = new Proxy(
    {},
    {
      get: (_, name: string) => () => {
        called.push(name);
        return usual[name]?.();
      },
    },
  );
  const names = flags as unknown as Library['names'];
  return { called, library: new Library('/driver.so', names, calls as Calls) };
}

const fails = (returnValue: string) => () => {
  throw new Error(returnValue);
};
const place = { tokenLabel: 'certprov', slot: undefined, pin };

describe('a token', () => {
  it.each([
    ['that would lock itself', flags.CKF_USER_PIN_FINAL_TRY, 'lock itself with one more'],
    ['that is locked', flags.CKF_USER_PIN_LOCKED, 'is locked'],
  ])('%s is not shown the PIN', (_what, flag, message) => {
    const { called, library } = scriptedLibrary(flag);
    expect(() => new OpenToken(library, place)).toThrow(message);
    expect(called).not.toContain('C_Login');
    expect(called.at(-1)).toBe('C_Finalize');
  });

  it('that saw a wrong PIN before is still shown ours', () => {
    const { called, library } = scriptedLibrary(flags.CKF_USER_PIN_COUNT_LOW);
    new OpenToken(library, place);
    expect(called).toContain('C_Login');
  });

  it.each(['CKR_PIN_INCORRECT', 'CKR_PIN_LEN_RANGE', 'CKR_PIN_LOCKED'])(
    'that answers %s is not shown the same PIN again, but another one',
    (answer) => {
      const { called, library } = scriptedLibrary(0, { C_Login: fails(answer) });
      const open = (given: string) => {
        new Token(library, { ...place, pin: given }).use(() => undefined);
      };
      expect(() => open(pin)).toThrow(answer);
      expect(() => open(pin)).toThrow(`refused the PIN (${answer})`);
      expect(() => open('another')).toThrow(answer);
      expect(called.filter((name) => name === 'C_Login')).toHaveLength(2);
    },
  );

  it('whose session is lost is opened anew once, and not again and again', () => {
    const { called, library } = scriptedLibrary(0);
    const token = new Token(library, place);
    let attempts = 0;
    const work = () => {
      attempts += 1;
      throw new Error('CKR_DEVICE_REMOVED');
    };
    expect(() => token.use(work)).toThrow('CKR_DEVICE_REMOVED');
    expect(attempts).toBe(2);
    expect(called.filter((name) => name === 'C_Initialize')).toHaveLength(2);
  });

  it('that fails while it is let go of does no harm', async () => {
    const { library } = scriptedLibrary(0, {
      C_CloseSession: fails('CKR_DEVICE_REMOVED'),
      C_Finalize: fails('CKR_GENERAL_ERROR'),
    });
    const token = new Token(library, place);
    token.use(() => undefined);
    await token[Symbol.asyncDispose]();
    await token[Symbol.asyncDispose]();
  });

  it.each([
    ['CKR_DEVICE_MEMORY', 'ca-misconfigured', 'It is full'],
    ['CKR_TOKEN_WRITE_PROTECTED', 'ca-misconfigured', 'write-protected'],
    ['CKR_MECHANISM_INVALID', 'ca-misconfigured', 'the other keyType'],
    ['CKR_USER_PIN_NOT_INITIALIZED', 'ca-misconfigured', 'has no user PIN'],
    ['CKR_SESSION_COUNT', 'ca-unavailable', 'no session left'],
    ['CKR_DEVICE_REMOVED', 'ca-unavailable', 'still there'],
    ['CKR_VENDOR_DEFINED', 'ca-unavailable', 'still there'],
  ])('that answers %s is %s', (returnValue, code, message) => {
    const error = Object.assign(new Error(returnValue), { method: 'C_GenerateKeyPair' });
    expect(tokenProblem(error, 'The token "x"')).toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
    expect(String(tokenProblem(error, 'The token "x"'))).toContain(
      `The token "x" (${returnValue} from C_GenerateKeyPair):`,
    );
  });
});
