import { describe, expect, it } from 'vitest';
import type { FaultChanges, Method } from '../../simulator/faults.ts';
import { notificationData } from '../../simulator/notification.ts';
import { strangersBody } from '../../simulator/rest-server.ts';
import { Observer } from '../../simulator/world/invariants.ts';
import { hourMs } from '../../simulator/world/scheduler.ts';
import { strokes } from '../../simulator/world/script.ts';
import type { Fates, Trouble } from '../../simulator/world/wire.ts';
import { World, type WorldOptions } from '../../simulator/world/world.ts';

/** One device, one worker, until the process has ended; every promise is checked from outside. */
async function one(options: WorldOptions, device: Parameters<World['add']>[0] = {}) {
  const world = new World(options);
  const observer = new Observer(world);
  const process = world.add(device);
  world.start();
  await world.untilClosed();
  await world.pass(60_000);
  expect(observer.finish()).toEqual([]);
  return { world, process, outcome: world.outcome(process) };
}

describe('a prompt device', () => {
  it.each(['ec', 'rsa'] as const)('with an %s key costs exactly five calls', async (key) => {
    const { process, outcome } = await one({ checksChain: true }, { key, signAfterMs: 100 });
    expect(outcome).toBe('delivered');
    expect(process.accepted).toBe(true);
    expect(process.calls).toEqual({
      get: 1,
      claim: 1,
      signData: 1,
      operation: 1,
      uploadCertificate: 1,
      setFailure: 0,
    });
  });

  it('that is announced five times is served once', async () => {
    const world = new World();
    const observer = new Observer(world);
    const process = world.add({}, 5);
    world.start();
    world.start();
    await world.untilClosed();
    expect(observer.finish()).toEqual([]);
    expect(world.outcome(process)).toBe('delivered');
    expect(process.carriedOut).toMatchObject({ claim: 1, signData: 1, uploadCertificate: 1 });
    expect(world.ca().ledger).toHaveLength(1);
    expect(world.inbox.acknowledged).toBe(5);
  });
});

describe('a lost answer', () => {
  const calls: readonly Method[] = ['get', 'claim', 'signData', 'operation', 'uploadCertificate'];
  const troubles: readonly Trouble[] = [
    'lost-request',
    'late-request',
    'lost-answer',
    'fails',
    'fails-after',
  ];
  const switches: readonly FaultChanges[] = [
    { claimRepeated: 200, uploadTwice: 200, signDataTwice: 'device-fails', callAfterEnd: 400 },
    { claimRepeated: 400, uploadTwice: 400, signDataTwice: 'same', callAfterEnd: 404 },
    { claimRepeated: 400, uploadTwice: 200, signDataTwice: 400, callAfterEnd: 409 },
    { claimRepeated: 200, uploadTwice: 400, signDataTwice: 'device-fails', callAfterEnd: 409 },
  ];
  for (const method of calls) {
    // Google is told to give signData up after four seconds; the way there takes less than two.
    const lateMs = method === 'signData' ? 5_900 : 7_000;
    for (const trouble of troubles) {
      it(`of ${method} (${trouble}, once or three times) ends well under every switch`, async () => {
        for (const faults of switches) {
          for (const times of [1, 3]) {
            const turns = Array.from({ length: times }, (_, index) => index + 1);
            const fates = strokes(
              ...turns.map((turn) => ({
                call: `google.${method}`,
                turn,
                trouble,
                ...(trouble === 'late-request' ? { requestMs: lateMs } : {}),
              })),
            );
            const { process, outcome } = await one({ fates, faults });
            expect({ outcome, faults, times }).toEqual({ outcome: 'delivered', faults, times });
            expect(process.carriedOut.signData).toBe(1);
          }
        }
      });
    }
  }

  it.each(troubles)('of setFailure (%s) ends as refused', async (trouble) => {
    for (const callAfterEnd of [400, 404, 409] as const) {
      const { process, outcome } = await one({
        fates: strokes({ call: 'google.setFailure', trouble }),
        faults: { callAfterEnd },
        proven: true,
        cas: { default_ca_config: { decide: () => ({ kind: 'reject' }) } },
      });
      expect(outcome).toBe('refused ca-rejected');
      expect(process.failureMessage).toContain('(ca-rejected)');
      expect(process.failureMessage).not.toContain('policy');
    }
  });
});

describe('a device', () => {
  it('that signs after seven hours gets its certificate', async () => {
    const { process, world, outcome } = await one({}, { signAfterMs: 7 * hourMs });
    expect(outcome).toBe('delivered');
    expect(world.journal.kept.get(process.id)?.closedAt).toBeLessThan(
      (process.signedAtMs ?? 0) + 6 * 60_000,
    );
    expect(process.calls.operation).toBeLessThan(130);
  });

  it('that never signs is refused after a day, and the CA is not asked', async () => {
    const { process, world, outcome } = await one({}, { signs: 'never' });
    expect(outcome).toBe('refused signing-timeout');
    const closedAt = world.journal.kept.get(process.id)?.closedAt ?? 0;
    expect((closedAt - process.startedAtMs) / hourMs).toBeCloseTo(24, 1);
    expect(world.ca().requests).toEqual([]);
  });

  it('that signs with another key is refused, and the CA is not asked', async () => {
    const faults = { wrongSignature: 'passed-on' } as const;
    const { world, outcome } = await one({ faults }, { signs: 'wrong-key' });
    expect(outcome).toBe('refused signature-invalid');
    expect(world.ca().requests).toEqual([]);
  });

  it('whose wrong signature Google sees is closed as gone', async () => {
    const { world, outcome } = await one({}, { signs: 'wrong-key' });
    expect(outcome).toBe('gone signing-refused');
    expect(world.ca().requests).toEqual([]);
  });

  it('whose user is asked for by a SCEP profile with raw placeholders gets the names filled in', async () => {
    const { world, outcome } = await one(
      { faults: { scepPlaceholders: 'raw' } },
      {
        profile: 'scep',
        subject: 'user',
        scepProfile: { subjectCommonName: '${USER_EMAIL}', keyUsages: ['KEY_USAGE_SIGNING'] },
      },
    );
    expect(outcome).toBe('delivered');
    expect(world.ca().requests[0]?.wanted.subject.flat()).toContainEqual({
      type: '2.5.4.3',
      value: 'user1@simulator.example',
    });
  });
});

describe('a process that has gone', () => {
  it.each(['at-once', 'after-claim', 'after-signing'] as const)('%s is closed', async (gone) => {
    const { world, outcome } = await one({}, { gone });
    expect(outcome).toBe('gone google-not-found');
    for (const { revokedAt } of world.ca().ledger) expect(revokedAt).toBeDefined();
  });

  it('when its certificate was issued has it revoked', async () => {
    const fates = strokes({ call: 'google.uploadCertificate', waitMs: 10_000 });
    const world = new World({ fates });
    const observer = new Observer(world);
    const process = world.add();
    world.start();
    await world.until(() => world.ca().ledger.length > 0);
    world.google.devices.forget(process);
    await world.untilClosed();
    expect(observer.finish()).toEqual([]);
    expect(world.outcome(process)).toBe('gone google-not-found');
    expect(world.ca().ledger).toEqual([expect.objectContaining({ revokedAt: expect.any(Number) })]);
    expect(world.heardOf('orphan')).toMatchObject([{ revoked: true }]);
  });
});

describe('somebody between us and Google', () => {
  it.each<[string, number, number, string]>([
    ...[404, 400, 407].map((status): [string, number, number, string] => [
      'a page',
      status,
      50,
      strangersBody(status, 'html'),
    ]),
    ['a page', 410, 5, strangersBody(410, 'html')],
    ['a page', 451, 5, strangersBody(451, 'html')],
    ['a page', 200, 5, strangersBody(200, 'html')],
    ['nothing', 404, 5, ''],
    ['half of Google’s JSON', 404, 5, strangersBody(404, 'cut')],
    ['another gateway’s JSON', 404, 5, strangersBody(404, 'foreign')],
    ['a list', 200, 5, '[]'],
  ])(
    'who answers everything with %s and %i for three seconds costs nobody anything (%i new and as many signing)',
    async (_what, status, count, body) => {
      const world = new World();
      const observer = new Observer(world);
      // Some wait for their signature, which comes in the three seconds; some are announced in them.
      const indexes = Array.from({ length: count }, (_, index) => index / count);
      const signing = indexes.map((part) => world.add({ signAfterMs: 4_000 + part * 5_000 }));
      const fresh = indexes.map((part) => world.add({}, 1, 5_000 + part * 3_000));
      world.start();
      await world.pass(5_000);
      world.google.stranger = () => ({ status, body });
      await world.pass(3_000);
      expect(world.heardOf('trouble').length).toBeGreaterThan(count);
      world.google.stranger = () => undefined;
      await world.untilClosed();
      await world.pass(60_000);
      expect(observer.finish()).toEqual([]);
      const ends = [...signing, ...fresh].map((process) => world.outcome(process));
      expect(ends.filter((end) => end === 'delivered')).toHaveLength(2 * count);
      expect(world.ca().ledger).toHaveLength(2 * count);
      expect(world.ca().ledger.filter(({ revokedAt }) => revokedAt !== undefined)).toEqual([]);
    },
  );

  it.each(['get', 'claim', 'signData', 'operation', 'uploadCertificate', 'setFailure'] as const)(
    'who answers %s alone for two hours decides nothing',
    async (method) => {
      for (const status of [400, 404, 407]) {
        const decide =
          method === 'setFailure' ? { decide: () => ({ kind: 'reject' }) as const } : {};
        const world = new World({ proven: true, cas: { default_ca_config: decide } });
        const observer = new Observer(world);
        const process = world.add();
        world.start();
        world.google.stranger = (asked) =>
          asked === method ? { status, body: strangersBody(status, 'html') } : undefined;
        await world.pass(2 * hourMs);
        expect(world.outcome(process)).toBe('open');
        world.google.stranger = () => undefined;
        await world.untilClosed();
        expect(observer.finish()).toEqual([]);
        expect(world.outcome(process)).toBe(
          method === 'setFailure' ? 'refused ca-rejected' : 'delivered',
        );
      }
    },
  );
});

describe('a process that was announced under a wrong customer first', () => {
  const announce = (world: World, process: { id: string }, customer: string, afterMs: number) =>
    world.inbox.publish(process.id, notificationData(process.id, customer, 'binary', 0), afterMs);

  it.each([
    ['at the same moment', 0, 404],
    ['while the first look is under way', 4, 404],
    ['while the second look is waited for', 5_000, 404],
    ['when it was given up', 60_000, 404],
    ['at the same moment', 0, 403],
    ['hours later', 7 * hourMs, 403],
  ] as const)(
    'is found under the right one that came %s (%i ms, %i)',
    async (_when, afterMs, status) => {
      const world = new World();
      const observer = new Observer(world);
      world.google.unknown = status;
      const process = world.add({}, 0);
      announce(world, process, 'C0wrong', 0);
      announce(world, process, process.spec.customer, afterMs);
      announce(world, process, 'C1wrong', afterMs + 1);
      world.start();
      await world.pass(afterMs + 20);
      const asked = world.now;
      await world.untilClosed();
      expect(observer.finish()).toEqual([]);
      expect(world.outcome(process)).toBe('delivered');
      expect(process.carriedOut).toMatchObject({ claim: 1, signData: 1, uploadCertificate: 1 });
      expect(world.journal.kept.get(process.id)?.closedAt).toBeLessThan(asked + 20_000);
      expect(world.journal.kept.get(process.id)?.record.customer).toBe(
        afterMs === 60_000 ? undefined : process.spec.customer,
      );
    },
  );
});

describe('an operation that says nothing', () => {
  it.each<[string, (name: string) => unknown]>([
    ['done with an empty error', (name) => ({ name, done: true, error: {} })],
    ['done with both halves', (name) => ({ name, done: true, error: { code: 3 }, response: {} })],
    ['done with neither', (name) => ({ name, done: true })],
  ])('(%s) leads to a look at the process', async (_what, operation) => {
    const world = new World();
    const observer = new Observer(world);
    const process = world.add({ signAfterMs: 60_000 });
    const name = `customers/C0/certificateProvisioningProcesses/${process.id}/operations/0`;
    const body = JSON.stringify(operation(name));
    world.google.stranger = (method) =>
      method === 'operation' ? { status: 200, body } : undefined;
    world.start();
    await world.untilClosed();
    expect(observer.finish()).toEqual([]);
    expect(world.outcome(process)).toBe('delivered');
  });
});

describe('a verdict of Google’s that does not last', () => {
  const methods = ['get', 'claim', 'signData', 'operation', 'uploadCertificate'] as const;
  it.each(
    methods.flatMap((method) => [404, 400, 409, 410].map((status) => [method, status] as const)),
  )('of %s (%i, for ten seconds) ends nothing', async (method, status) => {
    const world = new World();
    const observer = new Observer(world);
    const process = world.add();
    world.google.outage = (asked) => (asked === method ? status : undefined);
    world.start();
    await world.pass(10_000);
    world.google.outage = () => undefined;
    await world.untilClosed();
    expect(observer.finish()).toEqual([]);
    expect(world.outcome(process)).toBe('delivered');
    expect(process.carriedOut.signData).toBe(1);
  });

  it.each(['claim', 'signData', 'uploadCertificate'] as const)(
    'of %s (404), which each look at the process overrules, is heard ever more rarely',
    async (method) => {
      const world = new World();
      const observer = new Observer(world);
      const process = world.add();
      let asked = 0;
      world.google.outage = (called) => {
        if (called === method) asked += 1;
        return called === method ? 404 : undefined;
      };
      world.start();
      await world.pass(hourMs);
      expect(asked).toBeGreaterThan(10);
      expect(asked).toBeLessThan(20);
      world.google.outage = () => undefined;
      await world.untilClosed();
      expect(world.outcome(process)).toBe('delivered');
      expect(observer.finish()).toEqual([]);
    },
  );

  it.each([
    ['claim', 'yielded'],
    ['signData', 'refused signing-refused'],
    ['uploadCertificate', 'refused google-rejected'],
  ] as const)(
    'is believed when %s hears it again, and after crashes between',
    async (method, end) => {
      const fates: Fates = (call) =>
        call.method === method && call.life.name === 'instance-1' ? { crash: 'after' } : {};
      for (const crashes of [false, true]) {
        const world = new World(crashes ? { fates } : {});
        const process = world.add();
        world.google.outage = (asked) => (asked === method ? 400 : undefined);
        world.start();
        await world.pass(60_000);
        if (crashes) world.start();
        await world.untilClosed();
        if (!crashes || method !== 'claim') expect(world.outcome(process)).toBe(end);
        expect(process.carriedOut.signData).toBeLessThan(2);
        expect(world.heardOf('bug')).toEqual([]);
      }
    },
  );
});

describe('a process of another adapter', () => {
  it.each([400, 409] as const)(
    '(%s) is closed when Google has said it twice',
    async (claimByOther) => {
      const world = new World({ faults: { claimByOther } });
      const process = world.add({}, 1, 10);
      process.claimedBy = 'rival';
      world.start();
      await world.untilClosed();
      expect(world.outcome(process)).toBe('yielded');
      expect(process.calls).toMatchObject({ get: 2, claim: 2, signData: 0, setFailure: 0 });
    },
  );

  it.each([
    ['refuse', 'refused authority-unknown', 1],
    ['ignore', 'yielded', 0],
  ] as const)('with a reference in no table: unmatched %s', async (unmatched, ending, calls) => {
    const world = new World({ unmatched });
    const process = world.add({ caConnection: 'elsewhere' });
    world.start();
    await world.untilClosed();
    expect(world.outcome(process)).toBe(ending);
    expect(process.calls).toMatchObject({ claim: calls, setFailure: calls });
  });
});

describe('unmatched: hold', () => {
  it.each(['authority', 'profile'] as const)(
    'holds a mistyped %s unclaimed, says what was meant, and delivers once it is in the table',
    async (what) => {
      const world = new World({ unmatched: 'hold' });
      const wrong =
        what === 'authority'
          ? { caConnection: 'default_ca_confg' }
          : { profileReference: 'device_profil' };
      const devices = Array.from({ length: 20 }, () => world.add(wrong));
      const first = world.start();
      await world.pass(5 * hourMs);
      const told = world.heardOf('unmatched');
      expect(told[0]?.message).toMatch(
        /Did you mean "(default_ca_config|device_profile)"\? .* after 24 hours/,
      );
      for (const { calls } of devices) {
        expect(calls).toMatchObject({ claim: 0, setFailure: 0 });
        expect(calls.get).toBeGreaterThan(3);
        expect(calls.get).toBeLessThan(9);
      }
      first.stop.abort();
      await world.until(() => first.ended !== undefined, hourMs);
      // A start that changes nothing costs no call for those that were looked at lately.
      const before = devices.map(({ calls }) => calls.get);
      const second = world.start();
      await world.pass(2_000);
      const again = devices.filter(({ calls }, index) => calls.get !== before[index]);
      expect(again.length).toBeLessThan(10);
      second.stop.abort();
      await world.until(() => second.ended !== undefined, hourMs);
      if (what === 'authority') world.aliases.set('default_ca_confg', 'default_ca_config');
      else {
        const profile = world.profiles.get('device_profile');
        if (profile !== undefined) world.profiles.set('device_profil', profile);
      }
      world.start();
      const correctedAt = world.now;
      await world.untilClosed();
      expect(devices.map((each) => world.outcome(each))).toEqual(devices.map(() => 'delivered'));
      expect(world.now - correctedAt).toBeLessThan(60_000);
    },
  );

  it('refuses after limits.unmatchedHours, by a claim first, and leaves alone what another adapter serves', async () => {
    const world = new World({ unmatched: 'hold' });
    const ours = world.add({ caConnection: 'nobody' });
    const theirs = world.add({ caConnection: 'theirs' });
    world.start();
    await world.pass(20 * hourMs);
    expect([ours, theirs].map((each) => world.outcome(each))).toEqual(['open', 'open']);
    world.google.carryOut('claim', theirs.id, undefined, { callerInstanceId: 'rival' });
    await world.untilClosed();
    expect(world.outcome(ours)).toBe('refused authority-unknown');
    expect(world.outcome(theirs)).toBe('yielded');
    expect((world.now - ours.startedAtMs) / hourMs).toBeGreaterThan(23.9);
    expect((world.now - ours.startedAtMs) / hourMs).toBeLessThan(26);
  });
});

describe('a device that does not sign', () => {
  it('is told about once an hour, by its name', async () => {
    const world = new World();
    const process = world.add({ signs: 'never' });
    world.start();
    await world.untilClosed();
    expect(world.outcome(process)).toBe('refused signing-timeout');
    const told = world.heardOf('unsigned');
    expect(told.map(({ hours }) => hours)).toEqual(Array.from({ length: 23 }, (_, at) => at + 1));
    expect(told[0]).toMatchObject({ subject: { serialNumber: 'SIM0000001' } });
  });
});

describe('hostile messages', () => {
  it('are acknowledged and counted, and disturb nobody', async () => {
    const world = new World();
    const hostile = [
      Buffer.alloc(0),
      Buffer.alloc(100_000, 0xff),
      Buffer.from('{"certificateProvisioningProcessId":"../../evil"}'),
      Buffer.from('{'.repeat(10_000)),
      Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]),
      Buffer.from('{"certificateProvisioningProcessId":null,"__proto__":{"a":1}}'),
    ];
    for (const body of hostile) world.inbox.publish('hostile', body, 1);
    const process = world.add();
    world.start();
    await world.untilClosed();
    expect(world.outcome(process)).toBe('delivered');
    expect(world.journal.kept.size).toBe(1);
    const unreadable = world
      .heardOf('notification')
      .filter(({ result }) => result === 'unreadable');
    expect(unreadable).toHaveLength(hostile.length);
    expect(world.heardOf('bug')).toEqual([]);
  });
});
