import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DeviceSpecInput } from '../../simulator/device-spec.ts';
import { methods, troubles } from '../../simulator/faults.ts';
import type { Simulator } from '../../simulator/outside-world.ts';
import { startSimulator } from '../../simulator/simulator.ts';
import { certificateFor } from '../support/certificate-for.ts';
import { call, doneOperation, ecdsa, rsa, someData } from './enrolment.ts';

const sample = JSON.parse(
  readFileSync(new URL('../fixtures/sign-data-sample.json', import.meta.url), 'utf8'),
);

let simulator: Simulator;

beforeEach(async () => {
  simulator = await startSimulator({
    faults: 0,
    seed: 7,
    signingDelayMs: 0,
    distinctKeys: { rsa: 1, ec: 4 },
    holdMs: 10,
    lateMs: 10,
  });
});

afterEach(() => simulator[Symbol.asyncDispose]());

async function add(spec: DeviceSpecInput = { key: 'ec' }): Promise<string> {
  const [added] = await simulator.addDevices(spec);
  return added!.id;
}

async function claimed(spec?: DeviceSpecInput): Promise<string> {
  const id = await add(spec);
  await call(simulator, id, 'claim', { callerInstanceId: 'a' });
  return id;
}

const sign = (id: string, signatureAlgorithm = ecdsa) =>
  call(simulator, id, 'signData', { signData: someData(), signatureAlgorithm });

/** The keys at every level, without the values. */
function shapeOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shapeOf(inner)]));
}

describe("the shapes of Google's published sample", () => {
  it('is followed by a process before signData', async () => {
    const { body } = await call(simulator, await add({ key: 'rsa' }), 'get');
    expect(shapeOf(body)).toEqual(shapeOf(sample.beforeSignData));
    expect(Object.keys(body)).toEqual(Object.keys(sample.beforeSignData));
  });

  it('is followed by a running operation', async () => {
    const id = await claimed({ key: 'rsa', signs: 'never' });
    const { body } = await sign(id, rsa);
    expect(shapeOf(body)).toEqual(shapeOf(sample.running));
    expect(body.metadata['@type']).toBe(sample.running.metadata['@type']);
    expect(await call(simulator, id, 'operations/0')).toEqual({ status: 200, body });
  });

  it('is followed by a succeeded operation', async () => {
    const id = await claimed({ key: 'rsa' });
    await sign(id, rsa);
    const body = await doneOperation(simulator, id);
    expect(shapeOf(body)).toEqual(shapeOf(sample.succeeded));
    const inner = body.response.certificateProvisioningProcess;
    const expected = sample.succeeded.response.certificateProvisioningProcess;
    expect(Object.keys(inner)).toEqual(Object.keys(expected));
    expect(body.response['@type']).toBe(sample.succeeded.response['@type']);
  });

  it('is followed by a failed operation', async () => {
    const id = await claimed({ key: 'rsa', signs: 'wrong-key' });
    await sign(id, rsa);
    const body = await doneOperation(simulator, id);
    expect(shapeOf(body)).toEqual(shapeOf(sample.failed));
    expect(body.error).toEqual(sample.failed.error);
  });
});

describe('errors', () => {
  it('have the form of Google', async () => {
    const answer = await call(simulator, 'f'.repeat(32), 'get');
    expect(answer).toEqual({
      status: 404,
      body: { error: { code: 404, message: expect.any(String), status: 'NOT_FOUND' } },
    });
  });

  it('answer what is no call, no JSON, or too large', async () => {
    const id = await add();
    const root = `${simulator.restUrl}/v1/customers/C01simul8/certificateProvisioningProcesses/${id}`;
    const post = (body: string) => fetch(`${root}:claim`, { method: 'POST', body });
    expect((await fetch(`${simulator.restUrl}/v1/nothing`)).status).toBe(404);
    expect((await fetch(`${root}:cancel`, { method: 'POST' })).status).toBe(404);
    expect((await fetch(`${root}:claim`)).status).toBe(404);
    expect((await post('{')).status).toBe(400);
    expect((await post('[]')).status).toBe(400);
    expect((await post('{}')).status).toBe(400);
    expect((await post('x'.repeat(300_000))).status).toBe(413);
    expect((await call(simulator, id, 'get', {}, 'Cother')).status).toBe(404);
  });

  it.each([401, 403] as const)(
    'are %i for every call when access is not granted',
    async (status) => {
      simulator.setFaults({ restAccess: status });
      expect((await call(simulator, await add(), 'get')).status).toBe(status);
    },
  );
});

it('puts a proxy’s answer in place of Google’s, for as long as was asked for', async () => {
  const id = await add();
  const url = `${simulator.restUrl}/v1/customers/my_customer/certificateProvisioningProcesses/${id}`;
  const set = (query: string, changes: unknown) =>
    fetch(`${simulator.managementUrl}/faults${query}`, {
      method: 'POST',
      body: JSON.stringify(changes),
    });
  await set('', { interceptedBody: 'cut' });
  await set('?forMs=60', { intercepted: 404, interceptedBody: 'html', interceptedMethod: 'get' });
  const page = await fetch(url);
  expect([page.status, page.headers.get('server'), page.headers.get('content-type')]).toEqual([
    404,
    'squid/5.7',
    'text/html',
  ]);
  expect(await page.text()).toMatch(/^<!DOCTYPE html>/);
  expect((await call(simulator, id, 'claim', { callerInstanceId: 'a' })).status).toBe(200);
  await expect.poll(async () => (await fetch(url)).status).toBe(200);
  expect(simulator.process(id)?.calls).toMatchObject({ claim: 1, get: 1 });
  expect(simulator.faults()).toMatchObject({ intercepted: 'off', interceptedBody: 'cut' });
  expect((await set('?forMs=soon', {})).status).toBe(400);
});

it('takes my_customer for the obfuscated customer id', async () => {
  const { status, body } = await call(simulator, await add(), 'get', {}, 'my_customer');
  expect(status).toBe(200);
  expect(body.name).toContain('customers/C01simul8/');
});

describe('switches', () => {
  const claim = (id: string, callerInstanceId: string) =>
    call(simulator, id, 'claim', { callerInstanceId });

  it.each([200, 400] as const)('claimRepeated answers %i', async (choice) => {
    simulator.setFaults({ claimRepeated: choice });
    const id = await claimed();
    expect((await claim(id, 'a')).status).toBe(choice);
  });

  it.each([400, 409] as const)('claimByOther answers %i', async (choice) => {
    simulator.setFaults({ claimByOther: choice });
    expect((await claim(await claimed(), 'b')).status).toBe(choice);
  });

  it.each([200, 400] as const)('signDataBeforeClaim answers %i', async (choice) => {
    simulator.setFaults({ signDataBeforeClaim: choice });
    expect((await sign(await add())).status).toBe(choice);
  });

  it.each([200, 400] as const)('endBeforeClaim answers %i', async (choice) => {
    simulator.setFaults({ endBeforeClaim: choice });
    const answer = await call(simulator, await add(), 'setFailure', { errorMessage: 'no' });
    expect(answer.status).toBe(choice);
  });

  it('signDataTwice: the device fails the process', async () => {
    const id = await claimed({ key: 'ec', signs: 'never' });
    await sign(id);
    expect((await sign(id)).body.name).toMatch(/operations\/1$/);
    expect(simulator.process(id)?.state).toBe('failed');
    expect(simulator.process(id)?.carriedOut.signData).toBe(2);
    expect((await doneOperation(simulator, id)).error.code).toBe(3);
  });

  it('signDataTwice: the same operation', async () => {
    simulator.setFaults({ signDataTwice: 'same' });
    const id = await claimed({ key: 'ec', signs: 'never' });
    const first = await sign(id);
    expect(await sign(id)).toEqual(first);
    expect(simulator.process(id)?.state).toBe('signing');
  });

  it('signDataTwice: 400', async () => {
    simulator.setFaults({ signDataTwice: 400 });
    const id = await claimed({ key: 'ec', signs: 'never' });
    await sign(id);
    expect((await sign(id)).status).toBe(400);
    expect(simulator.process(id)?.carriedOut.signData).toBe(1);
  });

  it('algorithmMismatch: 400, or an operation that fails', async () => {
    const id = await claimed();
    expect((await sign(id, rsa)).status).toBe(400);
    simulator.setFaults({ algorithmMismatch: 'operation-error' });
    expect((await sign(id, rsa)).status).toBe(200);
    expect((await doneOperation(simulator, id)).error.code).toBe(3);
    expect(simulator.process(id)?.state).toBe('failed');
  });

  it('wrongUpload: 400, the process fails, or only the device notices', async () => {
    const otherKey = await certificateFor((await other()).subjectPublicKeyInfo);
    const upload = (id: string) =>
      call(simulator, id, 'uploadCertificate', { certificatePem: otherKey });
    const refused = await claimed();
    expect((await upload(refused)).status).toBe(400);
    expect(simulator.process(refused)?.state).toBe('claimed');
    simulator.setFaults({ wrongUpload: 'process-fails' });
    const failing = await claimed();
    expect((await upload(failing)).status).toBe(200);
    expect(simulator.process(failing)?.failureMessage).toContain('public key');
    simulator.setFaults({ wrongUpload: 200 });
    const unnoticed = await claimed();
    expect((await upload(unnoticed)).status).toBe(200);
    const [settled] = await simulator.settled([unnoticed]);
    expect(settled?.state).toBe('uploaded');
    expect(settled?.device).toEqual({
      accepted: false,
      problem: "the certificate's public key is not the device's",
    });
  });

  it('uploadTwice and callAfterEnd', async () => {
    const id = await claimed();
    const certificatePem = await certificateFor(simulator.process(id)!.subjectPublicKeyInfo);
    const upload = () => call(simulator, id, 'uploadCertificate', { certificatePem });
    expect((await upload()).status).toBe(200);
    expect((await upload()).status).toBe(400);
    simulator.setFaults({ uploadTwice: 200, callAfterEnd: 409 });
    expect((await upload()).status).toBe(200);
    expect((await sign(id)).status).toBe(409);
    expect((await claim(id, 'a')).status).toBe(409);
    expect((await call(simulator, id, 'setFailure', { errorMessage: 'no' })).status).toBe(409);
    expect((await call(simulator, id, 'get')).body.issuedCertificate).toBe(certificatePem);
    expect(simulator.process(id)?.carriedOut.uploadCertificate).toBe(1);
  });

  it('scepPlaceholders: filled in, or as the administrator wrote them', async () => {
    const id = await add({ key: 'ec', subject: 'user', profile: 'scep' });
    const name = async () => (await call(simulator, id, 'get')).body.scepProfile.subjectCommonName;
    expect(await name()).toBe('user1@simulator.example');
    simulator.setFaults({ scepPlaceholders: 'raw' });
    expect(await name()).toBe('${USER_EMAIL}');
  });

  it('processGone: 404 from the start', async () => {
    simulator.setFaults({ processGone: 1 });
    const id = await add();
    expect((await call(simulator, id, 'get')).status).toBe(404);
    expect(simulator.process(id)?.state).toBe('gone');
  });
});

describe('troubles on the wire', () => {
  const calls = {
    get: (id: string) => call(simulator, id, 'get'),
    claim: (id: string) => call(simulator, id, 'claim', { callerInstanceId: 'a' }),
    signData: (id: string) => sign(id),
    operation: (id: string) => call(simulator, id, 'operations/0'),
    uploadCertificate: (id: string) =>
      call(simulator, id, 'uploadCertificate', { certificatePem: 'nothing' }),
    setFailure: (id: string) => call(simulator, id, 'setFailure', { errorMessage: 'no' }),
  };
  const every = methods.flatMap((method) => troubles.map((trouble) => ({ method, trouble })));

  it.each(every)('$method.$trouble', async ({ method, trouble }) => {
    const id = await claimed({ key: 'ec', signs: 'never' });
    if (method === 'operation') await sign(id);
    const before = simulator.process(id)!;
    simulator.setFaults({ [`${method}.${trouble}`]: 1 });
    const answer = await calls[method](id).catch(() => undefined);
    const after = simulator.process(id)!;
    expect(after.calls[method]).toBe(before.calls[method] + 1);
    const carriedOut = after.carriedOut[method] - before.carriedOut[method];
    if (/^\d+$/.test(trouble)) {
      expect(answer).toMatchObject({ status: Number(trouble), body: { error: {} } });
      expect(carriedOut).toBe(0);
    } else if (trouble === 'timeout' || trouble === 'resetBefore') {
      expect(answer).toBeUndefined();
      expect(carriedOut).toBe(0);
    } else {
      expect(answer === undefined).toBe(trouble === 'lostAnswer');
      if (method !== 'uploadCertificate') expect(carriedOut).toBe(1);
    }
  });

  it('says with 429 when to come back', async () => {
    simulator.setFaults({ 'get.429': 1 });
    const root = `${simulator.restUrl}/v1/customers/C01simul8/certificateProvisioningProcesses`;
    const response = await fetch(`${root}/${await add()}`);
    expect(response.headers.get('retry-after')).toBe('1');
    await response.body?.cancel();
  });
});

async function other() {
  const id = await add();
  return simulator.process(id)!;
}
