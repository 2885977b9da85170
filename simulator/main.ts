import { readOptions, UsageError, usage } from './command-line.ts';
import { startSimulator } from './simulator.ts';

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) {
    console.log(usage);
    return;
  }
  await using simulator = await startSimulator(options);
  const { restUrl: rest, pubsubEndpoint: pubsub, managementUrl: management } = simulator;
  const { project, topic, subscription, seed } = simulator;
  console.log(JSON.stringify({ rest, pubsub, management, project, topic, subscription, seed }));
  await new Promise<void>((resolve) => {
    process.once('SIGINT', () => resolve());
    process.once('SIGTERM', () => resolve());
  });
}

try {
  await main();
} catch (error) {
  const message = error instanceof Error ? error.message : String(error);
  console.error(error instanceof UsageError ? `${message}\n\n${usage}` : `simulator: ${message}`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
