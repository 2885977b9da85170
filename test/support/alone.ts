/*
 * Test files share the process of a worker, with what it has loaded, and this is most of what they would cost. A
 * file that changes what belongs to the whole process, or waits for long for processes of its own, has one for itself.
 */

/** From the root, as globs. test/architecture.test.ts knows by which words a file belongs here. */
export const alone: readonly string[] = [
  'test/packed.test.ts',
  'test/adapters/exec.test.ts',
  'test/adapters/shared/rough-world.test.ts',
  'test/command/{hostile-service,main,service}.test.ts',
  'test/config/document.test.ts',
  'test/conformance/command.test.ts',
  'test/journal/sqlite-file.test.ts',
  'test/events/stray-errors.test.ts',
  'test/network/proxy.test.ts',
  'test/notification/pubsub-inbox.test.ts',
  'test/plug-in/plug-in.test.ts',
  'test/proofs/run-tool.test.ts',
  'test/simulator/main.test.ts',
  'test/support/*.test.ts',
];
