/*
 * How the simulated world misbehaves. `chances` are probabilities: those with a share follow the base rate,
 * and bring only trouble that passes by itself, so that a correct worker ends every process well under any
 * seed. `switches` are the answers to what nobody documents; they change only when somebody sets them.
 * README.md lists every name; a test compares the two.
 */
import { chanceOf } from './chance.ts';

/** The six calls of the API, by Google's names (`operation` is operations.get). */
export const methods = [
  'get',
  'claim',
  'signData',
  'operation',
  'uploadCertificate',
  'setFailure',
] as const;
export type Method = (typeof methods)[number];

/** What can happen to a call, and its share of the base rate; together they are one base rate. */
const troubleShares = {
  '429': 0.2,
  '500': 0.15,
  '503': 0.2,
  timeout: 0.05,
  resetBefore: 0.1,
  lostAnswer: 0.2,
  late: 0.1,
} as const;
export type Trouble = keyof typeof troubleShares;
export const troubles = Object.keys(troubleShares) as readonly Trouble[];

/** Chances that are not about one method. A share of 0: off, whatever the base rate. */
const otherChances = {
  duplicates: { share: 1, meaning: 'a message is delivered twice' },
  reordering: { share: 1, meaning: 'a message is held back, so that later ones overtake it' },
  streamBreak: {
    share: 0.1,
    meaning: 'a StreamingPull stream ends with UNAVAILABLE after a batch',
  },
  missedPush: { share: 1, meaning: 'a push to the device is lost: it wakes at its next poll' },
  processGone: {
    share: 0,
    meaning: 'the process has gone before anybody asks: every call gets 404',
  },
  operationNeverEnds: { share: 0, meaning: 'the device abandoned the process: it never signs' },
} as const;
type OtherChance = keyof typeof otherChances;

/** The base rate itself, the troubles as `method.trouble` (`claim.lostAnswer`), and the others. */
type ChanceName = `${Method}.${Trouble}` | OtherChance;

/** The first choice is the default. */
export const switches = {
  claimRepeated: { choices: [200, 400], meaning: 'claim again by the same callerInstanceId' },
  claimByOther: { choices: [400, 409], meaning: 'claim by another callerInstanceId' },
  signDataBeforeClaim: { choices: [400, 200], meaning: 'signData for an unclaimed process' },
  endBeforeClaim: {
    choices: [400, 200],
    meaning: 'uploadCertificate or setFailure for an unclaimed process',
  },
  signDataTwice: {
    choices: ['device-fails', 'same', 400],
    meaning: 'signData again: the device fails the process, the same operation, or an error',
  },
  algorithmMismatch: {
    choices: [400, 'operation-error'],
    meaning: 'signData with an algorithm that does not fit the key',
  },
  wrongSignature: {
    choices: ['operation-error', 'passed-on'],
    meaning: 'a signature by another key: Google sees it, or passes it on',
  },
  wrongUpload: {
    choices: [400, 'process-fails', 200],
    meaning: 'upload of another key, of a chain or of garbage; with 200 only the device notices',
  },
  uploadTwice: { choices: [400, 200], meaning: 'uploadCertificate after a successful one' },
  callAfterEnd: {
    choices: [400, 404, 409],
    meaning: 'claim, signData, uploadCertificate or setFailure after failure or success',
  },
  messageFormat: {
    choices: ['binary', 'json', 'json-snake', 'mixed'],
    meaning: "how a message's data is encoded: protobuf, JSON in camelCase or snake_case, in turn",
  },
  customerForm: {
    choices: ['obfuscated', 'my_customer', 'missing'],
    meaning: 'the customer id in messages; the API always takes both forms',
  },
  ecSignature: { choices: ['der', 'raw'], meaning: 'how devices write EC signatures' },
  scepPlaceholders: {
    choices: ['expanded', 'raw'],
    meaning: 'whether variables in a SCEP profile arrive filled in',
  },
  restAccess: { choices: ['granted', 401, 403], meaning: 'the answer to every call of the API' },
  intercepted: {
    choices: [
      'off',
      200,
      302,
      400,
      401,
      403,
      404,
      407,
      408,
      409,
      410,
      411,
      413,
      429,
      451,
      499,
      500,
      502,
      503,
      504,
    ],
    meaning: 'a proxy on the way answers every call with this status; nothing reaches Google',
  },
  interceptedBody: {
    choices: ['html', 'empty', 'cut', 'list', 'foreign'],
    meaning:
      'what comes with it: a page, nothing, the first half of Google’s own JSON, [], another gateway’s JSON',
  },
  interceptedMethod: {
    choices: ['all', ...methods],
    meaning: 'which calls it answers',
  },
  pubsubAccess: {
    choices: ['granted', 'denied', 'missing'],
    meaning: 'the subscription: PERMISSION_DENIED or NOT_FOUND, open streams included',
  },
  pubsubPings: {
    choices: ['answered', 'ignored'],
    meaning: 'an empty request on a StreamingPull; Google’s emulator ignored them before 0.8.32',
  },
} as const;
export type SwitchName = keyof typeof switches;
export type SwitchChoice<N extends SwitchName> = (typeof switches)[N]['choices'][number];
type SwitchSettings = { readonly [N in SwitchName]: SwitchChoice<N> };

/** What {@link Faults.set} takes: any of the names. `rate` puts every chance with a share back to it. */
export type FaultChanges = { readonly rate?: number } & Readonly<
  Partial<Record<ChanceName, number>>
> &
  Partial<SwitchSettings>;

/** A fault that does not exist or cannot take the value; the message names it and what is possible. */
export class FaultError extends Error {}

const shareOf = new Map<string, number>();
for (const method of methods) {
  for (const trouble of troubles) shareOf.set(`${method}.${trouble}`, troubleShares[trouble]);
}
for (const [name, { share }] of Object.entries(otherChances)) shareOf.set(name, share);

/** Every name that `set` knows, in the order of the README. */
export const faultNames: readonly string[] = ['rate', ...shareOf.keys(), ...Object.keys(switches)];

const topicOf = new Map([...shareOf.keys()].map((name, index) => [name, index]));
const firstTroubleTopic = shareOf.size;

/** The settings of one simulator, and its decisions. */
export class Faults {
  readonly #seed: number;
  readonly #chances = new Map<string, number>();
  readonly #choices = new Map<string, string | number>();
  readonly #troublesOf = new Map<Method, readonly (readonly [Trouble, number])[]>();
  #rate = 0;

  /** `rate` is the base rate, 0 to 1. */
  constructor(seed: number, rate: number) {
    this.#seed = seed;
    for (const [name, entry] of Object.entries(switches)) {
      this.#choices.set(name, entry.choices[0]);
    }
    this.set({ rate });
  }

  /** Every name with its probability or choice. */
  values(): Record<string, number | string> {
    return {
      rate: this.#rate,
      ...Object.fromEntries(this.#chances),
      ...Object.fromEntries(this.#choices),
    };
  }

  /** Changes all of what is given, or nothing: throws {@link FaultError} for the first that is wrong. */
  set(changes: Readonly<Record<string, unknown>> | FaultChanges): void {
    const accepted = Object.entries(changes).map(
      ([name, value]) => [name, acceptedValue(name, value)] as const,
    );
    // The base rate comes first, so that a chance that is given together with it stands.
    for (const [name, value] of accepted) if (name === 'rate') this.#setRate(Number(value));
    for (const [name, value] of accepted) {
      if (shareOf.has(name)) this.#chances.set(name, Number(value));
      else if (name !== 'rate') this.#choices.set(name, value);
    }
    for (const method of methods) this.#troublesOf.set(method, this.#listTroubles(method));
  }

  /** Whether it happens to this subject (a process's or a message's number) at this turn. */
  happens(name: OtherChance, subject: number, turn: number): boolean {
    const chance = this.#chances.get(name) ?? 0;
    if (chance <= 0) return false;
    return chanceOf(this.#seed, subject, topicOf.get(name) ?? 0, turn) < chance;
  }

  /** The trouble, if any, of the `turn`-th call of a method for the process numbered `subject`. */
  trouble(method: Method, subject: number, turn: number): Trouble | undefined {
    const listed = this.#troublesOf.get(method);
    if (listed === undefined || listed.length === 0) return undefined;
    const topic = firstTroubleTopic + methods.indexOf(method);
    const drawn = chanceOf(this.#seed, subject, topic, turn);
    return listed.find(([, upTo]) => drawn < upTo)?.[0];
  }

  choice<N extends SwitchName>(name: N): SwitchChoice<N> {
    return this.#choices.get(name) as SwitchChoice<N>;
  }

  #setRate(rate: number): void {
    this.#rate = rate;
    for (const [name, share] of shareOf) this.#chances.set(name, Math.min(1, rate * share));
  }

  /** The method's troubles that can happen, with their probabilities summed up so far. */
  #listTroubles(method: Method): readonly (readonly [Trouble, number])[] {
    let sum = 0;
    const listed: [Trouble, number][] = [];
    for (const trouble of troubles) {
      const chance = this.#chances.get(`${method}.${trouble}`) ?? 0;
      sum += chance;
      if (chance > 0) listed.push([trouble, sum]);
    }
    return listed;
  }
}

function acceptedValue(name: string, value: unknown): string | number {
  if (name === 'rate' || shareOf.has(name)) {
    if (typeof value === 'number' && value >= 0 && value <= 1) return value;
    throw new FaultError(`${name} is a probability: a number from 0 to 1`);
  }
  if (!isSwitch(name)) {
    throw new FaultError(
      `there is no fault named ${JSON.stringify(name.slice(0, 60))}; see GET /faults`,
    );
  }
  const choices: readonly (string | number)[] = switches[name].choices;
  const choice = choices.find((possible) => String(possible) === String(value));
  if (choice === undefined) throw new FaultError(`${name} is one of: ${choices.join(', ')}`);
  return choice;
}

function isSwitch(name: string): name is SwitchName {
  return Object.hasOwn(switches, name);
}

/** For the README's test: each name with its default, `rate` given. */
export function defaultsAt(rate: number): Record<string, number | string> {
  return new Faults(0, rate).values();
}
