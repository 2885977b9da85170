// Runs commands that each leave a process behind, and prints how many of these nobody reaped.
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleepFor } from 'node:timers/promises';
import { CommandRunner } from '../../../adapters/shared/run-command.ts';
import { systemClock } from '../../../src/time/clock.ts';

const never = new AbortController().signal;
const command = {
  program: 'sh',
  arguments: ['-c', 'sleep 60 & exit 0'],
  directory: '/',
  environment: { PATH: process.env.PATH },
  input: '',
  timeoutMs: 10_000,
};

function zombies() {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return / Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
      } catch {
        return false; // Reaped in between.
      }
    }).length;
}

await using runner = new CommandRunner(systemClock);
for (let run = 0; run < 65; run++) await runner.run(command, never);
for (const until = Date.now() + 5_000; zombies() > 0 && Date.now() < until; ) await sleepFor(50);
console.log(JSON.stringify({ pid: process.pid, zombies: zombies() }));
