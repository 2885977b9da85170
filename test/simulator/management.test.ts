import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Simulator } from '../../simulator/outside-world.ts';
import { startSimulator } from '../../simulator/simulator.ts';
import { answerOf, call } from './enrolment.ts';

let simulator: Simulator;

beforeEach(async () => {
  simulator = await startSimulator({ faults: 0, distinctKeys: { rsa: 1, ec: 1 } });
});

afterEach(() => simulator[Symbol.asyncDispose]());

const ask = async (path: string, method = 'GET', body?: string) =>
  answerOf(
    await fetch(`${simulator.managementUrl}${path}`, {
      method,
      ...(body === undefined ? {} : { body }),
    }),
  );

describe('POST /devices', () => {
  it('adds devices and announces them', async () => {
    const { status, body } = await ask(
      '/devices',
      'POST',
      '{"count":2,"key":"ec","subject":"user"}',
    );
    expect(status).toBe(200);
    expect(body.processes).toHaveLength(2);
    const [{ name, customer, id }] = body.processes;
    expect(id).toMatch(/^[0-9a-f]{32}$/);
    expect(name).toBe(`customers/${customer}/certificateProvisioningProcesses/${id}`);
    expect(simulator.messages()).toEqual({ waiting: 2, out: 0 });
    const { body: process } = await call(simulator, id, 'get');
    expect(process.chromeOsUserSession.userPrimaryEmail).toBe('user1@simulator.example');
    expect(process.genericProfile.profileAdapterConfigReference).toBe('user_profile');
  });

  it('has a default for everything', async () => {
    expect((await ask('/devices', 'POST')).body.processes).toHaveLength(1);
    expect(simulator.processes()[0]).toMatchObject({ key: 'rsa', subject: 'device' });
  });

  it.each([
    ['{"count":0}', 'count'],
    ['{"key":"dsa"}', 'key'],
    ['{"colour":"red"}', 'colour'],
    ['{', 'not JSON'],
    ['[]', 'JSON object'],
  ])('refuses %s and says why', async (body, why) => {
    const answer = await ask('/devices', 'POST', body);
    expect(answer.status).toBe(400);
    expect(answer.body.error).toContain(why);
    expect(simulator.processes()).toEqual([]);
  });

  it('refuses a body that is too large', async () => {
    expect((await ask('/devices', 'POST', ' '.repeat(70_000))).status).toBe(413);
  });
});

describe('GET /processes', () => {
  it('answers none, many, and one', async () => {
    expect(await ask('/processes')).toEqual({ status: 200, body: { processes: [] } });
    const added = await simulator.addDevices({ key: 'ec', count: 2_500 });
    const { body } = await ask('/processes');
    expect(body.processes).toHaveLength(2_500);
    expect(body.processes).toEqual(JSON.parse(JSON.stringify(simulator.processes())));
    const one = await ask(`/processes/${added[7]!.id}`);
    expect(one.body).toEqual(body.processes[7]);
    expect(one.body).toMatchObject({
      state: 'created',
      calls: { get: 0, claim: 0, signData: 0, operation: 0, uploadCertificate: 0, setFailure: 0 },
      device: { accepted: false },
    });
  });

  it('has a summary', async () => {
    await simulator.addDevices({ key: 'ec', count: 3 });
    expect((await ask('/summary')).body).toMatchObject({ created: 3, delivered: 0 });
  });

  it('counts the calls that arrived', async () => {
    const [added] = await simulator.addDevices({ key: 'ec' });
    await call(simulator, added!.id, 'get');
    await call(simulator, added!.id, 'signData', {});
    const { body } = await ask(`/processes/${added!.id}`);
    expect(body.calls).toMatchObject({ get: 1, signData: 1 });
    expect(body.carriedOut).toMatchObject({ get: 1, signData: 0 });
  });

  it('says 404 for a process that it does not know, and for a path', async () => {
    expect((await ask('/processes/nothing')).status).toBe(404);
    expect((await ask('/nothing')).status).toBe(404);
  });
});

describe('faults', () => {
  it('are shown and changed', async () => {
    const answer = await ask('/faults', 'POST', '{"get.429":0.5,"claimRepeated":400}');
    expect(answer.body).toMatchObject({ 'get.429': 0.5, claimRepeated: 400, rate: 0 });
    expect(await ask('/faults')).toEqual(answer);
  });

  it('are refused by name', async () => {
    const answer = await ask('/faults', 'POST', '{"earthquake":1}');
    expect(answer).toMatchObject({
      status: 400,
      body: { error: expect.stringContaining('earthquake') },
    });
  });
});

it('makes a process vanish, and announces the open ones again', async () => {
  const [gone, open] = await simulator.addDevices({ key: 'ec', count: 2 });
  expect((await ask(`/processes/${gone!.id}`, 'DELETE')).status).toBe(200);
  expect((await call(simulator, gone!.id, 'get')).status).toBe(404);
  expect((await call(simulator, open!.id, 'get')).status).toBe(200);
  expect((await ask('/pubsub/republish', 'POST')).body).toEqual({ published: 1 });
  expect((await ask('/pubsub/break', 'POST')).status).toBe(200);
});

it('binds loopback only', async () => {
  await expect(startSimulator({ host: '0.0.0.0' })).rejects.toThrow('binds only');
});
