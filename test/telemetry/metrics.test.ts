import { describe, expect, it } from 'vitest';
import { Events } from '../../src/events/events.ts';
import type { JournalSummary } from '../../src/journal/journal.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';

const nothingOpen: JournalSummary = {
  open: { claim: 0, possession: 0, issue: 0, deliver: 0 },
  closed: 0,
};

function counting(summary: () => Promise<JournalSummary> = async () => nothingOpen) {
  const events = new Events();
  const clock = { now: 0 };
  const metrics = createMetrics(events, { summary, now: () => clock.now });
  const own = async () =>
    (await metrics.render()).split('\n').filter((line) => line.startsWith('certprov_'));
  return { events, metrics, own, clock };
}

describe('createMetrics', () => {
  it('has exactly the names and labels that users were promised', async () => {
    const { events, own } = counting();
    events.emit('notification', { result: 'opened' });
    events.emit('closed', { processId: 'p', outcome: 'delivered', authority: 'ca', seconds: 1 });
    events.emit('closed', {
      processId: 'p',
      outcome: 'refused',
      authority: 'ca',
      code: 'ca-rejected',
      seconds: 1,
    });
    events.emit('stage', { processId: 'p', room: 'issue', seconds: 2 });
    events.emit('googleRequest', { method: 'signData', status: 503, seconds: 0.2 });
    events.emit('googleRequest', { method: 'get', status: 'error', seconds: 0.2 });
    events.emit('caRequest', { authority: 'ca', call: 'issue', result: 'pending', seconds: 0.1 });
    events.emit('authority', { authority: 'ca', up: false });
    const lines = await own();
    expect(lines).toEqual(
      expect.arrayContaining([
        'certprov_notifications_total{result="opened"} 1',
        'certprov_processes_total{authority="ca",outcome="delivered",code=""} 1',
        'certprov_processes_total{authority="ca",outcome="refused",code="ca-rejected"} 1',
        'certprov_stage_seconds_count{stage="issue"} 1',
        'certprov_google_requests_total{method="signData",status="503"} 1',
        'certprov_google_requests_total{method="get",status="error"} 1',
        'certprov_ca_requests_total{authority="ca",call="issue",result="pending"} 1',
        'certprov_ca_request_seconds_count{authority="ca",call="issue"} 1',
        'certprov_authority_up{authority="ca"} 0',
        'certprov_open_processes{stage="possession"} 0',
      ]),
    );
  });

  it('counts troubles, orphans and bugs', async () => {
    const { events, own } = counting();
    events.emit('trouble', {
      processId: 'p',
      room: 'issue',
      code: 'ca-unavailable',
      authority: 'ca',
      message: 'm',
      againInMs: 1,
    });
    events.emit('orphan', { processId: 'p', authority: 'ca', revoked: true, message: 'm' });
    events.emit('bug', { error: new Error('x') });
    expect(await own()).toEqual(
      expect.arrayContaining([
        'certprov_troubles_total{authority="ca",code="ca-unavailable"} 1',
        'certprov_orphans_total{authority="ca",revoked="true"} 1',
        'certprov_bugs_total 1',
      ]),
    );
  });

  it('shows an authority as up from its first answer, and as down until it says otherwise', async () => {
    const { events, own } = counting();
    const check = { authority: 'ca', call: 'check', result: 'ok', seconds: 0.1 } as const;
    events.emit('caRequest', check);
    expect(await own()).toContain('certprov_authority_up{authority="ca"} 1');
    events.emit('authority', { authority: 'ca', up: false });
    events.emit('caRequest', check);
    expect(await own()).toContain('certprov_authority_up{authority="ca"} 0');
  });

  it('asks the journal at most once a second', async () => {
    let asked = 0;
    const { own, clock } = counting(async () => {
      asked += 1;
      return { ...nothingOpen, open: { ...nothingOpen.open, issue: asked } };
    });
    expect(await own()).toContain('certprov_open_processes{stage="issue"} 1');
    clock.now = 999;
    expect(await own()).toContain('certprov_open_processes{stage="issue"} 1');
    clock.now = 1_000;
    expect(await own()).toContain('certprov_open_processes{stage="issue"} 2');
  });

  it('still answers when the journal does not', async () => {
    const { own } = counting(async () => {
      throw new Error('disk gone');
    });
    const lines = await own();
    expect(lines.some((line) => line.startsWith('certprov_open_processes{'))).toBe(false);
    expect(lines).toContain('certprov_bugs_total 0');
  });

  it('keeps what outsiders write out of the labels', async () => {
    const { events, own } = counting();
    for (let number = 0; number < 1_000; number++) {
      const authority = `made-up-${number}`;
      const closed = { processId: 'p', outcome: 'refused', authority, seconds: 1 } as const;
      events.emit('closed', { ...closed, code: 'authority-unknown' });
      events.emit('closed', { ...closed, code: 'ca-rejected' });
    }
    const series = (await own()).filter((line) => line.startsWith('certprov_processes_total{'));
    expect(series).toContain(
      'certprov_processes_total{authority="",outcome="refused",code="authority-unknown"} 1000',
    );
    expect(series.length).toBeLessThanOrEqual(202);
  });
});
