import { expect, it } from 'vitest';
import { readOptions, UsageError } from '../../simulator/command-line.ts';

it.each([
  [['--port', 'many'], '--port must be an integer from 0 to 65535'],
  [['--port', '65536'], '--port must be an integer from 0 to 65535'],
  [['--seed', '1.5'], '--seed must be an integer'],
  [['--faults', '2'], '--faults must be a number from 0 to 1'],
  [['--host', '0.0.0.0'], '--host must be a loopback address'],
  [['--colour'], "'--colour'"],
])('refuses %j', (args, why) => {
  expect(() => readOptions(args)).toThrow(UsageError);
  expect(() => readOptions(args)).toThrow(why);
});

it('has a default for everything but the seed, which is drawn', () => {
  expect(readOptions([])).not.toHaveProperty('seed');
  expect(readOptions([])).toMatchObject({ host: '127.0.0.1', restPort: 8460, faults: 0.02 });
  expect(readOptions(['--help'])).toBeUndefined();
});
