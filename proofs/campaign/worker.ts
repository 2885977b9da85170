import { flushCompileCache } from 'node:module';
import { adapters } from '../../adapters/index.ts';
import { openService, type Service } from '../../src/command/service.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { Events } from '../../src/events/events.ts';
import { adapterLoader } from '../../src/plug-in/adapter-loader.ts';
import { createLog, logEvents } from '../../src/telemetry/log.ts';
import { systemClock } from '../../src/time/clock.ts';
import { CrashPoints } from './crash-points.ts';
import type { FromWorker, ToWorker } from './fleet.ts';
import { Trail } from './trail.ts';

/*
 * One instance of the campaign: the service as src/main.ts composes it, with crash points around its ports.
 * Arguments: the configuration and the trail's file. It ends with the campaign, whose channel it hears.
 */

const [configPath = '', trailPath = ''] = process.argv.slice(2);
const stop = new AbortController();
const points = new CrashPoints(new Trail(trailPath));
points.arm(JSON.parse(process.env['CAMPAIGN_ARMED'] ?? '{"points":[],"token":""}'));
let service: Service | undefined;

process.on('SIGTERM', () => stop.abort(new Error('Stopped by SIGTERM.')));
process.on('disconnect', () => process.exit(1));
process.on('message', (message: ToWorker) => {
  if (message.kind === 'arm') points.arm(message.armed);
  else tellSummary().catch((error: unknown) => console.error(error));
});

function tell(message: FromWorker): void {
  process.send?.(message);
}

async function tellSummary(): Promise<void> {
  const summary = await service?.journal.summary(stop.signal);
  if (summary === undefined) return;
  const open = Object.values(summary.open).reduce((sum, entries) => sum + entries, 0);
  tell({ kind: 'summary', open, closed: summary.closed });
}

async function serve(): Promise<number> {
  const config = await loadConfig(configPath, {
    loadAdapter: adapterLoader(adapters),
    env: process.env,
  });
  const log = createLog(config.log.level);
  const events = new Events();
  logEvents(events, log);
  events.on('service', ({ state }) => {
    if (state !== 'running') return;
    // A killed process leaves no cache behind, and the next one would compile everything again.
    flushCompileCache();
    tell({ kind: 'running' });
  });
  try {
    await using opened = await openService(config, {
      events,
      clock: systemClock,
      random: Math.random,
      signal: stop.signal,
      decorate: points,
    });
    service = opened;
    await opened.run(stop.signal);
    return 0;
  } catch (error) {
    if (stop.signal.aborted && error === stop.signal.reason) return 0;
    log.fatal({ err: error }, error instanceof Error ? error.message : 'The service failed.');
    return 1;
  }
}

process.exit(await serve());
