import { verify } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deviceProblem } from '../../simulator/device-check.ts';
import type { DeviceSpecInput } from '../../simulator/device-spec.ts';
import { untilNextPollMs } from '../../simulator/devices.ts';
import type { Simulator } from '../../simulator/outside-world.ts';
import { startSimulator } from '../../simulator/simulator.ts';
import { certificateFor } from '../support/certificate-for.ts';
import { call, doneOperation, ecdsa, rsa, someData } from './enrolment.ts';

let simulator: Simulator;

beforeEach(async () => {
  simulator = await startSimulator({
    faults: 0,
    signingDelayMs: 0,
    distinctKeys: { rsa: 1, ec: 2 },
  });
});

afterEach(() => simulator[Symbol.asyncDispose]());

async function asked(spec: DeviceSpecInput) {
  const [added] = await simulator.addDevices(spec);
  const { id } = added!;
  const signData = someData();
  await call(simulator, id, 'claim', { callerInstanceId: 'a' });
  const signatureAlgorithm = spec.key === 'ec' ? ecdsa : rsa;
  await call(simulator, id, 'signData', { signData, signatureAlgorithm });
  return { id, data: Buffer.from(signData, 'base64') };
}

function fits(id: string, data: Buffer, dsaEncoding: 'der' | 'ieee-p1363'): boolean {
  const { subjectPublicKeyInfo, signature } = simulator.process(id)!;
  const key = Buffer.from(subjectPublicKeyInfo, 'base64');
  return verify(
    'sha256',
    data,
    { key, format: 'der', type: 'spki', dsaEncoding },
    Buffer.from(signature ?? '', 'base64'),
  );
}

describe('a device that is asked to sign', () => {
  it('signs the decoded bytes with its RSA key', async () => {
    const { id, data } = await asked({ key: 'rsa' });
    await doneOperation(simulator, id);
    expect(fits(id, data, 'der')).toBe(true);
    expect(simulator.process(id)).toMatchObject({ state: 'signed', settled: false });
    expect(simulator.process(id)?.times.signedAt).toBeTypeOf('number');
  });

  it('writes EC signatures as DER, or raw by its spec or the switch', async () => {
    const der = await asked({ key: 'ec' });
    const raw = await asked({ key: 'ec', ecSignature: 'raw' });
    await Promise.all([doneOperation(simulator, der.id), doneOperation(simulator, raw.id)]);
    simulator.setFaults({ ecSignature: 'raw' });
    const switched = await asked({ key: 'ec' });
    await doneOperation(simulator, switched.id);
    expect(fits(der.id, der.data, 'der')).toBe(true);
    expect(fits(raw.id, raw.data, 'ieee-p1363')).toBe(true);
    expect(Buffer.from(simulator.process(raw.id)?.signature ?? '', 'base64')).toHaveLength(64);
    expect(fits(switched.id, switched.data, 'ieee-p1363')).toBe(true);
  });

  it('with another key is found out by Google, or not, by the switch', async () => {
    const seen = await asked({ key: 'ec', signs: 'wrong-key' });
    expect((await doneOperation(simulator, seen.id)).error.code).toBe(3);
    expect(simulator.process(seen.id)?.state).toBe('failed');
    simulator.setFaults({ wrongSignature: 'passed-on' });
    const passed = await asked({ key: 'ec', signs: 'wrong-key' });
    expect((await doneOperation(simulator, passed.id)).response).toBeDefined();
    expect(fits(passed.id, passed.data, 'der')).toBe(false);
  });

  it('vanishes when its spec says so', async () => {
    const { id } = await asked({ key: 'ec', gone: 'after-signing' });
    await simulator.settled([id]);
    expect((await call(simulator, id, 'get')).status).toBe(404);
    const [early] = await simulator.addDevices({ key: 'ec', gone: 'after-claim' });
    const claim = () => call(simulator, early!.id, 'claim', { callerInstanceId: 'a' });
    expect((await claim()).status).toBe(200);
    expect((await claim()).status).toBe(404);
  });

  it('shares keys beyond the number of distinct ones', async () => {
    await simulator.addDevices({ key: 'ec', count: 5 });
    const keys = simulator.processes().map((process) => process.subjectPublicKeyInfo);
    expect(new Set(keys).size).toBe(2);
  });
});

it('accepts exactly one certificate over its own key', async () => {
  const { id } = await asked({ key: 'ec' });
  await doneOperation(simulator, id);
  const certificatePem = await certificateFor(simulator.process(id)!.subjectPublicKeyInfo);
  await call(simulator, id, 'uploadCertificate', { certificatePem });
  const [settled] = await simulator.settled([id]);
  expect(settled).toMatchObject({ state: 'delivered', settled: true, device: { accepted: true } });
  expect(settled?.times.endedAt).toBeTypeOf('number');
});

it('shows why a process was refused', async () => {
  const { id } = await asked({ key: 'ec', signs: 'never' });
  await call(simulator, id, 'setFailure', { errorMessage: 'not today' });
  const [settled] = await simulator.settled([id]);
  expect(settled).toMatchObject({ state: 'failed', failureMessage: 'not today' });
});

it('says which processes are open when they do not end in time', async () => {
  const { id } = await asked({ key: 'ec', signs: 'never' });
  await expect(simulator.settled([id], { timeoutMs: 1 })).rejects.toThrow('1 signing');
  const signal = AbortSignal.abort(new Error('enough'));
  await expect(simulator.settled([id], { signal })).rejects.toThrow('enough');
});

describe("the device's look at a certificate", () => {
  it('finds a chain, garbage, and another key', async () => {
    await simulator.addDevices({ key: 'ec', count: 2 });
    const [one, two] = simulator.processes().map((each) => each.subjectPublicKeyInfo);
    const spki = Buffer.from(one!, 'base64');
    const pem = await certificateFor(one!);
    expect(deviceProblem(pem, spki)).toBeUndefined();
    expect(deviceProblem(`${pem}${pem}`, spki)).toContain('exactly one certificate, got 2');
    expect(deviceProblem('', spki)).toContain('got 0');
    expect(deviceProblem(await certificateFor(two!), spki)).toContain("not the device's");
    const garbage = pem.replace(/^MII.{20}/m, `MII${'A'.repeat(20)}`);
    expect(deviceProblem(garbage, spki)).toContain('does not parse');
  });
});

it('polls after 30 s, 2 min, 8 min, and then every 8 h', () => {
  const seconds = (waited: number) => untilNextPollMs(waited * 1_000) / 1_000;
  expect(seconds(0)).toBe(30);
  expect(seconds(29)).toBe(1);
  expect(seconds(30)).toBe(120);
  expect(seconds(150)).toBe(480);
  expect(seconds(630)).toBe(8 * 3_600);
  expect(seconds(630 + 8 * 3_600)).toBe(8 * 3_600);
  expect(seconds(630 + 8 * 3_600 + 60)).toBe(8 * 3_600 - 60);
});

it('waits for its next poll when the push is lost', async () => {
  await using slow = await startSimulator({
    faults: 0,
    pushProbability: 0,
    timeScale: 0.002,
    signingDelayMs: 0,
  });
  const [added] = await slow.addDevices({ key: 'ec' });
  const { id } = added!;
  await call(slow, id, 'claim', { callerInstanceId: 'a' });
  await call(slow, id, 'signData', { signData: someData(), signatureAlgorithm: ecdsa });
  await doneOperation(slow, id);
  const { startedAt, signedAt } = slow.process(id)!.times;
  expect(signedAt! - startedAt).toBeGreaterThanOrEqual(55);
});
