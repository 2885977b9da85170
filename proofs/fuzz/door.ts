import fc from 'fast-check';

/** Where something from outside comes in. Every input is bytes, so that it can be kept and tried again. */
export interface Door {
  readonly name: string;
  /** What is valid, or nearly: where mutation starts. */
  readonly seeds: readonly Uint8Array[];
  /** Words that mean something behind this door. */
  readonly dictionary: readonly string[];
  /** Inputs from nothing. */
  readonly generated?: fc.Arbitrary<Uint8Array>;
  /** How the bytes are built, for mutation that keeps the outer form. */
  readonly form: 'bytes' | 'text' | 'json' | 'der';
  /**
   * Goes through the door. Resolves with a word for what was accepted; throws {@link Violation} when
   * something came through that must not, and otherwise only what {@link isRefusal} knows.
   */
  enter(input: Uint8Array): string | Promise<string>;
  /** Whether an error is of the kind that this door promises. */
  isRefusal(error: unknown): boolean;
  /** Lets go of what the door opened. */
  close?(): Promise<void>;
}

/** Something came through that must not. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

export function demand(condition: boolean, what: string): void {
  if (!condition) throw new Violation(what);
}

export const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
export const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');

/** Any character but a lone surrogate, as fast-check's own `binary` is, which first makes a table of all of them. */
export const anyCharacter = fc
  .integer({ min: 0, max: 0x10_ffff })
  .filter((code) => code < 0xd800 || code > 0xdfff)
  .map((code) => String.fromCodePoint(code));
