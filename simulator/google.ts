import { deviceProblem } from './device-check.ts';
import type { Devices } from './devices.ts';
import type { Faults, Method } from './faults.ts';
import {
  errorJson,
  type JsonContext,
  keyAlgorithm,
  operationJson,
  processJson,
} from './google-json.ts';
import type { SignatureAlgorithm, SimulatedProcess } from './simulated-process.ts';

/** An HTTP status and a JSON body. */
export interface Answer {
  readonly status: number;
  readonly body: string;
}

const empty: Answer = { status: 200, body: '{}' };

export function failed(status: number, message: string): Answer {
  return { status, body: JSON.stringify(errorJson(status, message)) };
}

export interface GoogleParts {
  readonly seed: number;
  readonly faults: Faults;
  readonly devices: Devices;
  now(): number;
}

/** Google's half of a process: the six methods, each carried out at once. The wire's troubles are not here. */
export class Google {
  readonly #parts: GoogleParts;

  constructor(parts: GoogleParts) {
    this.#parts = parts;
  }

  /**
   * @param operation the operation's id, for `operation` only
   * @param body the parsed JSON body, for the POST methods
   */
  carryOut(
    method: Method,
    process: SimulatedProcess,
    operation: string | undefined,
    body: Readonly<Record<string, unknown>>,
  ): Answer {
    if (this.#hasGone(process, method)) return notFound(process.id);
    switch (method) {
      case 'get':
        process.carriedOut.get += 1;
        return { status: 200, body: JSON.stringify(processJson(process, this.#context())) };
      case 'operation':
        return this.#operation(process, operation);
      case 'claim':
        return this.#claim(process, body['callerInstanceId']);
      case 'signData':
        return this.#signData(process, body['signData'], body['signatureAlgorithm']);
      case 'uploadCertificate':
        return this.#upload(process, body['certificatePem']);
      case 'setFailure':
        return this.#setFailure(process, body['errorMessage']);
    }
  }

  #hasGone(process: SimulatedProcess, method: Method): boolean {
    const { faults, devices } = this.#parts;
    const leaves = method === 'uploadCertificate' && process.spec.gone === 'at-upload';
    if (leaves) devices.forget(process);
    if (!process.gone && faults.happens('processGone', process.index, 0)) devices.forget(process);
    return process.gone;
  }

  #operation(process: SimulatedProcess, operation: string | undefined): Answer {
    const number = Number(operation);
    if (!(number < process.carriedOut.signData)) {
      return failed(404, `Operation ${operation?.slice(0, 80)} does not exist.`);
    }
    process.carriedOut.operation += 1;
    return { status: 200, body: JSON.stringify(operationJson(process, number, this.#context())) };
  }

  #claim(process: SimulatedProcess, caller: unknown): Answer {
    const { faults, devices } = this.#parts;
    if (typeof caller !== 'string' || caller === '')
      return failed(400, 'callerInstanceId is required.');
    const ended = this.#afterEnd(process);
    if (ended !== undefined) return ended;
    if (process.claimedBy !== undefined && process.claimedBy !== caller) {
      return failed(faults.choice('claimByOther'), 'The process was claimed by another instance.');
    }
    if (process.claimedBy === caller && faults.choice('claimRepeated') === 400) {
      return failed(400, 'The process has been claimed already.');
    }
    process.claimedBy = caller;
    process.carriedOut.claim += 1;
    if (process.spec.gone === 'after-claim') devices.forget(process);
    return empty;
  }

  #signData(process: SimulatedProcess, data: unknown, algorithm: unknown): Answer {
    const { faults, devices, now } = this.#parts;
    const refused =
      this.#afterEnd(process) ?? this.#beforeClaim(process, faults.choice('signDataBeforeClaim'));
    if (refused !== undefined) return refused;
    if (typeof data !== 'string' || !isBase64(data)) {
      return failed(400, 'signData must be base64 and not empty.');
    }
    const expected = keyAlgorithm(process);
    const asked = algorithm ?? (process.spec.profile === 'scep' ? expected : undefined);
    if (!isAlgorithm(asked)) return failed(400, 'signatureAlgorithm is not a known algorithm.');
    if (asked !== expected && faults.choice('algorithmMismatch') === 400) {
      return failed(400, "signatureAlgorithm does not fit the process's public key.");
    }
    if (process.signData !== undefined) return this.#signDataAgain(process);
    process.carriedOut.signData += 1;
    process.signData = data;
    process.signatureAlgorithm = asked;
    process.operationStartedAtMs = now();
    const answer = this.#operationAnswer(process, 0);
    if (asked === expected) devices.askToSign(process);
    else devices.failSigning(process, 'The algorithm does not fit the key.');
    return answer;
  }

  #signDataAgain(process: SimulatedProcess): Answer {
    const { faults, devices } = this.#parts;
    const choice = faults.choice('signDataTwice');
    if (choice === 400) return failed(400, 'signData was called for this process already.');
    process.carriedOut.signData += 1;
    if (choice === 'same') return this.#operationAnswer(process, 0);
    const answer = this.#operationAnswer(process, process.carriedOut.signData - 1);
    devices.failSigning(process, 'The device was asked to sign twice.');
    return answer;
  }

  #upload(process: SimulatedProcess, pem: unknown): Answer {
    const { faults, devices } = this.#parts;
    if (typeof pem !== 'string' || pem === '') return failed(400, 'certificatePem is required.');
    if (process.certificatePem !== undefined && process.failureMessage === undefined) {
      if (faults.choice('uploadTwice') === 400) {
        return failed(400, 'A certificate was uploaded already.');
      }
      return empty;
    }
    const refused =
      this.#afterEnd(process) ?? this.#beforeClaim(process, faults.choice('endBeforeClaim'));
    if (refused !== undefined) return refused;
    const problem = deviceProblem(pem, process.key.spki);
    const wrong = faults.choice('wrongUpload');
    if (problem !== undefined && wrong === 400) return failed(400, `certificatePem: ${problem}.`);
    process.carriedOut.uploadCertificate += 1;
    process.certificatePem = pem;
    if (problem !== undefined && wrong === 'process-fails') {
      devices.fail(process, `The uploaded certificate cannot be used: ${problem}.`);
    }
    devices.offerCertificate(process, problem);
    return empty;
  }

  #setFailure(process: SimulatedProcess, message: unknown): Answer {
    const { faults, devices } = this.#parts;
    const refused =
      this.#afterEnd(process) ?? this.#beforeClaim(process, faults.choice('endBeforeClaim'));
    if (refused !== undefined) return refused;
    if (typeof message !== 'string') return failed(400, 'errorMessage is required.');
    process.carriedOut.setFailure += 1;
    devices.fail(process, message);
    return empty;
  }

  #afterEnd(process: SimulatedProcess): Answer | undefined {
    if (process.failureMessage === undefined && process.certificatePem === undefined)
      return undefined;
    return failed(this.#parts.faults.choice('callAfterEnd'), 'The process has ended.');
  }

  #beforeClaim(process: SimulatedProcess, choice: 200 | 400): Answer | undefined {
    if (process.claimedBy !== undefined || choice === 200) return undefined;
    return failed(choice, 'The process has not been claimed.');
  }

  #operationAnswer(process: SimulatedProcess, number: number): Answer {
    return {
      status: 200,
      body: JSON.stringify(operationJson(process, number, this.#context())),
    };
  }

  #context(): JsonContext {
    const { seed, faults } = this.#parts;
    return { seed, scepPlaceholders: faults.choice('scepPlaceholders') };
  }
}

export function notFound(id: string): Answer {
  return failed(404, `Certificate provisioning process ${id.slice(0, 80)} does not exist.`);
}

function isAlgorithm(value: unknown): value is SignatureAlgorithm {
  return (
    value === 'SIGNATURE_ALGORITHM_RSA_PKCS1_V1_5_SHA256' ||
    value === 'SIGNATURE_ALGORITHM_ECDSA_SHA256'
  );
}

function isBase64(text: string): boolean {
  return text !== '' && text.length % 4 === 0 && /^[A-Za-z0-9+/]+={0,2}$/.test(text);
}
